-- The assessed buildings of a town as the public may see them, each value once: one row for each link that has a building.
-- What a record says of the building is that of the most valuable record of the link.
WITH record AS (
    SELECT
        parcel_uid, record_role NOT IN ('further_card', 'duplicate') AS counts, state_use_description, style_description, stories,
        basement_type, coalesce(finished_basement_sqft, 0) > 0 OR coalesce(basement_garage_count, 0) > 0 AS has_basement,
        replacement_cost_usd, appraised_building_usd,
        row_number() OVER (
            PARTITION BY parcel_uid
            ORDER BY record_role IN ('further_card', 'duplicate'), coalesce(appraised_total_usd, assessed_total_usd) DESC NULLS LAST,
                assessment_uid
        ) AS place
    FROM published.assessments
    WHERE cousub_fips = %(town)s AND parcel_uid IS NOT NULL
),
-- A sum that some building has no part in would be too low, so it is none.
replacement AS (
    SELECT parcel_uid, sum(replacement_cost_usd) FILTER (WHERE counts) AS usd
    FROM record
    GROUP BY parcel_uid
    HAVING bool_and(replacement_cost_usd IS NOT NULL) FILTER (WHERE counts AND coalesce(appraised_building_usd, 0) > 0)
),
at_address AS (
    SELECT address.parcel_uid, avg(hazard.depth_ft) AS depth_ft, max(hazard.layer_version) AS layer_version
    FROM published.address_hazards AS hazard
    JOIN published.addresses AS address USING (address_uid)
    WHERE hazard.cousub_fips = %(town)s AND address.cousub_fips = %(town)s AND hazard.layer = 'depth-grid'
        AND hazard.coverage = 'mapped'
    GROUP BY address.parcel_uid
),
over_parcel AS (
    SELECT
        parcel_uid, layer_version,
        CASE
            WHEN mapped_share_pct >= %(mapped_share_pct)s THEN coalesce(depth_mean_ft * wet_share_pct / mapped_share_pct, 0)
        END AS depth_ft
    FROM published.parcel_hazards
    WHERE cousub_fips = %(town)s AND layer = 'depth-grid'
)
SELECT
    parcel.parcel_uid::text AS parcel_uid,
    parcel.cousub_fips,
    ST_X(point.geom) AS longitude,
    ST_Y(point.geom) AS latitude,
    parcel.use_class,
    main.state_use_description,
    main.style_description,
    main.stories AS storeys,
    main.basement_type,
    main.has_basement,
    coalesce(parcel.dwelling_unit_count, parcel.assessment_count)::float8 AS homes,
    replacement.usd AS replacement_cost_usd,
    parcel.appraised_building_usd,
    zone.centroid_class AS zone,
    at_address.depth_ft AS depth_at_address_ft,
    over_parcel.depth_ft AS depth_over_parcel_ft,
    coalesce(at_address.layer_version, over_parcel.layer_version) AS depth_version
FROM published.parcels AS parcel
CROSS JOIN LATERAL (SELECT ST_PointOnSurface(parcel.geom_lonlat) AS geom) AS point
LEFT JOIN record AS main ON main.parcel_uid = parcel.parcel_uid AND main.place = 1
LEFT JOIN replacement ON replacement.parcel_uid = parcel.parcel_uid
LEFT JOIN at_address ON at_address.parcel_uid = parcel.parcel_uid
LEFT JOIN over_parcel ON over_parcel.parcel_uid = parcel.parcel_uid
LEFT JOIN published.parcel_hazards AS zone
    ON zone.parcel_uid = parcel.parcel_uid AND zone.cousub_fips = %(town)s AND zone.layer = 'flood-zones'
WHERE parcel.cousub_fips = %(town)s AND parcel.counts_here AND parcel.assessment_count > 0
    AND (
        parcel.appraised_building_usd > 0
        OR replacement.usd > 0
        OR (parcel.appraised_building_usd IS NULL AND parcel.year_built IS NOT NULL)
    )
ORDER BY parcel.parcel_uid
