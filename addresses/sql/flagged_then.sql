-- Points that were flagged when the version to which a town was just put back was live.
SELECT flagged.address_uid
FROM statewide.publication AS live
JOIN statewide.submission AS undoing ON undoing.submission_id = live.submission_id
JOIN statewide.submission AS wanted ON wanted.submission_id::text = undoing.summary ->> 'rollback_to'
-- The same file sent once more was not walked through.
JOIN confidential.flagged_point AS flagged
    ON flagged.submission_id::text = coalesce(wanted.summary #>> '{same_as,walked}', wanted.submission_id::text)
WHERE live.cousub_fips = %(town)s AND live.dataset = %(dataset)s
