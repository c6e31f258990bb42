-- What is odd between the addresses and the parcels of a town. What the published view withholds is not listed,
-- and its parcel is as if it had no address: that it is missing from the list would tell. An address that is gone is no
-- address of a building.
WITH linked AS (
    SELECT parcel.parcel_uid, parcel.cama_link_normalized
    FROM published.addresses AS point
    JOIN addresses.address_parcel AS pair USING (address_uid)
    JOIN cadastral.parcel AS parcel ON parcel.parcel_uid = pair.parcel_uid
    WHERE point.cousub_fips = %(town)s AND pair.cousub_fips = %(town)s
      AND coalesce(lower(btrim(point.lifecycle)) <> ALL(%(retired)s), true)
      AND coalesce(point.expire >= current_date, true)
)
SELECT
    link.conflict, point.address_uid, point.address_label AS address,
    told.parcel_uid AS told_parcel_uid, told.parcel_id AS told_parcel_id, told.location AS told_location,
    told.method AS told_by, told.distance_ft,
    lies.parcel_uid AS on_parcel_uid, lies.parcel_id AS on_parcel_id, lies.location AS on_location,
    NULL::double precision AS living_area_sqft, NULL::double precision AS appraised_building_usd,
    ST_AsBinary(point.geom) AS geometry
FROM published.addresses AS point
JOIN addresses.address_link AS link USING (address_uid)
LEFT JOIN LATERAL (
    SELECT parcel_uid, parcel_id, location, method, distance_ft
    FROM addresses.address_parcel AS pair JOIN cadastral.parcel USING (parcel_uid)
    WHERE pair.cousub_fips = point.cousub_fips AND pair.address_uid = point.address_uid
      AND NOT 'inside' = ANY(string_to_array(evidence, ' '))
    ORDER BY confidence DESC, parcel_uid
    LIMIT 1
) AS told ON true
LEFT JOIN LATERAL (
    SELECT parcel_uid, parcel_id, location
    FROM addresses.address_parcel AS pair JOIN cadastral.parcel USING (parcel_uid)
    WHERE pair.cousub_fips = point.cousub_fips AND pair.address_uid = point.address_uid
      AND 'inside' = ANY(string_to_array(evidence, ' '))
    ORDER BY confidence DESC, parcel_uid
    LIMIT 1
) AS lies ON true
WHERE point.cousub_fips = %(town)s AND link.conflict IS NOT NULL
UNION ALL
SELECT
    'no_address', NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    parcel.parcel_uid, parcel.parcel_id, parcel.location,
    value.living_area_sqft, value.appraised_building_usd, ST_AsBinary(ST_PointOnSurface(parcel.geom))
FROM cadastral.parcel AS parcel
JOIN cadastral.parcel_value AS value USING (parcel_uid)
WHERE parcel.cousub_fips = %(town)s
  -- Several parcels of one assessor's record have its building together.
  AND value.counts_here AND (value.living_area_sqft > 0 OR value.appraised_building_usd > 0)
  AND parcel.parcel_uid NOT IN (SELECT parcel_uid FROM linked)
  AND NOT EXISTS (SELECT FROM linked WHERE linked.cama_link_normalized = parcel.cama_link_normalized)
ORDER BY 1, 8 DESC NULLS LAST, 3, 10, 2, 9
