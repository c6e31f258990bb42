-- Parcels of the town whose row of imagery is missing, or was measured with another shape or with other pictures.
CREATE TEMPORARY TABLE unseen ON COMMIT DROP AS
SELECT p.parcel_uid, p.submission_id, p.shape_hash, p.geom, ST_Area(p.geom) AS area_sqft
FROM cadastral.parcel AS p
LEFT JOIN resilience.parcel_imagery AS i USING (parcel_uid)
WHERE p.cousub_fips = %(town)s
  AND (i.parcel_shape_hash IS DISTINCT FROM p.shape_hash OR i.imagery_hash IS DISTINCT FROM %(hash)s)
