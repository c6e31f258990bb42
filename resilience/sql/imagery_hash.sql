-- One hash of all pictures that meet the box of a town's parcels, and of when they were flown.
WITH town AS (SELECT ST_SetSRID(ST_Extent(geom)::geometry, %(srid)s) AS box FROM cadastral.parcel WHERE cousub_fips = %(town)s)
SELECT md5(coalesce(string_agg(concat_ws(' ', imagery_uid, flown_from, flown_to), ',' ORDER BY imagery_uid), ''))::uuid
FROM resilience.imagery, town
WHERE geom && town.box
