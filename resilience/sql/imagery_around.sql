-- The programs whose pictures meet the box of a town's parcels, the newest first, each with one footprint.
WITH town AS (SELECT ST_SetSRID(ST_Extent(geom)::geometry, %(srid)s) AS box FROM cadastral.parcel WHERE cousub_fips = %(town)s)
SELECT
    program, min(flown_from) AS flown_from, max(flown_to) AS flown_to, ST_Union(geom) AS footprint,
    (row_number() OVER (ORDER BY max(flown_to) DESC, min(flown_from) DESC, program DESC))::integer AS age
FROM resilience.imagery, town
WHERE geom && town.box
GROUP BY program
ORDER BY age
