DELETE FROM addresses.street AS s
WHERE s.cousub_fips = %(town)s
  AND NOT EXISTS (SELECT FROM addresses.street_place AS p WHERE p.street_id = s.street_id)
