-- Points, live or ended, that requests in force mean: those of addresses and of parcel numbers were found beforehand, others
-- have an identifier that is asked for, or one that a point of the request had.
WITH point AS (
    SELECT address_uid, nguid, local_id, parcel_id FROM addresses.address_point WHERE cousub_fips = %(town)s
    UNION ALL
    SELECT address_uid, nguid, local_id, parcel_id FROM addresses.address_point_history WHERE cousub_fips = %(town)s
),
request AS (
    SELECT request_no, upper(btrim(identifier, '{} ')) AS identifier
    FROM confidential.withheld_request
    WHERE cousub_fips = %(town)s AND released_at IS NULL AND basis <> 'delivered'
),
meant AS (
    SELECT * FROM unnest(%(by_address)s::bigint[], %(uids)s::uuid[]) AS found (request_no, address_uid)
    UNION
    SELECT request_no, address_uid
    FROM unnest(%(by_parcel)s::bigint[], %(parcel_ids)s::text[]) AS found (request_no, parcel_id)
    JOIN point USING (parcel_id)
    UNION
    SELECT request_no, address_uid
    FROM request JOIN point
    ON identifier IN (upper(btrim(nguid, '{} ')), upper(btrim(local_id, '{} ')), upper(address_uid::text))
),
known AS (
    SELECT DISTINCT request_no, nguid, local_id
    FROM request JOIN confidential.withheld_point USING (request_no) JOIN point USING (address_uid)
)
INSERT INTO confidential.withheld_point (request_no, address_uid)
SELECT request_no, address_uid FROM meant
UNION
SELECT request_no, address_uid FROM known JOIN point USING (nguid)
UNION
SELECT request_no, address_uid FROM known JOIN point USING (local_id)
ON CONFLICT DO NOTHING
