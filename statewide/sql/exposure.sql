-- The street's door to what `exposure` counts, beside the collections: keys, numbers and shapes that the collections show,
-- without the joins that a count does not need. No collection shows these views.
CREATE VIEW published.exposure_parcels AS
SELECT
    p.parcel_uid, p.cousub_fips, p.area_sqft, coalesce(p.stack_count, 1) AS stack_count, p.shape_hash, p.geom, p.geom_lonlat,
    p.cama_link_normalized AS link,
    coalesce(v.assessment_count, 0) AS assessment_count,
    v.assessed_total_usd, v.appraised_total_usd, v.valuation_year, v.dwelling_unit_count,
    coalesce(v.use_class = 'exempt', false) AS is_exempt,
    coalesce(v.parcels_sharing, 1) AS parcels_sharing,
    coalesce(v.counts_here, true) AS counts_here,
    lot.twin_uid, lot.twin_town
FROM cadastral.parcel AS p
LEFT JOIN cadastral.parcel_value AS v ON v.parcel_uid = p.parcel_uid
LEFT JOIN (
    SELECT DISTINCT ON (uncounted_parcel_uid)
        uncounted_parcel_uid, counts_in_fips AS twin_town,
        CASE uncounted_parcel_uid WHEN parcel_uid_a THEN parcel_uid_b ELSE parcel_uid_a END AS twin_uid
    FROM cadastral.shared_lot ORDER BY uncounted_parcel_uid, overlap_sqft DESC
) AS lot ON lot.uncounted_parcel_uid = p.parcel_uid;

CREATE VIEW published.exposure_parcel_hazards AS
SELECT parcel_uid, cousub_fips, layer, layer_version, layer_load_id, parcel_shape_hash, worst_class_rank, centroid_class, area_by_class,
       coverage, unknown_share_pct, sfha_share_pct, static_bfe_ft
FROM resilience.parcel_hazard;

CREATE VIEW published.exposure_addresses AS
SELECT a.address_uid, a.cousub_fips, a.shape_hash, a.geom_lonlat, l.parcel_uid
FROM addresses.address_point AS a
LEFT JOIN addresses.address_link AS l ON l.address_uid = a.address_uid
WHERE a.address_uid NOT IN (SELECT w.address_uid FROM confidential.withheld_point AS w);

CREATE VIEW published.exposure_address_hazards AS
SELECT h.address_uid, h.cousub_fips, h.layer, h.layer_load_id, h.address_shape_hash, h.zone_class, h.is_sfha, h.static_bfe_ft
FROM resilience.address_hazard AS h
WHERE h.address_uid NOT IN (SELECT w.address_uid FROM confidential.withheld_point AS w);

CREATE VIEW published.exposure_layers AS
SELECT v.layer_load_id, v.layer, v.layer_version, v.effective_on, v.loaded_at, v.source_name, v.license, v.v_datum,
       v.coverage_sha256 IS NOT NULL AS has_coverage
FROM resilience.hazard_layer_version AS v WHERE v.is_current;

CREATE VIEW published.exposure_coverages AS
SELECT v.layer, c.geom, c.geom_lonlat
FROM resilience.hazard_coverage AS c JOIN resilience.hazard_layer_version AS v ON v.layer_load_id = c.layer_load_id
WHERE v.is_current;

CREATE VIEW published.exposure_deliveries AS
SELECT cousub_fips, dataset, year, published_at FROM statewide.publication;

CREATE VIEW published.exposure_towns AS
SELECT t.cousub_fips, t.counted_at, t.counted_by FROM resilience.exposure_town AS t
WHERE NOT EXISTS (SELECT 1 FROM resilience.exposure_stale AS s WHERE s.cousub_fips = t.cousub_fips);
CREATE VIEW published.exposure_parcel_lists AS SELECT * FROM resilience.exposure_parcel;
CREATE VIEW published.exposure_address_lists AS
SELECT p.* FROM resilience.exposure_point AS p
WHERE p.address_uid NOT IN (SELECT w.address_uid FROM confidential.withheld_point AS w);
CREATE VIEW published.exposure_cells AS SELECT * FROM resilience.exposure_cell;
CREATE VIEW published.exposure_covers AS SELECT * FROM resilience.exposure_cover;
CREATE VIEW published.exposure_address_counts AS SELECT * FROM resilience.exposure_address;
CREATE VIEW published.exposure_facilities AS SELECT * FROM resilience.exposure_facility;

-- What marks a town to be counted anew. A statement can do one of three things to a table, and a trigger follows one.
DO $$
DECLARE
    watched record;
    event record;
BEGIN
    FOR watched IN
        SELECT * FROM (VALUES
            ('statewide.publication', 'exposure_town_changed'),
            ('cadastral.parcel_value', 'exposure_town_changed'),
            ('cadastral.shared_lot', 'exposure_shared_lot_changed'),
            ('addresses.address_link', 'exposure_town_changed'),
            ('confidential.withheld_point', 'exposure_withholding_changed'),
            ('resilience.parcel_hazard', 'exposure_town_changed'),
            ('resilience.address_hazard', 'exposure_town_changed'),
            ('resilience.hazard_layer_version', 'exposure_layer_changed'),
            ('resilience.critical_facility', 'exposure_layer_changed')
        ) AS w (of_table, runs)
    LOOP
        FOR event IN
            SELECT * FROM (VALUES ('insert', 'NEW'), ('update', 'NEW'), ('delete', 'OLD')) AS e (name, side)
        LOOP
            EXECUTE format(
                'CREATE OR REPLACE TRIGGER exposure_%1$s AFTER %1$s ON %2$s REFERENCING %3$s TABLE AS changed'
                ' FOR EACH STATEMENT EXECUTE FUNCTION resilience.%4$s()',
                event.name, watched.of_table, event.side, watched.runs
            );
        END LOOP;
    END LOOP;
END $$;
