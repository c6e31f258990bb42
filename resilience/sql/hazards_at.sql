-- What every layer says at one place, in one statement: the zones there, the lots there with their answers, the versions.
WITH place AS MATERIALIZED (
    SELECT a.address_uid, coalesce(a.geom_lonlat, ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326)) AS lonlat
    FROM (VALUES (%(address_uid)s::uuid)) AS asked (address_uid)
    LEFT JOIN published.exposure_addresses AS a ON a.address_uid = asked.address_uid
    WHERE asked.address_uid IS NULL OR a.address_uid IS NOT NULL
),
p AS MATERIALIZED (
    SELECT address_uid, lonlat, ST_Transform(lonlat, %(srid)s) AS geom FROM place
)
SELECT
    ST_X(p.lonlat), ST_Y(p.lonlat),
    (SELECT address_label FROM published.addresses AS a WHERE a.address_uid = p.address_uid),
    (SELECT json_agg(json_build_object('town', t.town_name, 'cousub_fips', t.cousub_fips, 'parcels_year', t.parcels_year))
     FROM published.towns AS t WHERE ST_Intersects(t.geom_lonlat, p.lonlat)),
    (SELECT json_agg(json_build_object(
        'layer', l.layer, 'layer_version', l.layer_version, 'effective_on', l.effective_on, 'loaded_at', l.loaded_at,
        'source_name', l.source_name, 'v_datum', l.v_datum, 'zone', z.zone,
        'covered', z.zone IS NOT NULL OR EXISTS (
            SELECT 1 FROM published.exposure_coverages AS c WHERE c.layer = l.layer AND ST_Intersects(c.geom, p.geom)
        )
     ) ORDER BY l.layer) FROM published.exposure_layers AS l LEFT JOIN LATERAL ({zones}) AS z ON true),
    (SELECT json_agg(to_jsonb(h) - 'address_hazard_uid' - 'geom' - 'geom_lonlat' - 'geom_mercator' ORDER BY h.layer)
     FROM published.address_hazards AS h WHERE h.address_uid = p.address_uid),
    (SELECT json_agg(json_build_object(
        'parcel_uid', c.parcel_uid, 'parcel_id', c.parcel_id, 'location', c.location, 'town', c.town_name, 'hazards',
        (SELECT json_agg(json_build_object(
            'layer', h.layer, 'worst_class', h.worst_class, 'worst_zone', h.worst_zone, 'centroid_class', h.centroid_class,
            'hazard_share_pct', h.hazard_share_pct, 'share_by_class_pct', h.share_by_class_pct, 'coverage', h.coverage,
            'static_bfe_ft', h.static_bfe_ft, 'v_datum', h.v_datum, 'depth_mean_ft', h.depth_mean_ft,
            'depth_max_ft', h.depth_max_ft, 'layer_version', h.layer_version
         ) ORDER BY h.layer) FROM published.parcel_hazards AS h WHERE h.parcel_uid = c.parcel_uid)
     ) ORDER BY c.parcel_uid)
     FROM (SELECT * FROM published.parcels AS c WHERE ST_Intersects(c.geom_lonlat, p.lonlat) ORDER BY c.parcel_uid LIMIT %(most)s) AS c)
FROM p
