-- What is said of a parcel or an address has its town and its shape from it, and versions of layers are never deleted: no
-- constraint asks so for each row.
DO $$ DECLARE
    answers text;
BEGIN
    FOREACH answers IN ARRAY ARRAY['parcel_hazard', 'address_hazard', 'parcel_imagery'] LOOP
        IF to_regclass('resilience.' || answers) IS NOT NULL THEN
            EXECUTE format(
                'ALTER TABLE resilience.%1$I DROP CONSTRAINT IF EXISTS %1$s_cousub_fips_fkey,'
                ' DROP CONSTRAINT IF EXISTS %1$s_layer_load_id_fkey, DROP CONSTRAINT IF EXISTS %1$s_parcel_uid_fkey,'
                ' DROP CONSTRAINT IF EXISTS %1$s_address_uid_fkey', answers
            );
        END IF;
    END LOOP;
END $$;
