-- Which parcels or points of the town must be laid over the layer: new ones, those of another shape or place, or all when the layer is another.
CREATE TEMPORARY TABLE stale ON COMMIT DROP AS
SELECT t.{key} AS row_uid
FROM {rows} AS t
LEFT JOIN {answers} AS h ON h.{key} = t.{key} AND h.layer = %(layer)s
WHERE t.cousub_fips = %(town)s
  AND (
      %(full)s
      OR h.{hash} IS DISTINCT FROM t.shape_hash
      OR h.layer_load_id IS DISTINCT FROM %(load)s
  )
