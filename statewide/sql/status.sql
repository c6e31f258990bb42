-- Each town and each file that it owes: what is live, its first accepted delivery for the year or a later one, and its last.
SELECT town.cousub_fips, town.town_name, town.town_no, town.planning_region_fips, region.planning_region_name,
       file.dataset, live.year AS live_year, live.rows_published, live.rows_held, live.published_at,
       source.received_at AS live_received_at, source.summary -> 'score' -> 'points' AS score,
       delivered.received_at AS delivered_at,
       last.received_at AS last_received_at, last.outcome AS last_outcome, last.summary -> 'blocked_by' AS blocked_by
FROM statewide.municipality AS town
LEFT JOIN statewide.planning_region AS region USING (planning_region_fips)
CROSS JOIN unnest(%(datasets)s::text[]) WITH ORDINALITY AS file (dataset, place)
LEFT JOIN statewide.publication AS live ON live.cousub_fips = town.cousub_fips AND live.dataset = file.dataset
LEFT JOIN statewide.submission AS source ON source.submission_id = live.submission_id
LEFT JOIN LATERAL (
    SELECT received_at FROM statewide.submission
    WHERE cousub_fips = town.cousub_fips AND dataset = file.dataset AND year >= %(year)s AND outcome <> 'refused'
    ORDER BY submission_no LIMIT 1
) AS delivered ON live.year >= %(year)s
LEFT JOIN LATERAL (
    SELECT received_at, outcome, summary FROM statewide.submission
    WHERE cousub_fips = town.cousub_fips AND dataset = file.dataset
    ORDER BY submission_no DESC LIMIT 1
) AS last ON true
WHERE (%(town)s::text IS NULL OR town.cousub_fips = %(town)s)
  AND (%(region)s::text IS NULL OR town.planning_region_fips = %(region)s)
ORDER BY town.town_no, file.place
