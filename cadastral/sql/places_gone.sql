-- Places of records that are no longer there, or meet another parcel or another shape than they did.
DELETE FROM cadastral.assessment_place AS place
WHERE place.cousub_fips = %(town)s
  AND NOT EXISTS (
      SELECT 1
      FROM cadastral.assessment AS record
      JOIN link_home USING (cama_link_normalized)
      WHERE record.assessment_uid = place.assessment_uid
        AND link_home.parcel_uid = place.parcel_uid
        AND link_home.shape_hash = place.parcel_shape_hash
  )
