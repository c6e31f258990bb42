-- Which address points of the town must be laid over the layer: new ones, those that moved, or all when the layer is another.
CREATE TEMPORARY TABLE stale ON COMMIT DROP AS
SELECT a.address_uid AS row_uid
FROM addresses.address_point AS a
LEFT JOIN resilience.address_hazard AS h ON h.address_uid = a.address_uid AND h.layer = %(layer)s
WHERE a.cousub_fips = %(town)s
  AND (
      %(full)s
      OR h.address_shape_hash IS DISTINCT FROM a.shape_hash
      OR h.layer_load_id IS DISTINCT FROM %(load)s
  )
