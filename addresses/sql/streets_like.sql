-- Streets of a name like an asked one, anywhere.
SELECT found.*
FROM unnest(%(names)s::text[]) AS asked (name_key), LATERAL (
    SELECT street_id, cousub_fips, street, name_key, type_key FROM published.find_streets AS t
    WHERE t.name_key %% asked.name_key
    ORDER BY t.name_key <-> asked.name_key
    LIMIT 400
) AS found
