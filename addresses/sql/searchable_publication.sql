-- The live publication of a dataset of a town, and the one that can be searched.
SELECT live.publication_id, known.publication_id
FROM (VALUES (1)) AS one
LEFT JOIN statewide.publication AS live ON live.cousub_fips = %(town)s AND live.dataset = %(dataset)s
LEFT JOIN addresses.search_state AS known ON known.cousub_fips = %(town)s AND known.dataset = %(dataset)s
