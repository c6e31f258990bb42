-- The published address points of a town that have a number and a street.
INSERT INTO numbered (place_uid, street, name, street_type, number, whole_number, suffix, unit)
SELECT address_uid,
       concat_ws(' ', st_premod, st_predir, st_pretyp, st_presep, st_name, st_postyp, st_posdir, st_posmod),
       concat_ws(' ', st_premod, st_predir, st_pretyp, st_presep, st_name, st_posdir, st_posmod),
       coalesce(st_postyp, ''), add_number, addnum_cmp, addnum_suf, coalesce(unitvalue, unit)
FROM published.addresses
WHERE cousub_fips = %(town)s AND add_number > 0 AND st_name IS NOT NULL
