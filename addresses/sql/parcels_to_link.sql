-- The parcels of a town, and what was read in their locations; a location is given where it is still to be read. The last
-- column tells whether the row of what was read is there, and says all that it should; empty where there is none.
SELECT
    uuid_send(parcel.parcel_uid), ST_AsBinary(parcel.geom), parcel.parcel_type_class, parcel.parcel_id_normalized, parcel.cama_link_normalized,
    CASE WHEN is_read THEN NULL ELSE parcel.location END,
    CASE WHEN is_read THEN known.street_address END,
    CASE WHEN is_read THEN known.unit END,
    uuid_send(parcel.submission_id), uuid_send(parcel.attribute_hash), uuid_send(parcel.shape_hash),
    is_read AND known.parcel_shape_hash = parcel.shape_hash
FROM cadastral.parcel AS parcel
LEFT JOIN addresses.parcel_location AS known USING (parcel_uid),
LATERAL (
    SELECT known.parcel_attribute_hash = parcel.attribute_hash AND known.read_with = %(read_with)s AS is_read
) AS reading
WHERE parcel.cousub_fips = %(town)s
ORDER BY parcel.parcel_uid
