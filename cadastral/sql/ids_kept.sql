-- How many distinct live parcel numbers (or links) the town has, and how many of them the delivery still knows.
SELECT count(*), count(*) FILTER (WHERE EXISTS (
    SELECT 1 FROM staged
    WHERE coalesce(staged.parcel_id_normalized, staged.cama_link_normalized) = live.number
))
FROM (
    SELECT DISTINCT coalesce(parcel_id_normalized, cama_link_normalized) AS number
    FROM cadastral.parcel
    WHERE cousub_fips = %(town)s
) AS live
WHERE live.number IS NOT NULL
