-- Indexes of shapes are SP-GiST in the law, which makes them anew.
DO $$
DECLARE known record;
BEGIN
    FOR known IN
        SELECT schemaname, indexname FROM pg_indexes
        WHERE schemaname IN ('statewide', 'cadastral', 'addresses', 'resilience')
          AND indexname ~ '_geom(_lonlat)?_idx$' AND indexdef LIKE '% USING gist %'
    LOOP
        EXECUTE format('DROP INDEX %I.%I', known.schemaname, known.indexname);
    END LOOP;
END $$;
