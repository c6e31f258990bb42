-- Two towns with parcels, one of them with flood zones over it: written straight into the tables, because these tests
-- are about what comes out. Editors are canaries: no public answer may hold the word.
INSERT INTO statewide.submission (submission_id, dataset, cousub_fips, year, file_name, file_sha256, received_at, outcome,
                                  summary, standard_version, software_version)
SELECT md5('delivery' || cousub_fips)::uuid, 'parcel', cousub_fips, 2025, 'parcels.gpkg', repeat('0', 64),
       '2026-04-30T09:00Z', 'published', '{}', '0.1.0', '0.1.0'
FROM (VALUES ('52350'), ('29910')) AS towns (cousub_fips);

CREATE TEMP TABLE lots AS
SELECT cousub_fips, i, j, row_number() OVER () AS n,
       ST_Multi(ST_MakeEnvelope(x + i * 150, y + j * 120, x + (i + 1) * 150, y + (j + 1) * 120, 6434)) AS geom
FROM (VALUES ('52350', -72.11, 41.34, 20, 15), ('29910', -72.14, 41.61, 10, 5)) AS towns (cousub_fips, lon, lat, wide, high),
     LATERAL (SELECT ST_X(p) AS x, ST_Y(p) AS y FROM ST_Transform(ST_SetSRID(ST_MakePoint(lon, lat), 4326), 6434) AS p) AS o,
     generate_series(0, wide - 1) AS i, generate_series(0, high - 1) AS j;

INSERT INTO cadastral.parcel (parcel_uid, cousub_fips, cama_link, parcel_id, location, parcel_type_class, collection_year,
                              editor, editor_comment, edited_on, area_sqft, stack_count, crs_assumed, geom, geom_lonlat,
                              geom_mercator, submission_id, row_no, attribute_hash, shape_hash, valid_from)
SELECT md5('parcel' || n)::uuid, cousub_fips, cousub_fips || '-' || n, 'M' || i || '-' || j,
       CASE WHEN n % 10 = 0 THEN n || ' O''BRIEN ST' ELSE n || ' Elm St' END,
       CASE WHEN j = 7 THEN 'right_of_way' ELSE 'parcel' END, 2025,
       'CANARY', 'CANARY WAS HERE', CASE WHEN n % 3 = 0 THEN date '2024-01-25' END, 18000 + n, 1, false,
       geom, ST_Transform(geom, 4326), ST_Transform(geom, 3857),
       md5('delivery' || cousub_fips)::uuid, n, md5('a' || n)::uuid, md5('s' || n)::uuid,
       CASE cousub_fips WHEN '52350' THEN timestamptz '2026-04-30T10:00Z' ELSE '2026-05-01T23:30Z' END
FROM lots;

INSERT INTO statewide.publication (cousub_fips, dataset, publication_id, submission_id, year, rows_published, rows_held, published_at)
SELECT cousub_fips, 'parcel', md5('publication' || cousub_fips)::uuid, md5('delivery' || cousub_fips)::uuid, 2025, count(*), 0,
       '2026-04-30T10:00Z'
FROM lots GROUP BY cousub_fips;

INSERT INTO resilience.hazard_layer_version (layer_load_id, layer, layer_version, is_current, loaded_at, source_file,
                                             source_sha256, class_list_version, summary)
VALUES (md5('load')::uuid, 'flood-zones', '2025-07-08', true, '2026-04-30T11:00Z', 'nfhl.gdb.zip', repeat('0', 64), '1', '{}');

INSERT INTO resilience.flood_zone (flood_zone_uid, layer_version, zone_class, zone_class_rank, fld_zone, zone_subtype, is_sfha,
                                   static_bfe_ft, source_sha256, geom, geom_lonlat, geom_mercator, submission_id, row_no,
                                   attribute_hash, shape_hash, valid_from)
SELECT md5('zone' || zone_class)::uuid, '2025-07-08', zone_class, rank, zone, subtype, sfha, 11, repeat('0', 64),
       g, ST_Transform(g, 4326), ST_Transform(g, 3857), md5('load')::uuid, rank, md5(zone_class)::uuid, md5('z' || zone_class)::uuid,
       '2026-04-30T11:00Z'
FROM (VALUES ('floodway', 90, 'AE', 'FLOODWAY', true, 0.40, 0.55),
             ('one_percent', 70, 'AE', NULL, true, 0.20, 0.40),
             ('zero_two_percent', 50, 'X', '0.2 PCT ANNUAL CHANCE FLOOD HAZARD', false, 0.10, 0.20),
             ('minimal', 10, 'X', 'AREA OF MINIMAL FLOOD HAZARD', false, 0.00, 0.10))
     AS zones (zone_class, rank, zone, subtype, sfha, from_share, to_share),
     (SELECT ST_XMin(e) AS x1, ST_YMin(e) AS y1, ST_XMax(e) AS x2, ST_YMax(e) AS y2
      FROM (SELECT ST_Extent(geom) AS e FROM lots WHERE cousub_fips = '52350') AS box) AS town,
     LATERAL (SELECT ST_Multi(ST_MakeEnvelope(x1 + (x2 - x1) * from_share, y1, x1 + (x2 - x1) * to_share, y2, 6434)) AS g) AS shape;

INSERT INTO resilience.parcel_hazard (parcel_hazard_uid, parcel_uid, cousub_fips, layer, worst_zone, worst_class, worst_class_rank,
                                      sfha_area_sqft, sfha_share_pct, area_by_class, mapped_share_pct, unknown_share_pct, coverage,
                                      layer_version, layer_load_id, parcel_submission_id, parcel_shape_hash, computed_at)
SELECT md5('hazard' || n)::uuid, md5('parcel' || n)::uuid, cousub_fips, 'flood-zones', 'AE, FLOODWAY', 'floodway', 90,
       18000, 100, '{"floodway": 18000}', 100, 0, 'mapped', '2025-07-08', md5('load')::uuid,
       md5('delivery' || cousub_fips)::uuid, md5('s' || n)::uuid, '2026-04-30T12:00Z'
FROM lots WHERE cousub_fips = '52350' AND i BETWEEN 8 AND 10;

-- An address point in the middle of each lot, and a note that no public answer may hold.
INSERT INTO statewide.submission (submission_id, dataset, cousub_fips, year, file_name, file_sha256, received_at, outcome,
                                  summary, standard_version, software_version)
SELECT md5('points' || cousub_fips)::uuid, 'address_point', cousub_fips, 2025, 'points.gpkg', repeat('0', 64),
       '2026-04-30T09:00Z', 'published', '{}', '0.1.0', '0.1.0'
FROM (SELECT DISTINCT cousub_fips FROM lots) AS towns;

INSERT INTO addresses.address_point (address_uid, cousub_fips, add_number, st_name, st_postyp, address_label, address_normalized,
                                     delivered_address, placement, crs_assumed, geom, geom_lonlat, geom_mercator,
                                     submission_id, row_no, attribute_hash, shape_hash, valid_from)
SELECT md5('address' || n)::uuid, cousub_fips, n, 'Elm', 'Street', n || ' Elm Street', upper(n || ' Elm Street'),
       n || ' ELM ST C/O CANARY', 'Parcel', false, p, ST_Transform(p, 4326), ST_Transform(p, 3857),
       md5('points' || cousub_fips)::uuid, n, md5('aa' || n)::uuid, md5('as' || n)::uuid, '2026-04-30T10:00Z'
FROM lots, ST_Centroid(geom) AS p;
