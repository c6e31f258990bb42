-- Whether an address point or a parcel of the town is another than the one that the links rest on.
SELECT
    EXISTS (
        SELECT
        FROM (SELECT * FROM addresses.address_point WHERE cousub_fips = %(town)s) AS point
        FULL JOIN (SELECT * FROM addresses.address_link WHERE cousub_fips = %(town)s) AS link USING (address_uid)
        WHERE point.attribute_hash IS DISTINCT FROM link.point_attribute_hash
           OR point.shape_hash IS DISTINCT FROM link.point_shape_hash
    )
    OR EXISTS (
        SELECT
        FROM (SELECT * FROM cadastral.parcel WHERE cousub_fips = %(town)s) AS parcel
        FULL JOIN (SELECT * FROM addresses.parcel_location WHERE cousub_fips = %(town)s) AS known USING (parcel_uid)
        WHERE parcel.attribute_hash IS DISTINCT FROM known.parcel_attribute_hash
           OR parcel.shape_hash IS DISTINCT FROM known.parcel_shape_hash
           OR known.read_with IS DISTINCT FROM %(read_with)s
    )
