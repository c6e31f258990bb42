-- Everything that `exposure` counts, by town: the parts cells, covers, addresses and facilities. Two statements go on from
-- here, one that answers and one that keeps the counts of a town. Parcels and addresses are those of the towns that are
-- asked for and not counted already, or those that the drawn area touches.
WITH counted AS MATERIALIZED (
    SELECT cousub_fips FROM published.exposure_towns WHERE %(use_counted)s AND cousub_fips = ANY(%(towns)s::text[])
),
asked AS MATERIALIZED (
    SELECT town FROM unnest(%(towns)s::text[]) AS town WHERE town NOT IN (SELECT cousub_fips FROM counted)
),
drawn AS MATERIALIZED (
    SELECT ST_SetSRID(ST_GeomFromWKB(%(area)s::bytea), 4326) AS area
),
classes AS MATERIALIZED (
    SELECT * FROM unnest(%(class_layers)s::text[], %(class_codes)s::text[], %(class_families)s::integer[],
        %(class_places)s::integer[], %(class_numbers)s::integer[]) AS c (layer, class, family, place, number)
),
picked AS MATERIALIZED (
    SELECT
        p.parcel_uid, p.cousub_fips, p.area_sqft, p.stack_count, p.shape_hash, p.link, p.assessment_count,
        p.assessed_total_usd, p.appraised_total_usd, p.valuation_year, p.dwelling_unit_count, p.is_exempt,
        p.parcels_sharing, p.counts_here, p.twin_uid, p.twin_town, inside.*
    FROM {parcels}
),
selected AS MATERIALIZED (
    -- A lot on two rolls counts twice only where both its rows are in the answer.
    SELECT p.*, t.twice_with, dense_rank() OVER (ORDER BY p.cousub_fips, p.valuation_year, p.is_exempt, t.twice_with) AS sort
    FROM picked AS p
    CROSS JOIN LATERAL (
        SELECT CASE WHEN %(area)s::bytea IS NULL OR p.twin_uid IN (SELECT parcel_uid FROM picked) THEN p.twin_town END
            AS twice_with
    ) AS t
),
hazards AS MATERIALIZED (
    SELECT h.*, s.cousub_fips, s.area_sqft, s.stack_count, s.shape_hash
    FROM selected AS s JOIN published.exposure_parcel_hazards AS h ON h.parcel_uid = s.parcel_uid
    WHERE h.layer = ANY(%(layers)s::text[])
),
pieces AS MATERIALIZED (
    SELECT h.parcel_uid, h.layer, h.centroid_class, a.key AS class, a.value::double precision AS sqft
    FROM hazards AS h, jsonb_each_text(h.area_by_class) AS a
    WHERE h.worst_class_rank > %(calm_rank)s
),
met AS MATERIALIZED (
    SELECT p.parcel_uid, c.family, c.place, c.number, p.sqft, p.centroid_class = c.class AS centre
    FROM pieces AS p JOIN classes AS c ON c.layer = p.layer AND c.class = p.class
),
running AS (
    -- A place belongs to the first class of its family that reaches it, and so to what all later ones reach, too.
    SELECT parcel_uid, family, place, sum(sqft) OVER reached AS sqft, bool_or(centre) OVER reached AS centre,
        lead(place) OVER reached AS next_place
    FROM met
    WINDOW reached AS (PARTITION BY parcel_uid, family ORDER BY place)
),
grouped AS (
    SELECT parcel_uid, 2 AS kind, number, sqft, centre FROM met
    UNION ALL
    SELECT r.parcel_uid, 3, c.number, r.sqft, r.centre
    FROM running AS r
    JOIN classes AS c ON c.family = r.family AND c.place >= r.place AND (r.next_place IS NULL OR c.place < r.next_place)
    UNION ALL
    -- A layer's families count from a multiple of ten on.
    SELECT parcel_uid, 1, family / 10, sum(sqft), bool_or(centre) FROM met GROUP BY parcel_uid, family / 10
    UNION ALL
    SELECT parcel_uid, 0, 0, least(in_area_pct, 100) / 100 * area_sqft, centre_inside FROM selected
),
shared AS MATERIALIZED (
    SELECT s.sort, g.kind, g.number, g.sqft, g.centre, s.stack_count, s.area_sqft, s.parcel_uid, s.parcels_sharing,
        s.cousub_fips, s.link, s.counts_here, s.assessed_total_usd, s.appraised_total_usd, s.dwelling_unit_count,
        s.assessment_count,
        CASE WHEN s.area_sqft > 0 THEN round(g.sqft / s.area_sqft * 1e6) / 1e4 ELSE 0 END AS share_pct
    FROM grouped AS g JOIN selected AS s ON s.parcel_uid = g.parcel_uid
),
valued AS (
    SELECT *, true AS has_value FROM shared WHERE parcels_sharing = 1
    UNION ALL
    -- Of the parcels that have one link, the one with the largest share stands for their value.
    SELECT *, row_number() OVER (
        PARTITION BY kind, number, cousub_fips, link ORDER BY share_pct DESC, counts_here DESC, parcel_uid
    ) = 1
    FROM shared WHERE parcels_sharing > 1
),
summed AS MATERIALIZED (
    SELECT
        sort, kind, number,
        width_bucket(share_pct, %(shares)s::double precision[])::smallint AS share_step,
        count(*) AS parcels,
        count(*) FILTER (WHERE centre) AS parcels_centre,
        sum(CASE kind WHEN 0 THEN area_sqft ELSE sqft END / stack_count) AS area_sqft,
        sum(assessed_total_usd) FILTER (WHERE has_value) AS assessed_usd,
        sum(appraised_total_usd) FILTER (WHERE has_value) AS appraised_usd,
        count(*) FILTER (WHERE has_value AND assessment_count > 0 AND assessed_total_usd IS NOT NULL) AS values_counted,
        count(*) FILTER (WHERE has_value AND assessment_count > 0 AND assessed_total_usd IS NULL) AS values_missing,
        count(*) FILTER (WHERE assessment_count = 0) AS no_assessment,
        sum(dwelling_unit_count) FILTER (WHERE has_value) AS units,
        count(*) FILTER (WHERE has_value AND assessment_count > 0 AND dwelling_unit_count IS NULL) AS units_missing
    FROM valued
    GROUP BY 1, 2, 3, 4
),
cells AS MATERIALIZED (
    SELECT
        k.cousub_fips, coalesce(c.layer, l.layer, '') AS layer, (ARRAY['all', 'any', 'alone', 'up_to'])[s.kind + 1] AS kind,
        coalesce(c.class, '') AS class, s.share_step, k.valuation_year, k.is_exempt, k.twice_with,
        s.parcels, s.parcels_centre, s.area_sqft, s.assessed_usd, s.appraised_usd, s.values_counted, s.values_missing,
        s.no_assessment, s.units, s.units_missing
    FROM summed AS s
    JOIN (SELECT DISTINCT sort, cousub_fips, valuation_year, is_exempt, twice_with FROM selected) AS k ON k.sort = s.sort
    LEFT JOIN classes AS c ON s.kind > 1 AND c.number = s.number
    LEFT JOIN (SELECT DISTINCT layer, family / 10 AS number FROM classes) AS l ON s.kind = 1 AND l.number = s.number
),
current AS MATERIALIZED (
    SELECT layer, layer_load_id FROM published.exposure_layers
),
covers AS MATERIALIZED (
    SELECT
        h.cousub_fips, h.layer,
        count(*) AS parcels,
        count(*) FILTER (WHERE coverage = 'mapped') AS mapped,
        count(*) FILTER (WHERE coverage = 'partly mapped') AS partly_mapped,
        count(*) FILTER (WHERE coverage = 'not mapped') AS not_mapped,
        count(*) FILTER (WHERE unknown_share_pct > 0) AS unknown,
        coalesce(sum(unknown_share_pct / 100 * area_sqft / stack_count), 0) AS unknown_sqft,
        count(*) FILTER (WHERE sfha_share_pct > 0 AND static_bfe_ft IS NULL) AS without_bfe,
        count(*) FILTER (WHERE h.layer_load_id IS DISTINCT FROM c.layer_load_id) AS of_older_layer,
        count(*) FILTER (WHERE h.parcel_shape_hash <> h.shape_hash) AS of_older_parcel
    FROM hazards AS h LEFT JOIN current AS c ON c.layer = h.layer
    GROUP BY h.cousub_fips, h.layer
),
points AS MATERIALIZED (
    SELECT a.address_uid, a.cousub_fips, a.parcel_uid, a.shape_hash FROM {addresses}
),
addresses AS MATERIALIZED (
    SELECT cousub_fips, '' AS layer, '' AS class, count(*) AS addresses, count(*) FILTER (WHERE parcel_uid IS NULL) AS unlinked,
        0 AS without_bfe, 0 AS older
    FROM points GROUP BY cousub_fips
    UNION ALL
    SELECT a.cousub_fips, h.layer, h.zone_class, count(*), count(*) FILTER (WHERE a.parcel_uid IS NULL),
        count(*) FILTER (WHERE h.is_sfha AND h.static_bfe_ft IS NULL),
        count(*) FILTER (WHERE h.layer_load_id IS DISTINCT FROM c.layer_load_id OR h.address_shape_hash <> a.shape_hash)
    FROM points AS a
    JOIN published.exposure_address_hazards AS h ON h.address_uid = a.address_uid
    LEFT JOIN current AS c ON c.layer = h.layer
    WHERE h.layer = ANY(%(layers)s::text[])
    GROUP BY a.cousub_fips, h.layer, h.zone_class
),
places AS MATERIALIZED (
    SELECT t.cousub_fips, f.critical_facility_uid, f.geom
    FROM {facilities}
),
facilities AS MATERIALIZED (
    SELECT p.cousub_fips, p.critical_facility_uid, l.layer,
        coalesce(z.zone_class, CASE WHEN EXISTS (
            SELECT 1 FROM published.exposure_coverages AS c WHERE c.layer = l.layer AND ST_Intersects(c.geom, p.geom)
        ) THEN 'no_zone' ELSE 'not_mapped' END) AS class,
        z.zone_label
    FROM places AS p
    CROSS JOIN unnest(%(zone_layers)s::text[]) AS l (layer)
    LEFT JOIN LATERAL ({zones}) AS z ON true
)
