-- The address points of a town as they are compared with its parcels. The ninth column says that the address line is
-- number and street and nothing else; `parts_to_link` has the parts of the others.
SELECT
    uuid_send(address_uid), ST_X(geom), ST_Y(geom), placement, parcel_id, address_normalized,
    coalesce(unitvalue, unit),
    add_number IS NOT NULL AND st_name IS NOT NULL,
    num_nonnulls(unitpretyp, unitvalue, unit) = 0
        AND coalesce(addnum_cmp = concat(addnum_pre, add_number, addnum_suf), true),
    uuid_send(submission_id), uuid_send(attribute_hash), uuid_send(shape_hash)
FROM addresses.address_point
WHERE cousub_fips = %(town)s
ORDER BY address_uid
