-- What a column of the town's own file flags, as one request of the town; a point that it no longer flags is shown again.
-- How many points that changes.
WITH made AS (
    INSERT INTO confidential.withheld_request (cousub_fips, basis, recorded_by)
    SELECT %(town)s, 'delivered', 'publication'
    WHERE cardinality(%(flagged)s::uuid[]) > 0 AND NOT EXISTS (
        SELECT 1 FROM confidential.withheld_request
        WHERE cousub_fips = %(town)s AND basis = 'delivered' AND released_at IS NULL
    )
    RETURNING request_no
),
request AS (
    SELECT request_no FROM made
    UNION ALL
    SELECT request_no FROM confidential.withheld_request
    WHERE cousub_fips = %(town)s AND basis = 'delivered' AND released_at IS NULL
),
shown_again AS (
    DELETE FROM confidential.withheld_point
    WHERE address_uid = ANY(%(open)s::uuid[]) AND request_no IN (SELECT request_no FROM request)
    RETURNING address_uid
),
withheld AS (
    INSERT INTO confidential.withheld_point (request_no, address_uid)
    SELECT request_no, address_uid FROM request CROSS JOIN unnest(%(flagged)s::uuid[]) AS flagged (address_uid)
    ON CONFLICT DO NOTHING
    RETURNING address_uid
)
SELECT (SELECT count(*) FROM shown_again) + (SELECT count(*) FROM withheld)
