-- The zones, and the covered area, that lie around a box; only the part inside of it, for one zone may be a whole coast.
WITH around AS (SELECT ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, %(srid)s) AS box),
near AS (
    SELECT 1 AS part, flood_zone_uid AS uid, zone_class, fld_zone, zone_subtype, is_sfha, static_bfe_ft, v_datum, depth_ft, geom
    FROM resilience.flood_zone
    WHERE submission_id = %(load)s
    UNION ALL
    SELECT 2, hazard_coverage_uid, 'no_zone', NULL, NULL, false, NULL, NULL, NULL, geom
    FROM resilience.hazard_coverage
    WHERE layer_load_id = %(load)s
)
SELECT
    zone_class, fld_zone, zone_subtype, is_sfha, static_bfe_ft, v_datum, depth_ft,
    ST_AsBinary(CASE WHEN geom @ box THEN geom ELSE ST_CollectionExtract(ST_Intersection(geom, box), 3) END)
FROM near, around
WHERE geom && box
ORDER BY part, uid
