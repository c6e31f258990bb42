-- Everything that `exposure` counts, by town: the parts cells, covers, addresses and facilities. Two statements go on from
-- here, one that answers and one that keeps the counts of a town. Parcels and addresses are those of the towns that are
-- asked for and not counted already, or those that the drawn area touches.
--
-- What the layers say of one parcel is a list of numbers, a number for each group that it is in: any hazard of a layer, a
-- class alone, all up to a class. A number is ((kind * 1000 + class or layer) * 32 + how many shares are reached) * 2 + 1 if
-- the middle of the parcel is in the group. Of towns that are counted the lists are kept, of others they are made here.
WITH counted AS MATERIALIZED (
    SELECT cousub_fips FROM published.exposure_towns
    WHERE %(use_counted)s AND counted_by = %(counted_by)s
      AND (%(towns)s::text[] IS NULL OR cousub_fips = ANY(%(towns)s::text[]))
),
asked AS MATERIALIZED (
    SELECT town FROM unnest(%(towns)s::text[]) AS town WHERE town NOT IN (SELECT cousub_fips FROM counted)
),
drawn AS MATERIALIZED (
    SELECT ST_SetSRID(ST_GeomFromWKB(%(area)s::bytea), 4326) AS area
),
layers AS MATERIALIZED (
    SELECT n.layer, n.number, c.layer_load_id
    FROM unnest(%(layers)s::text[], %(layer_numbers)s::integer[]) AS n (layer, number)
    LEFT JOIN published.exposure_layers AS c ON c.layer = n.layer
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
    SELECT h.parcel_uid, h.layer, h.centroid_class, h.area_by_class, h.worst_class_rank, h.unknown_share_pct, s.area_sqft,
        l.number,
        (h.coverage = 'partly mapped')::integer + 2 * (h.coverage = 'not mapped')::integer
            + 4 * (h.unknown_share_pct > 0)::integer
            + 8 * coalesce(h.sfha_share_pct > 0 AND h.static_bfe_ft IS NULL, false)::integer
            + 16 * (h.layer_load_id IS DISTINCT FROM l.layer_load_id)::integer
            + 32 * (h.parcel_shape_hash <> s.shape_hash)::integer AS gap
    FROM selected AS s
    JOIN published.exposure_parcel_hazards AS h ON h.parcel_uid = s.parcel_uid
    JOIN layers AS l ON l.layer = h.layer
    WHERE s.cousub_fips NOT IN (SELECT cousub_fips FROM counted) AND {of_towns}
),
pieces AS MATERIALIZED (
    SELECT h.parcel_uid, h.area_sqft, h.layer, h.centroid_class, a.key AS class, a.value::double precision AS sqft
    FROM hazards AS h, jsonb_each_text(h.area_by_class) AS a
    WHERE h.worst_class_rank > %(calm_rank)s
),
met AS MATERIALIZED (
    SELECT p.parcel_uid, p.area_sqft, c.family, c.place, c.number, p.sqft,
        coalesce(p.centroid_class = c.class, false) AS centre
    FROM pieces AS p JOIN classes AS c ON c.layer = p.layer AND c.class = p.class
),
running AS (
    -- A place belongs to the first class of its family that reaches it, and so to what all later ones reach, too.
    SELECT parcel_uid, area_sqft, family, place, sum(sqft) OVER reached AS sqft, bool_or(centre) OVER reached AS centre,
        lead(place) OVER reached AS next_place
    FROM met
    WINDOW reached AS (PARTITION BY parcel_uid, family ORDER BY place)
),
grouped AS (
    SELECT parcel_uid, area_sqft, 2 AS kind, number, sqft, centre FROM met
    UNION ALL
    SELECT r.parcel_uid, r.area_sqft, 3, c.number, r.sqft, r.centre
    FROM running AS r
    JOIN classes AS c ON c.family = r.family AND c.place >= r.place AND (r.next_place IS NULL OR c.place < r.next_place)
    UNION ALL
    -- A layer's families count from a multiple of ten on.
    SELECT parcel_uid, max(area_sqft), 1, family / 10, sum(sqft), bool_or(centre) FROM met GROUP BY parcel_uid, family / 10
),
made AS MATERIALIZED (
    SELECT g.parcel_uid,
        array_agg(((kind * 1000 + number) * 32 + {step}) * 2 + centre::integer ORDER BY kind, number) AS codes,
        array_agg(sqft ORDER BY kind, number) AS sqft
    FROM grouped AS g
    CROSS JOIN LATERAL (
        SELECT CASE WHEN g.area_sqft > 0 THEN round(g.sqft / g.area_sqft * 1e6) / 1e4 ELSE 0 END AS share_pct
    ) AS s
    GROUP BY g.parcel_uid
),
told AS MATERIALIZED (
    SELECT parcel_uid, sum(1 << number)::integer AS answered,
        array_agg(number * 64 + gap ORDER BY number) FILTER (WHERE gap > 0) AS gaps,
        array_agg(unknown_share_pct ORDER BY number) FILTER (WHERE gap > 0) AS unknown_pct
    FROM hazards GROUP BY parcel_uid
),
lists AS MATERIALIZED (
    SELECT s.parcel_uid, s.cousub_fips, coalesce(t.answered, 0) AS answered, t.gaps, t.unknown_pct, m.codes, m.sqft
    FROM selected AS s
    LEFT JOIN told AS t ON t.parcel_uid = s.parcel_uid
    LEFT JOIN made AS m ON m.parcel_uid = s.parcel_uid
    WHERE s.cousub_fips NOT IN (SELECT cousub_fips FROM counted)
    UNION ALL
    SELECT k.parcel_uid, k.cousub_fips, k.answered, k.gaps, k.unknown_pct, k.codes, k.sqft
    FROM selected AS s JOIN published.exposure_parcel_lists AS k ON k.parcel_uid = s.parcel_uid
    WHERE s.cousub_fips IN (SELECT cousub_fips FROM counted)
),
parcels AS MATERIALIZED (
    SELECT s.*, l.answered, l.gaps, l.unknown_pct, l.codes, l.sqft,
        ((0 * 32 + {step}) * 2 + s.centre_inside::integer) AS whole
    FROM selected AS s
    JOIN lists AS l ON l.parcel_uid = s.parcel_uid
    CROSS JOIN LATERAL (SELECT round(s.in_area_pct * 1e4) / 1e4 AS share_pct) AS i
),
alike AS MATERIALIZED (
    -- Most parcels are in the same groups as many others: first those are put together.
    SELECT sort, codes || whole AS codes, count(*) AS parcels,
        sum(assessed_total_usd) FILTER (WHERE parcels_sharing = 1) AS assessed_usd,
        sum(appraised_total_usd) FILTER (WHERE parcels_sharing = 1) AS appraised_usd,
        count(*) FILTER (WHERE parcels_sharing = 1 AND assessment_count > 0 AND assessed_total_usd IS NOT NULL)
            AS values_counted,
        count(*) FILTER (WHERE parcels_sharing = 1 AND assessment_count > 0 AND assessed_total_usd IS NULL)
            AS values_missing,
        count(*) FILTER (WHERE assessment_count = 0) AS no_assessment,
        sum(dwelling_unit_count) FILTER (WHERE parcels_sharing = 1) AS units,
        count(*) FILTER (WHERE parcels_sharing = 1 AND assessment_count > 0 AND dwelling_unit_count IS NULL)
            AS units_missing
    FROM parcels GROUP BY sort, 2
),
sharing AS (
    -- Of the parcels that have one link, the one with the largest share stands for their value.
    SELECT p.sort, p.assessed_total_usd, p.appraised_total_usd, p.assessment_count, p.dwelling_unit_count, g.code,
        row_number() OVER (
            PARTITION BY p.cousub_fips, p.link, g.code / 64
            ORDER BY CASE WHEN p.area_sqft > 0 THEN g.sqft / p.area_sqft ELSE 0 END DESC, p.counts_here DESC, p.parcel_uid
        ) = 1 AS has_value
    FROM parcels AS p
    CROSS JOIN LATERAL unnest(p.codes || p.whole, p.sqft || p.in_area_pct * p.area_sqft) AS g (code, sqft)
    WHERE p.parcels_sharing > 1
),
summed AS (
    SELECT sort, code, parcels, 0 AS area_sqft, assessed_usd, appraised_usd, values_counted, values_missing, no_assessment,
        units, units_missing
    FROM alike, unnest(codes) AS code
    UNION ALL
    SELECT sort, code, 0, 0, assessed_total_usd, appraised_total_usd,
        (assessment_count > 0 AND assessed_total_usd IS NOT NULL)::integer,
        (assessment_count > 0 AND assessed_total_usd IS NULL)::integer, 0, dwelling_unit_count,
        (assessment_count > 0 AND dwelling_unit_count IS NULL)::integer
    FROM sharing WHERE has_value
    UNION ALL
    SELECT p.sort, g.code, 0, sum(g.sqft / p.stack_count), NULL, NULL, 0, 0, 0, NULL, 0
    FROM parcels AS p CROSS JOIN LATERAL unnest(p.codes || p.whole, p.sqft || p.area_sqft) AS g (code, sqft)
    GROUP BY p.sort, g.code
),
by_code AS MATERIALIZED (
    SELECT sort, code, sum(parcels) AS parcels, sum(area_sqft) AS area_sqft, sum(assessed_usd) AS assessed_usd,
        sum(appraised_usd) AS appraised_usd, sum(values_counted) AS values_counted, sum(values_missing) AS values_missing,
        sum(no_assessment) AS no_assessment, sum(units) AS units, sum(units_missing) AS units_missing
    FROM summed GROUP BY sort, code
),
cells AS MATERIALIZED (
    SELECT
        k.cousub_fips, coalesce(c.layer, l.layer, '') AS layer,
        (ARRAY['all', 'any', 'alone', 'up_to'])[s.code / 64000 + 1] AS kind,
        coalesce(c.class, '') AS class, s.code / 2 %% 32 AS share_step, k.valuation_year, k.is_exempt, k.twice_with,
        s.parcels::integer AS parcels, (s.parcels * (s.code %% 2))::integer AS parcels_centre, s.area_sqft, s.assessed_usd,
        s.appraised_usd, s.values_counted, s.values_missing, s.no_assessment, s.units, s.units_missing
    FROM by_code AS s
    JOIN (SELECT DISTINCT sort, cousub_fips, valuation_year, is_exempt, twice_with FROM selected) AS k ON k.sort = s.sort
    LEFT JOIN classes AS c ON s.code >= 128000 AND c.number = s.code / 64 %% 1000
    LEFT JOIN layers AS l ON s.code / 64000 = 1 AND l.number = s.code / 64 %% 1000
    WHERE s.code < 64000 OR c.number IS NOT NULL OR l.number IS NOT NULL
),
answered AS MATERIALIZED (
    SELECT cousub_fips, answered, count(*) AS parcels FROM parcels GROUP BY cousub_fips, answered
),
gaps AS MATERIALIZED (
    SELECT p.cousub_fips, g.gap / 64 AS number, g.gap %% 64 AS gap, count(*) AS parcels,
        sum(g.unknown_pct / 100 * p.area_sqft / p.stack_count) AS unknown_sqft
    FROM parcels AS p CROSS JOIN LATERAL unnest(p.gaps, p.unknown_pct) AS g (gap, unknown_pct)
    GROUP BY p.cousub_fips, g.gap
),
covers AS MATERIALIZED (
    SELECT a.cousub_fips, l.layer, a.parcels, a.parcels - g.partly_mapped - g.not_mapped AS mapped, g.*
    FROM layers AS l
    CROSS JOIN (SELECT DISTINCT cousub_fips FROM answered) AS t
    CROSS JOIN LATERAL (
        SELECT t.cousub_fips, coalesce(sum(parcels), 0) AS parcels FROM answered
        WHERE cousub_fips = t.cousub_fips AND answered & (1 << l.number) > 0
    ) AS a
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(parcels) FILTER (WHERE gap & 1 > 0), 0) AS partly_mapped,
            coalesce(sum(parcels) FILTER (WHERE gap & 2 > 0), 0) AS not_mapped,
            coalesce(sum(parcels) FILTER (WHERE gap & 4 > 0), 0) AS unknown,
            coalesce(sum(unknown_sqft), 0) AS unknown_sqft,
            coalesce(sum(parcels) FILTER (WHERE gap & 8 > 0), 0) AS without_bfe,
            coalesce(sum(parcels) FILTER (WHERE gap & 16 > 0), 0) AS of_older_layer,
            coalesce(sum(parcels) FILTER (WHERE gap & 32 > 0), 0) AS of_older_parcel
        FROM gaps WHERE cousub_fips = t.cousub_fips AND number = l.number
    ) AS g
    WHERE a.parcels > 0
),
points AS MATERIALIZED (
    SELECT a.address_uid, a.cousub_fips, a.shape_hash FROM {addresses}
),
point_classes AS MATERIALIZED (
    SELECT * FROM unnest(%(point_layers)s::text[], %(point_codes)s::text[], %(point_numbers)s::integer[])
        AS c (layer, class, number)
),
point_lists AS MATERIALIZED (
    -- Likewise for an address: the class of each layer, times four, plus 1 without a flood elevation, plus 2 of old.
    SELECT a.address_uid, a.cousub_fips, t.parcel_uid IS NULL AS unlinked,
        array_agg(c.number * 4 + coalesce(h.is_sfha AND h.static_bfe_ft IS NULL, false)::integer
            + 2 * (h.layer_load_id IS DISTINCT FROM l.layer_load_id OR h.address_shape_hash <> a.shape_hash)::integer
            ORDER BY c.number) FILTER (WHERE c.number IS NOT NULL) AS codes
    FROM points AS a
    JOIN published.exposure_addresses AS t ON t.address_uid = a.address_uid
    LEFT JOIN published.exposure_address_hazards AS h ON h.address_uid = a.address_uid AND {of_towns}
    LEFT JOIN layers AS l ON l.layer = h.layer
    LEFT JOIN point_classes AS c ON c.layer = h.layer AND c.class = h.zone_class
    WHERE a.cousub_fips NOT IN (SELECT cousub_fips FROM counted)
    GROUP BY a.address_uid, a.cousub_fips, t.parcel_uid
    UNION ALL
    SELECT a.address_uid, a.cousub_fips, k.unlinked, k.codes
    FROM points AS a JOIN published.exposure_address_lists AS k ON k.address_uid = a.address_uid
    WHERE a.cousub_fips IN (SELECT cousub_fips FROM counted)
),
points_alike AS (
    SELECT cousub_fips, unlinked, codes, count(*) AS addresses FROM point_lists GROUP BY cousub_fips, unlinked, codes
),
addresses AS MATERIALIZED (
    SELECT cousub_fips, '' AS layer, '' AS class, sum(addresses) AS addresses,
        coalesce(sum(addresses) FILTER (WHERE unlinked), 0) AS unlinked, 0 AS without_bfe, 0 AS older
    FROM points_alike GROUP BY cousub_fips
    UNION ALL
    SELECT a.cousub_fips, c.layer, c.class, sum(a.addresses), coalesce(sum(a.addresses) FILTER (WHERE a.unlinked), 0),
        coalesce(sum(a.addresses) FILTER (WHERE code & 1 > 0), 0), coalesce(sum(a.addresses) FILTER (WHERE code & 2 > 0), 0)
    FROM points_alike AS a CROSS JOIN unnest(a.codes) AS code
    JOIN point_classes AS c ON c.number = code / 4
    GROUP BY a.cousub_fips, c.layer, c.class
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
