-- A layer that is loaded makes the counts of all towns old, also of one that somebody counts for the first time meanwhile:
-- its count is not seen yet.
CREATE OR REPLACE FUNCTION resilience.exposure_layer_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM resilience.exposure_mark(ARRAY(SELECT DISTINCT cousub_fips FROM statewide.publication));
    RETURN NULL;
END $$;
