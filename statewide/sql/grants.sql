-- Who may do what; safe to repeat. Runs after the published views are made anew.
REVOKE ALL ON SCHEMA statewide, cadastral, addresses, resilience, confidential, published, restricted FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

GRANT USAGE ON SCHEMA statewide, cadastral, addresses, resilience, confidential, published, restricted TO statewide_loader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA statewide, cadastral, addresses, resilience, confidential TO statewide_loader;
REVOKE UPDATE, DELETE ON confidential.withheld_log FROM statewide_loader;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA statewide, cadastral, addresses, resilience, confidential TO statewide_loader;
GRANT SELECT ON ALL TABLES IN SCHEMA published TO statewide_loader;

-- The street: views only.
REVOKE ALL ON ALL TABLES IN SCHEMA statewide, cadastral, addresses, resilience, confidential, restricted FROM statewide_api;
GRANT USAGE ON SCHEMA published TO statewide_api, statewide_restricted;
GRANT SELECT ON ALL TABLES IN SCHEMA published TO statewide_api, statewide_restricted;
GRANT USAGE ON SCHEMA restricted TO statewide_restricted;
GRANT SELECT ON ALL TABLES IN SCHEMA restricted TO statewide_restricted;

ALTER ROLE statewide_api SET default_transaction_read_only = on;
ALTER ROLE statewide_api SET statement_timeout = '10s';
ALTER ROLE statewide_api SET jit = off; -- compiling a query of ours takes longer than running it
ALTER ROLE statewide_api SET lock_timeout = '1s';
ALTER ROLE statewide_api SET idle_in_transaction_session_timeout = '15s';
-- A merge would read the joined tables from their beginning at every page: the millionth row would cost a second.
ALTER ROLE statewide_api SET enable_mergejoin = off;
ALTER ROLE statewide_restricted SET enable_mergejoin = off;
ALTER ROLE statewide_restricted SET default_transaction_read_only = on;
ALTER ROLE statewide_restricted SET statement_timeout = '30s';
ALTER ROLE statewide_restricted SET jit = off;
ALTER ROLE statewide_loader SET jit = off;
-- Shapes with many corners are squeezed in a fraction of the time; a server that was built without it keeps its own way.
DO $$ BEGIN
    ALTER ROLE statewide_loader SET default_toast_compression = 'lz4';
EXCEPTION WHEN invalid_parameter_value OR undefined_object THEN NULL;
END $$;
