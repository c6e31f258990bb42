,
counted_whole AS MATERIALIZED (
    SELECT cousub_fips FROM counted WHERE %(towns)s::text[] IS NOT NULL
),
all_cells AS MATERIALIZED (
    SELECT * FROM cells
    UNION ALL
    SELECT * FROM published.exposure_cells
    WHERE cousub_fips IN (SELECT cousub_fips FROM counted_whole) AND (kind = 'all' OR layer = ANY(%(layers)s::text[]))
),
answering AS MATERIALIZED (
    SELECT town AS cousub_fips FROM unnest(%(towns)s::text[]) AS town
    UNION
    SELECT t.cousub_fips FROM published.towns AS t, drawn AS d WHERE ST_Intersects(d.area, t.geom_lonlat)
    UNION
    SELECT cousub_fips FROM all_cells
),
once AS MATERIALIZED (
    SELECT c.*, CASE c.kind WHEN 'all' THEN true ELSE c.share_step >= %(least_step)s END AS has_share
    FROM all_cells AS c
    WHERE c.twice_with IS NULL OR c.twice_with NOT IN (SELECT cousub_fips FROM answering)
),
figures AS (
    SELECT
        layer, kind, class, valuation_year, is_exempt,
        sum(parcels) AS any_touch,
        sum(parcels_centre) AS centroid_in,
        coalesce(sum(parcels) FILTER (WHERE share_step >= %(least_step)s), 0) AS share_at_least,
        coalesce(sum(area_sqft) FILTER (WHERE has_share), 0) AS area_sqft,
        sum(assessed_usd) FILTER (WHERE has_share) AS assessed_usd,
        sum(appraised_usd) FILTER (WHERE has_share) AS appraised_usd,
        coalesce(sum(values_counted) FILTER (WHERE has_share), 0) AS values_counted,
        coalesce(sum(values_missing) FILTER (WHERE has_share), 0) AS values_missing,
        coalesce(sum(no_assessment) FILTER (WHERE has_share), 0) AS no_assessment,
        coalesce(sum(units) FILTER (WHERE has_share), 0) AS units,
        coalesce(sum(units_missing) FILTER (WHERE has_share), 0) AS units_missing
    FROM once GROUP BY layer, kind, class, valuation_year, is_exempt
),
town_figures AS (
    SELECT
        cousub_fips, layer,
        sum(parcels) AS any_touch,
        sum(parcels_centre) AS centroid_in,
        coalesce(sum(parcels) FILTER (WHERE share_step >= %(least_step)s), 0) AS share_at_least,
        coalesce(sum(area_sqft) FILTER (WHERE has_share), 0) AS area_sqft
    FROM once
    WHERE kind = 'all' OR (kind, class) = (%(total_kind)s, %(total_class)s)
    GROUP BY cousub_fips, layer
),
all_covers AS (
    SELECT cousub_fips, layer, parcels, mapped, partly_mapped, not_mapped, unknown, unknown_sqft, without_bfe, of_older_layer,
        of_older_parcel
    FROM covers
    UNION ALL
    SELECT * FROM published.exposure_covers
    WHERE cousub_fips IN (SELECT cousub_fips FROM counted_whole) AND layer = ANY(%(layers)s::text[])
),
all_addresses AS (
    SELECT * FROM addresses
    UNION ALL
    SELECT * FROM published.exposure_address_counts
    WHERE cousub_fips IN (SELECT cousub_fips FROM counted_whole) AND (layer = '' OR layer = ANY(%(layers)s::text[]))
),
all_facilities AS MATERIALIZED (
    SELECT * FROM facilities
    UNION ALL
    SELECT * FROM published.exposure_facilities
    WHERE cousub_fips IN (SELECT cousub_fips FROM counted_whole) AND (layer = '' OR layer = ANY(%(layers)s::text[]))
),
listed AS (
    SELECT f.critical_facility_uid, f.lifeline, f.component, f.facility_type, f.facility_name, f.address, f.source_list,
        f.layer_version, min(t.town_name) AS town_name, ST_X(f.geom_lonlat) AS lon, ST_Y(f.geom_lonlat) AS lat,
        jsonb_object_agg(a.layer, a.class) FILTER (WHERE a.layer <> '') AS classes
    FROM all_facilities AS a
    JOIN published.critical_facilities AS f ON f.critical_facility_uid = a.critical_facility_uid
    LEFT JOIN published.towns AS t ON t.cousub_fips = a.cousub_fips
    GROUP BY f.critical_facility_uid, f.lifeline, f.component, f.facility_type, f.facility_name, f.address, f.source_list,
        f.layer_version, f.geom_lonlat
)
SELECT
    (SELECT json_agg(f) FROM figures AS f) AS figures,
    (SELECT json_agg(f) FROM town_figures AS f) AS town_figures,
    (SELECT json_agg(c) FROM all_covers AS c) AS covers,
    (SELECT json_agg(a) FROM all_addresses AS a) AS addresses,
    (SELECT json_agg(l ORDER BY l.lifeline, l.facility_name, l.critical_facility_uid) FROM listed AS l) AS facilities,
    (SELECT json_agg(l ORDER BY l.layer) FROM published.exposure_layers AS l) AS layers,
    (SELECT json_agg(t ORDER BY t.town_name) FROM (
        SELECT t.cousub_fips, t.town_name, t.planning_region_name,
            (SELECT json_object_agg(d.dataset, json_build_object('year', d.year, 'published_at', d.published_at))
             FROM published.exposure_deliveries AS d WHERE d.cousub_fips = t.cousub_fips) AS delivered
        FROM published.towns AS t WHERE t.cousub_fips IN (SELECT cousub_fips FROM answering)
    ) AS t) AS towns,
    (SELECT max(year) FROM published.exposure_deliveries WHERE dataset = 'parcel') AS newest_year,
    (SELECT ST_Area(ST_Transform(area, %(srid)s)) FROM drawn) AS drawn_sqft
