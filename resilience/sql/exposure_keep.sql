,
keep_cells AS (
    INSERT INTO resilience.exposure_cell
        (cousub_fips, layer, kind, class, share_step, valuation_year, is_exempt, twice_with, parcels, parcels_centre, area_sqft,
         assessed_usd, appraised_usd, values_counted, values_missing, no_assessment, units, units_missing)
    SELECT * FROM cells
),
keep_parcels AS (
    INSERT INTO resilience.exposure_parcel (parcel_uid, cousub_fips, answered, gaps, unknown_pct, codes, sqft)
    SELECT * FROM lists
),
keep_points AS (
    INSERT INTO resilience.exposure_point (address_uid, cousub_fips, unlinked, codes)
    SELECT address_uid, cousub_fips, unlinked, codes FROM point_lists
),
keep_covers AS (
    INSERT INTO resilience.exposure_cover
        (cousub_fips, layer, parcels, mapped, partly_mapped, not_mapped, unknown, unknown_sqft, without_bfe, of_older_layer,
         of_older_parcel)
    SELECT cousub_fips, layer, parcels, mapped, partly_mapped, not_mapped, unknown, unknown_sqft, without_bfe, of_older_layer,
        of_older_parcel
    FROM covers
),
keep_addresses AS (
    INSERT INTO resilience.exposure_address (cousub_fips, layer, class, addresses, unlinked, without_bfe, older)
    SELECT * FROM addresses
),
keep_facilities AS (
    INSERT INTO resilience.exposure_facility (cousub_fips, critical_facility_uid, layer, class, zone_label)
    SELECT * FROM facilities
)
INSERT INTO resilience.exposure_town (cousub_fips, counted_at, counted_by)
SELECT town, now(), %(counted_by)s FROM asked
