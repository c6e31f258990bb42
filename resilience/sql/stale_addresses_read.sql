SELECT
    uuid_send(md5(%(layer)s || '/' || a.address_uid)::uuid) AS address_hazard_uid,
    uuid_send(a.address_uid) AS address_uid,
    uuid_send(a.submission_id) AS address_submission_id,
    uuid_send(a.shape_hash) AS address_shape_hash,
    ST_AsBinary(a.geom)
FROM addresses.address_point AS a
JOIN stale ON stale.row_uid = a.address_uid
ORDER BY a.address_uid
