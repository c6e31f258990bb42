-- Towns with live parcels whose outline's box is near that of a town. Boxes only: outlines have thousands of corners, and
-- ST_DWithin compares them each with each.
SELECT t.cousub_fips, t.town_no, t.town_name, ST_AsBinary(t.geom)
FROM statewide.municipality AS here
JOIN statewide.municipality AS t
    ON t.cousub_fips <> here.cousub_fips AND t.geom && ST_Expand(here.geom, %(distance_ft)s)
JOIN statewide.publication AS p ON p.cousub_fips = t.cousub_fips AND p.dataset = 'parcel'
WHERE here.cousub_fips = %(town)s
ORDER BY t.cousub_fips
