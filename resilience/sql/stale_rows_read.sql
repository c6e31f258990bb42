-- Identifiers of the answer, the row, its delivery and its shape, as bytes, and the shape.
SELECT
    uuid_send(md5(%(layer)s || '/' || t.{key})::uuid),
    uuid_send(t.{key}),
    uuid_send(t.submission_id),
    uuid_send(t.shape_hash),
    ST_AsBinary(t.geom)
FROM {rows} AS t
JOIN stale ON stale.row_uid = t.{key}
ORDER BY t.{key}
