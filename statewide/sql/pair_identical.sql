-- Pair staged rows with live rows of the town that are the same to the bit; equal rows of a stack are paired off by number.
CREATE TEMPORARY TABLE pairing ON COMMIT DROP AS
SELECT new.row_no, old.{key} AS uid, 'same'::text AS kind
FROM (
    SELECT row_no, attribute_hash, shape_hash,
           row_number() OVER (PARTITION BY attribute_hash, shape_hash ORDER BY row_no) AS nth
    FROM staged
) AS new
JOIN (
    SELECT {key}, attribute_hash, shape_hash,
           row_number() OVER (PARTITION BY attribute_hash, shape_hash ORDER BY row_no, {key}) AS nth
    FROM {live}
    WHERE {town_key} = %(town)s
) AS old USING (attribute_hash, shape_hash, nth)
