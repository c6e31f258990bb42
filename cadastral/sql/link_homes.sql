-- For each link of the town: its largest parcel, and how many parcels have it.
CREATE TEMPORARY TABLE link_home ON COMMIT DROP AS
SELECT DISTINCT ON (cama_link_normalized)
    cama_link_normalized, parcel_uid, shape_hash,
    count(*) OVER (PARTITION BY cama_link_normalized)::integer AS parcels_sharing
FROM cadastral.parcel
WHERE cousub_fips = %(town)s AND cama_link_normalized IS NOT NULL
ORDER BY cama_link_normalized, area_sqft DESC, parcel_uid
