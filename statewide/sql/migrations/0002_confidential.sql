-- Persons of the assessor's files, where the deployment keeps them at all, and who of them is protected (CGS 1-217).
-- The columns are those that schemas/standard.yml withholds and marks as kept.
CREATE TABLE confidential.assessment_person (
    assessment_uid  uuid PRIMARY KEY,
    cousub_fips     text NOT NULL,
    owner           text,
    co_owner        text,
    mailing_address text,
    mailing_city    text,
    mailing_state   text,
    mailing_zip     text
);
COMMENT ON TABLE confidential.assessment_person IS 'Owner and mailing address of the live assessment records; never published.';
CREATE INDEX assessment_person_cousub_fips_idx ON confidential.assessment_person (cousub_fips);

CREATE TABLE confidential.assessment_suppression (
    assessment_uid uuid PRIMARY KEY,
    cousub_fips    text NOT NULL,
    suppressed     boolean NOT NULL
);
COMMENT ON TABLE confidential.assessment_suppression IS 'Whether the address behind a live record is protected. A record that is not here is not known, and is treated as protected.';
CREATE INDEX assessment_suppression_cousub_fips_idx ON confidential.assessment_suppression (cousub_fips);

-- For keyed roles. A record is in it only if its town said that it is not protected.
CREATE VIEW restricted.assessment_persons WITH (security_barrier) AS
SELECT person.*
FROM confidential.assessment_person AS person
JOIN confidential.assessment_suppression AS said USING (assessment_uid)
WHERE NOT said.suppressed;
COMMENT ON VIEW restricted.assessment_persons IS 'Owner and mailing address of the live assessment records that are known not to be protected.';
