-- Median distance in feet between the centres of parcels whose number is unique in the delivery and in the live town.
WITH new AS (
    SELECT parcel_id_normalized AS number, min(row_no) AS row_no
    FROM staged GROUP BY 1 HAVING count(*) = 1
), old AS (
    SELECT parcel_id_normalized AS number, (array_agg(parcel_uid))[1] AS parcel_uid
    FROM cadastral.parcel WHERE cousub_fips = %(town)s GROUP BY 1 HAVING count(*) = 1
)
SELECT count(*), coalesce(percentile_cont(0.5) WITHIN GROUP (
    ORDER BY ST_Distance(ST_Centroid(staged.geom), ST_Centroid(live.geom))
), 0)
FROM new
JOIN old USING (number)
JOIN staged ON staged.row_no = new.row_no
JOIN cadastral.parcel AS live ON live.parcel_uid = old.parcel_uid
