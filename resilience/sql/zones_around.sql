-- The zones around a box; only the part inside of it, for one zone may be a whole coast.
SELECT
    zone_class, fld_zone, zone_subtype, is_sfha, static_bfe_ft, v_datum, depth_ft,
    ST_AsBinary(CASE WHEN geom @ box THEN geom ELSE ST_CollectionExtract(ST_Intersection(geom, box), 3) END)
FROM resilience.flood_zone, ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, %(srid)s) AS box
WHERE submission_id = %(load)s AND geom && box
ORDER BY flood_zone_uid
