-- Which parcels of the town must be laid over the layer: new ones, those of another shape, or all when the layer is another.
CREATE TEMPORARY TABLE stale ON COMMIT DROP AS
SELECT p.parcel_uid AS row_uid
FROM cadastral.parcel AS p
LEFT JOIN resilience.parcel_hazard AS h ON h.parcel_uid = p.parcel_uid AND h.layer = %(layer)s
WHERE p.cousub_fips = %(town)s
  AND (
      %(full)s
      OR h.parcel_shape_hash IS DISTINCT FROM p.shape_hash
      OR h.layer_load_id IS DISTINCT FROM %(load)s
  )
