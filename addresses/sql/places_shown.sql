-- What is published of the places: what is withheld is not here, and so is not found.
SELECT address_uid AS place_uid, address_label AS label, NULL AS parcel_id,
       ARRAY[a4, msagcomm, post_comm] AS communities, post_code,
       ST_X(geom_lonlat) AS longitude, ST_Y(geom_lonlat) AS latitude,
       CASE WHEN expire < current_date THEN 'Retired' ELSE lifecycle END AS lifecycle
FROM published.addresses
WHERE address_uid = ANY(%(address_uids)s)
UNION ALL
SELECT parcel_uid, NULL, parcel_id, '{}', NULL, ST_X(inside), ST_Y(inside), NULL
FROM published.parcels, ST_PointOnSurface(geom_lonlat) AS inside
WHERE parcel_uid = ANY(%(parcel_uids)s)
