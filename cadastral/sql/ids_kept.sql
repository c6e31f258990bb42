-- How many distinct live parcel numbers (or links) the town has, and how many of them the delivery still knows.
SELECT count(live.number), count(new.number)
FROM (
    SELECT DISTINCT coalesce(parcel_id_normalized, cama_link_normalized) AS number
    FROM cadastral.parcel
    WHERE cousub_fips = %(town)s
) AS live
LEFT JOIN (
    SELECT DISTINCT coalesce(parcel_id_normalized, cama_link_normalized) AS number FROM staged
) AS new USING (number)
