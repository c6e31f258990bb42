-- What a town's own file flagged, delivery by delivery: a rollback shows none of it.
CREATE TABLE confidential.flagged_point (
    submission_id uuid NOT NULL REFERENCES statewide.submission,
    address_uid   uuid NOT NULL,
    PRIMARY KEY (submission_id, address_uid)
);
COMMENT ON TABLE confidential.flagged_point IS 'Points that were withheld because the town''s file flags them, as of each publication that was walked through.';
