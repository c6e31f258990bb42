-- The parts of the addresses of a town whose line is more than number and street, in the order of `points_to_link`.
SELECT
    addnum_pre, add_number::text, addnum_suf,
    st_premod, st_predir, st_pretyp, st_presep, st_name, st_postyp, st_posdir, st_posmod
FROM addresses.address_point
WHERE cousub_fips = %(town)s
  AND add_number IS NOT NULL AND st_name IS NOT NULL
  AND NOT (
      num_nonnulls(unitpretyp, unitvalue, unit) = 0
      AND coalesce(addnum_cmp = concat(addnum_pre, add_number, addnum_suf), true)
  )
ORDER BY address_uid
