-- What became of which row from one publication to the next, and the moment from which each submission counted.
CREATE TABLE statewide.lineage (
    dataset       text NOT NULL,
    cousub_fips   text NOT NULL,
    submission_id uuid NOT NULL REFERENCES statewide.submission ON DELETE CASCADE,
    kind          text NOT NULL CHECK (kind IN
        ('moved', 'reshaped', 'renumbered', 'revalued', 'attributes', 'split', 'merged', 'retired', 'new')),
    from_uid      uuid,
    to_uid        uuid,
    share_of_from double precision,
    share_of_to   double precision,
    CHECK (from_uid IS NOT NULL OR to_uid IS NOT NULL)
);
COMMENT ON TABLE statewide.lineage IS 'One row per relation between an earlier and a later row that is not "unchanged". The first delivery of a town has none.';
COMMENT ON COLUMN statewide.lineage.submission_id IS 'The submission that brought the change.';
COMMENT ON COLUMN statewide.lineage.from_uid IS 'The earlier row. On a new row, the one on whose land most of it lies, if there is one.';
COMMENT ON COLUMN statewide.lineage.to_uid IS 'The later row. On a retired row, the one that took most of its land, if there is one.';
COMMENT ON COLUMN statewide.lineage.share_of_from IS 'How much of the earlier land lies in the later row, 0 to 1; empty where it was not measured.';
COMMENT ON COLUMN statewide.lineage.share_of_to IS 'How much of the later land lay in the earlier row, 0 to 1; empty where it was not measured.';
CREATE INDEX lineage_from_uid_idx ON statewide.lineage (from_uid);
CREATE INDEX lineage_to_uid_idx ON statewide.lineage (to_uid);
CREATE INDEX lineage_submission_id_idx ON statewide.lineage (submission_id);

-- The start of the transaction that recorded the submission: what it wrote is valid from then on.
ALTER TABLE statewide.submission ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN statewide.submission.recorded_at IS 'Moment from which what it published is valid.';
-- Of submissions from before, any moment up to the next one of the town does.
UPDATE statewide.submission AS s
SET recorded_at = later.received_at
FROM (
    SELECT submission_id, lead(received_at) OVER (PARTITION BY cousub_fips, dataset ORDER BY submission_no) AS received_at
    FROM statewide.submission
) AS later
WHERE later.submission_id = s.submission_id AND later.received_at IS NOT NULL;
