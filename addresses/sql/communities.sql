-- Names of places and ZIP codes that the published address points of a town write, other than the town's own.
SELECT DISTINCT name
FROM published.addresses AS a, LATERAL (VALUES (a4), (msagcomm), (post_comm), (post_code)) AS names (name)
WHERE a.cousub_fips = %(town)s AND name IS NOT NULL
