-- What the records of each parcel's link say together. Sums are rounded to cents, so that their order makes no difference.
CREATE TEMPORARY TABLE wanted_value ON COMMIT DROP AS
WITH record AS (
    SELECT
        cama_link_normalized, record_role, record_role NOT IN ('further_card', 'duplicate') AS counts,
        assessed_total_usd, appraised_total_usd, appraised_land_usd, appraised_building_usd, appraised_outbuilding_usd,
        valuation_year, use_class, year_built, living_area_sqft, dwelling_unit_count
    FROM cadastral.assessment
    WHERE cousub_fips = %(town)s
),
summed AS (
    SELECT
        cama_link_normalized,
        count(*)::integer AS assessment_count,
        round(sum(assessed_total_usd) FILTER (WHERE counts)::numeric, 2)::float8 AS assessed_total_usd,
        round(sum(appraised_total_usd) FILTER (WHERE counts)::numeric, 2)::float8 AS appraised_total_usd,
        round(sum(appraised_land_usd) FILTER (WHERE counts)::numeric, 2)::float8 AS appraised_land_usd,
        round(sum(appraised_building_usd) FILTER (WHERE counts)::numeric, 2)::float8 AS appraised_building_usd,
        round(sum(appraised_outbuilding_usd) FILTER (WHERE counts)::numeric, 2)::float8 AS appraised_outbuilding_usd,
        min(valuation_year) AS valuation_year,
        round(sum(living_area_sqft) FILTER (WHERE record_role <> 'duplicate')::numeric, 2)::float8 AS living_area_sqft,
        (sum(dwelling_unit_count) FILTER (WHERE counts))::integer AS dwelling_unit_count
    FROM record
    WHERE cama_link_normalized IS NOT NULL
    GROUP BY cama_link_normalized
),
most_valuable AS (
    SELECT DISTINCT ON (cama_link_normalized) cama_link_normalized, use_class
    FROM record
    WHERE counts
    ORDER BY cama_link_normalized, coalesce(appraised_total_usd, assessed_total_usd) DESC NULLS LAST, use_class
),
main_building AS (
    SELECT DISTINCT ON (cama_link_normalized) cama_link_normalized, year_built
    FROM record
    WHERE year_built IS NOT NULL
    ORDER BY cama_link_normalized, coalesce(appraised_total_usd, assessed_total_usd) DESC NULLS LAST,
        (record_role = 'main_card') DESC, year_built
)
SELECT
    parcel.parcel_uid, parcel.cousub_fips,
    coalesce(summed.assessment_count, 0) AS assessment_count,
    coalesce(link_home.parcels_sharing, 1) AS parcels_sharing,
    coalesce(link_home.parcel_uid = parcel.parcel_uid, true) AS counts_here,
    summed.assessed_total_usd, summed.appraised_total_usd, summed.appraised_land_usd, summed.appraised_building_usd,
    summed.appraised_outbuilding_usd, summed.valuation_year, most_valuable.use_class, main_building.year_built,
    summed.living_area_sqft, summed.dwelling_unit_count
FROM cadastral.parcel AS parcel
LEFT JOIN link_home USING (cama_link_normalized)
LEFT JOIN summed USING (cama_link_normalized)
LEFT JOIN most_valuable USING (cama_link_normalized)
LEFT JOIN main_building USING (cama_link_normalized)
WHERE parcel.cousub_fips = %(town)s AND EXISTS (SELECT 1 FROM record)
