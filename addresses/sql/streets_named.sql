-- Streets that may be meant: of one of the names anywhere, and every street of the towns that were named.
SELECT street_id, cousub_fips, street, name_key, type_key FROM published.find_streets WHERE name_key = ANY(%(names)s)
UNION
SELECT street_id, cousub_fips, street, name_key, type_key FROM published.find_streets WHERE cousub_fips = ANY(%(towns)s)
