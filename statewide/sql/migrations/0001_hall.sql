-- The hall's own tables: deliveries, what was found in them, what became of their rows, and what is live.
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE SCHEMA IF NOT EXISTS statewide;
CREATE SCHEMA IF NOT EXISTS cadastral;
CREATE SCHEMA IF NOT EXISTS addresses;
CREATE SCHEMA IF NOT EXISTS resilience;
CREATE SCHEMA IF NOT EXISTS confidential;
CREATE SCHEMA IF NOT EXISTS published;
CREATE SCHEMA IF NOT EXISTS restricted;

CREATE TABLE statewide.submission (
    submission_id    uuid PRIMARY KEY,
    submission_no    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    dataset          text NOT NULL,
    cousub_fips      text NOT NULL,
    year             integer NOT NULL,
    file_name        text NOT NULL,
    file_sha256      text NOT NULL,
    received_at      timestamptz NOT NULL,
    outcome          text NOT NULL CHECK (outcome IN ('published', 'unchanged', 'refused')),
    accepted         jsonb NOT NULL DEFAULT '{}',
    summary          jsonb NOT NULL,
    standard_version text NOT NULL,
    software_version text NOT NULL
);
COMMENT ON TABLE statewide.submission IS 'One delivery of one dataset by one town, and how it ended.';
COMMENT ON COLUMN statewide.submission.accepted IS 'Blocking checks that the town accepted, each with its reason.';
CREATE INDEX submission_town_idx ON statewide.submission (cousub_fips, dataset, submission_no DESC);

CREATE TABLE statewide.ledger (
    submission_id       uuid PRIMARY KEY REFERENCES statewide.submission ON DELETE CASCADE,
    rows_read           bigint NOT NULL,
    rows_published      bigint NOT NULL,
    rows_held           bigint NOT NULL,
    rows_ignored        bigint NOT NULL,
    area_read_sqft      double precision NOT NULL,
    area_published_sqft double precision NOT NULL,
    area_held_sqft      double precision NOT NULL,
    area_repaired_sqft  double precision NOT NULL,
    source_columns      jsonb NOT NULL,
    CONSTRAINT rows_balance CHECK (rows_read = rows_published + rows_held + rows_ignored),
    CONSTRAINT area_balances
        CHECK (abs(area_read_sqft - area_published_sqft - area_held_sqft - area_repaired_sqft) <= 0.01)
);
COMMENT ON TABLE statewide.ledger IS 'What came in and what became of it; the database itself refuses a ledger that does not balance.';
COMMENT ON COLUMN statewide.ledger.source_columns IS 'Every delivered column: mapped to a field, ignored by name, withheld, or not recognised.';

CREATE TABLE statewide.finding (
    submission_id uuid NOT NULL REFERENCES statewide.submission ON DELETE CASCADE,
    finding_no    integer NOT NULL,
    check_code    text NOT NULL,
    severity      text NOT NULL,
    owner         text NOT NULL,
    row_no        integer,
    column_name   text,
    value         text,
    sentence      text NOT NULL,
    fix           text NOT NULL,
    geom          geometry(Geometry, 6434),
    PRIMARY KEY (submission_id, finding_no)
);
COMMENT ON TABLE statewide.finding IS 'What is wrong in a delivery: data for the town, never a log line.';

CREATE TABLE statewide.held_row (
    submission_id uuid NOT NULL REFERENCES statewide.submission ON DELETE CASCADE,
    row_no        integer NOT NULL,
    reasons       text[] NOT NULL,
    attributes    jsonb NOT NULL,
    geom          geometry(Geometry, 6434),
    PRIMARY KEY (submission_id, row_no)
);
COMMENT ON TABLE statewide.held_row IS 'Rows that are not published, whole, with the checks that hold them. Persons are stripped.';

CREATE TABLE statewide.publication (
    cousub_fips    text NOT NULL,
    dataset        text NOT NULL,
    publication_id uuid NOT NULL,
    submission_id  uuid NOT NULL REFERENCES statewide.submission,
    year           integer NOT NULL,
    rows_published bigint NOT NULL,
    rows_held      bigint NOT NULL,
    published_at   timestamptz NOT NULL,
    PRIMARY KEY (cousub_fips, dataset)
);
COMMENT ON TABLE statewide.publication IS 'What is live: one row per town and dataset. Caches are keyed by publication_id.';

CREATE TABLE statewide.crosswalk (
    cousub_fips   text NOT NULL,
    dataset       text NOT NULL,
    mapping       jsonb NOT NULL,
    submission_id uuid NOT NULL REFERENCES statewide.submission,
    saved_at      timestamptz NOT NULL,
    PRIMARY KEY (cousub_fips, dataset)
);
COMMENT ON TABLE statewide.crosswalk IS 'Which delivered column filled which field last time, per town; tried first next time.';
