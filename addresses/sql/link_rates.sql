-- How many of each town's addresses have a parcel, by method, and how many are odd. Counted over what is published.
SELECT
    point.cousub_fips, point.town_name, point.link_method, link.conflict, count(*) AS addresses
FROM published.addresses AS point
LEFT JOIN addresses.address_link AS link USING (address_uid)
WHERE %(town)s::text IS NULL OR point.cousub_fips = %(town)s
GROUP BY 1, 2, 3, 4
ORDER BY 1
