-- The parcels of an answer, a row for each layer that exposes them, from behind the last row that was seen.
SELECT
    h.parcel_uid::text, h.layer, h.town_name, h.parcel_id, h.location, h.worst_class, h.worst_zone, h.centroid_class,
    round(met.sqft::numeric, 2)::double precision AS area_sqft, met.share_pct, h.coverage, h.unknown_share_pct,
    h.static_bfe_ft, h.v_datum, h.depth_max_ft, p.valuation_year, p.assessed_total_usd, p.appraised_total_usd, p.counts_here,
    h.layer_version, {shape} AS shape
FROM {selection}
JOIN published.exposure_parcels AS p ON p.parcel_uid = h.parcel_uid
CROSS JOIN LATERAL (
    SELECT sum(value::double precision) AS sqft,
        CASE WHEN p.area_sqft > 0 THEN round(sum(value::double precision) / p.area_sqft * 1e6) / 1e4 ELSE 0 END AS share_pct
    FROM jsonb_each_text(h.area_by_class)
    WHERE (h.layer, key) IN (SELECT * FROM unnest(%(total_layers)s::text[], %(total_classes)s::text[]))
) AS met
WHERE h.layer = ANY(%(layers)s::text[]) AND h.worst_class_rank > %(calm_rank)s
  AND met.sqft > 0 AND met.share_pct >= %(min_share)s
  AND (h.parcel_uid, h.layer) > (%(after_parcel)s::uuid, %(after_layer)s::text)
ORDER BY h.parcel_uid, h.layer
LIMIT %(rows)s
