-- The places of one kind of a town anew, from the temporary tables `numbered` and `spelled`.
WITH gone AS (
    DELETE FROM addresses.street_place AS p USING addresses.street AS s
    WHERE s.street_id = p.street_id AND s.cousub_fips = %(town)s AND p.kind = %(kind)s
),
named AS (
    INSERT INTO addresses.street AS s (cousub_fips, street, name_key, type_key)
    SELECT DISTINCT ON (name_key, type_key) %(town)s, street, name_key, type_key FROM spelled
    ORDER BY name_key, type_key, street
    ON CONFLICT (cousub_fips, name_key, type_key) DO UPDATE SET street = s.street
    RETURNING street_id, name_key, type_key
)
INSERT INTO addresses.street_place (street_id, kind, place_uid, number, number_to, suffix, unit)
SELECT street_id, %(kind)s, place_uid, number,
       -- 12-16 goes up to 16; 523-5 is no range.
       CASE WHEN range_end > number AND range_end <= number + 100 THEN range_end END,
       nullif(suffix, ''), nullif(unit, '')
FROM numbered
JOIN spelled USING (name, street_type)
JOIN named USING (name_key, type_key),
     LATERAL (
         SELECT CASE
             WHEN whole_number LIKE '%%-%%'
             THEN substring(whole_number FROM '^\s*\d{1,6}\s*-\s*(\d{1,6})\s*$')::integer
         END AS range_end
     ) AS range
