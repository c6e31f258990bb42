-- Parcel numbers that stand on more than one shape.
SELECT min(row_no), min(parcel_id), count(*), count(DISTINCT shape_hash)
FROM staged
WHERE parcel_id_normalized IS NOT NULL
GROUP BY parcel_id_normalized
HAVING count(DISTINCT shape_hash) > 1
ORDER BY 1
