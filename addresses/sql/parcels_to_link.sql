-- The parcels of a town, and what was read in their locations; a location is given where it is still to be read.
SELECT
    uuid_send(parcel.parcel_uid), ST_AsBinary(parcel.geom), parcel.parcel_type_class, parcel.parcel_id_normalized, parcel.cama_link_normalized,
    CASE WHEN read.parcel_uid IS NULL THEN parcel.location END, read.street_address, read.unit,
    uuid_send(parcel.submission_id), uuid_send(parcel.attribute_hash), uuid_send(parcel.shape_hash)
FROM cadastral.parcel AS parcel
LEFT JOIN addresses.parcel_location AS read
    ON read.parcel_uid = parcel.parcel_uid
   AND read.parcel_attribute_hash = parcel.attribute_hash AND read.read_with = %(read_with)s
WHERE parcel.cousub_fips = %(town)s
ORDER BY parcel.parcel_uid
