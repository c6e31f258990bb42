INSERT INTO cadastral.assessment_place
    (assessment_uid, parcel_uid, cousub_fips, parcel_shape_hash, geom, geom_lonlat, geom_mercator)
SELECT
    record.assessment_uid, link_home.parcel_uid, record.cousub_fips, link_home.shape_hash,
    point.geom, point.geom_lonlat, point.geom_mercator
FROM cadastral.assessment AS record
JOIN link_home USING (cama_link_normalized)
JOIN parcel_point AS point ON point.parcel_uid = link_home.parcel_uid
LEFT JOIN cadastral.assessment_place AS place ON place.assessment_uid = record.assessment_uid
WHERE record.cousub_fips = %(town)s AND place.assessment_uid IS NULL
