-- The register of town lines, of one town or of all, with the lots that stand on two rolls.
SELECT
    a.town_name AS town_a,
    b.town_name AS town_b,
    l.*,
    (
        SELECT coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'parcel_uid_a', s.parcel_uid_a, 'parcel_uid_b', s.parcel_uid_b,
                    'overlap_sqft', round(s.overlap_sqft::numeric, 2),
                    'share_a_pct', s.share_a_pct, 'share_b_pct', s.share_b_pct,
                    'counts_in', c.town_name, 'counts_because', s.counts_because
                )
                ORDER BY s.overlap_sqft DESC, s.shared_lot_uid
            ),
            '[]'
        )
        FROM cadastral.shared_lot AS s JOIN statewide.municipality AS c ON c.cousub_fips = s.counts_in_fips
        WHERE s.town_line_uid = l.town_line_uid
    ) AS shared_lots
FROM cadastral.town_line AS l
JOIN statewide.municipality AS a ON a.cousub_fips = l.town_a_fips
JOIN statewide.municipality AS b ON b.cousub_fips = l.town_b_fips
WHERE %(town)s::text IS NULL OR %(town)s IN (l.town_a_fips, l.town_b_fips)
ORDER BY l.overlap_sqft + l.gap_sqft DESC, l.town_a_fips, l.town_b_fips
