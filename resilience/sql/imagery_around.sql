-- The programs whose pictures meet the box of a town's parcels, each with one footprint, and a hash of all these pictures.
WITH town AS (
    SELECT ST_SetSRID(ST_Extent(geom)::geometry, Find_SRID('cadastral', 'parcel', 'geom')) AS box
    FROM cadastral.parcel WHERE cousub_fips = %(town)s
),
pictures AS (
    SELECT i.* FROM resilience.imagery AS i, town WHERE i.geom && town.box
),
hashed AS (
    SELECT md5(coalesce(string_agg(concat_ws(' ', imagery_uid, flown_from, flown_to), ',' ORDER BY imagery_uid), ''))::uuid
        AS imagery_hash
    FROM pictures
),
programs AS (
    SELECT program, min(flown_from) AS flown_from, max(flown_to) AS flown_to, ST_Union(geom) AS footprint
    FROM pictures GROUP BY program
)
SELECT
    imagery_hash, program, flown_from, flown_to, footprint,
    (row_number() OVER (ORDER BY flown_to DESC, flown_from DESC, program DESC))::integer AS age
FROM hashed LEFT JOIN programs ON true
ORDER BY age
