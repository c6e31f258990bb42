-- Answers about other layers than FEMA's have no special flood hazard area.
DO $$ BEGIN
    IF to_regclass('resilience.parcel_hazard') IS NOT NULL THEN
        ALTER TABLE resilience.parcel_hazard
            ALTER COLUMN sfha_area_sqft DROP NOT NULL, ALTER COLUMN sfha_share_pct DROP NOT NULL;
    END IF;
END $$;
