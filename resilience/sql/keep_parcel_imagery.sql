-- One row per unseen parcel from what each program (1 is the newest) shows of it.
WITH programs AS (
    SELECT * FROM unnest(%(ages)s::integer[], %(programs)s::text[], %(starts)s::date[], %(ends)s::date[])
        AS program(age, name, flown_from, flown_to)
),
by_parcel AS (
    SELECT
        u.parcel_uid,
        min(s.age) AS newest,
        -- All of it, but for what two drawings of one line may differ by.
        min(s.age) FILTER (WHERE u.area_sqft - s.sqft <= %(tolerance)s * ST_Perimeter(u.geom)) AS whole,
        jsonb_object_agg(p.name, least(round((100 * s.sqft / u.area_sqft)::numeric, 4), 100)) AS shares
    FROM unseen AS u
    JOIN seen AS s USING (parcel_uid)
    JOIN programs AS p USING (age)
    WHERE s.sqft > %(least)s
    GROUP BY u.parcel_uid
)
INSERT INTO resilience.parcel_imagery AS kept (
    parcel_uid, cousub_fips, program, flown_from, flown_to, covered_share_pct, whole_program, share_by_program_pct,
    parcel_submission_id, parcel_shape_hash, imagery_hash, computed_at
)
SELECT
    u.parcel_uid, %(town)s, newest.name, newest.flown_from, newest.flown_to,
    coalesce((b.shares ->> newest.name)::double precision, 0), whole.name, coalesce(b.shares, '{}'),
    u.submission_id, u.shape_hash, %(hash)s, now()
FROM unseen AS u
LEFT JOIN by_parcel AS b USING (parcel_uid)
LEFT JOIN programs AS newest ON newest.age = b.newest
LEFT JOIN programs AS whole ON whole.age = b.whole
ON CONFLICT (parcel_uid) DO UPDATE SET (
    cousub_fips, program, flown_from, flown_to, covered_share_pct, whole_program, share_by_program_pct,
    parcel_submission_id, parcel_shape_hash, imagery_hash, computed_at
) = ROW (
    excluded.cousub_fips, excluded.program, excluded.flown_from, excluded.flown_to, excluded.covered_share_pct,
    excluded.whole_program, excluded.share_by_program_pct, excluded.parcel_submission_id, excluded.parcel_shape_hash,
    excluded.imagery_hash, now()
)
