SELECT
    uuid_send(md5(%(layer)s || '/' || p.parcel_uid)::uuid) AS parcel_hazard_uid,
    uuid_send(p.parcel_uid) AS parcel_uid,
    uuid_send(p.submission_id) AS parcel_submission_id,
    uuid_send(p.shape_hash) AS parcel_shape_hash,
    ST_AsBinary(p.geom)
FROM cadastral.parcel AS p
JOIN stale ON stale.row_uid = p.parcel_uid
ORDER BY p.parcel_uid
