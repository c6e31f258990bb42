-- Rows of the delivery that repeat an earlier one in every decided column and in shape.
SELECT row_no, first_row
FROM (
    SELECT row_no, min(row_no) OVER (PARTITION BY attribute_hash, shape_hash) AS first_row
    FROM staged
) AS s
WHERE row_no <> first_row
ORDER BY row_no
