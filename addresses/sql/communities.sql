-- Names of places and ZIP codes that the published address points of a town write, other than the town's own.
SELECT DISTINCT name
FROM (
    SELECT DISTINCT a4, msagcomm, post_comm, post_code FROM published.addresses WHERE cousub_fips = %(town)s
) AS a, LATERAL (VALUES (a4), (msagcomm), (post_comm), (post_code)) AS names (name)
WHERE name IS NOT NULL
