-- Parcels that a record meets which has no place yet.
SELECT parcel_uid, ST_AsBinary(parcel.geom)
FROM (
    SELECT DISTINCT link_home.parcel_uid
    FROM cadastral.assessment AS record
    JOIN link_home USING (cama_link_normalized)
    LEFT JOIN cadastral.assessment_place AS place USING (assessment_uid)
    WHERE record.cousub_fips = %(town)s AND place.assessment_uid IS NULL
) AS missing
JOIN cadastral.parcel AS parcel USING (parcel_uid)
