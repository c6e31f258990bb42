-- The street's door to what is live and since when: a row per town and delivered dataset, per current version of a hazard layer,
-- and per imagery program. It counts nothing: how many rows a delivery had would tell how many are withheld.
CREATE VIEW published.vintages AS
SELECT p.dataset AS source, p.cousub_fips, m.town_name AS name, NULL::text AS version,
       make_date(p.year, 1, 1) AS begins, make_date(p.year, 12, 31) AS ends, p.published_at AS changed_at,
       NULL::text AS maker, NULL::text AS license, NULL::text AS v_datum
FROM statewide.publication AS p JOIN statewide.municipality AS m USING (cousub_fips)
UNION ALL
SELECT layer, NULL, source_list, layer_version, effective_on, NULL, loaded_at, source_name, license, v_datum
FROM resilience.hazard_layer_version WHERE is_current
UNION ALL
SELECT 'imagery', NULL, program, NULL, min(flown_from), max(flown_to), max(added_at), NULL, NULL, NULL
FROM resilience.imagery GROUP BY program;
