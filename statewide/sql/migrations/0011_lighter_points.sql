-- What address points, their links and parcels paid for and nobody asked.
-- Boxes in metres of Web Mercator are looked up in degrees, which they are by a formula; address points are looked up by
-- their town and in degrees alone. Whether the town of a row is in the register is asked of its publication.
DO $$
DECLARE known record;
BEGIN
    FOR known IN
        SELECT schemaname, indexname FROM pg_indexes
        WHERE schemaname IN ('statewide', 'cadastral', 'addresses', 'resilience')
          AND (indexname LIKE '%\_geom\_mercator\_idx' OR indexname = 'address_point_geom_idx')
    LOOP
        EXECUTE format('DROP INDEX %I.%I', known.schemaname, known.indexname);
    END LOOP;
END $$;
ALTER TABLE IF EXISTS addresses.address_point DROP CONSTRAINT IF EXISTS address_point_cousub_fips_fkey;
ALTER TABLE IF EXISTS cadastral.parcel DROP CONSTRAINT IF EXISTS parcel_cousub_fips_fkey;
ALTER TABLE IF EXISTS cadastral.assessment DROP CONSTRAINT IF EXISTS assessment_cousub_fips_fkey;
-- Links are looked up within their town.
DROP INDEX IF EXISTS addresses.address_parcel_cousub_fips_idx, addresses.address_parcel_address_uid_idx,
    addresses.address_parcel_parcel_uid_idx;
