-- Rows that differ between two versions of a town: before and after as JSON of the published columns.
WITH earlier AS ({earlier}),
later AS ({later}),
became AS (
    SELECT uid, array_agg(DISTINCT kind ORDER BY kind) AS kinds
    FROM statewide.lineage
    JOIN statewide.submission USING (submission_id, dataset, cousub_fips)
    CROSS JOIN LATERAL (
        VALUES (CASE WHEN kind <> 'new' THEN from_uid END), (CASE WHEN kind <> 'retired' THEN to_uid END)
    ) AS both_ends (uid)
    WHERE dataset = %(dataset)s AND cousub_fips = %(town)s AND recorded_at > %(earlier)s AND recorded_at <= %(later)s
    GROUP BY uid
)
SELECT
    {key} AS uid,
    CASE WHEN old.valid_from IS NULL THEN 'added' WHEN new.valid_from IS NULL THEN 'removed' ELSE 'changed' END AS change,
    became.kinds,
    coalesce(new.{label}, old.{label}) AS label,
    old.shape_hash IS DISTINCT FROM new.shape_hash AS redrawn,
    to_jsonb((SELECT named FROM (SELECT {old}) AS named)) AS before,
    to_jsonb((SELECT named FROM (SELECT {new}) AS named)) AS after,
    {shape} AS shape
FROM earlier AS old
FULL JOIN later AS new USING ({key})
LEFT JOIN became ON became.uid = {key}
WHERE (old.attribute_hash, old.shape_hash) IS DISTINCT FROM (new.attribute_hash, new.shape_hash)
ORDER BY change, label, uid
