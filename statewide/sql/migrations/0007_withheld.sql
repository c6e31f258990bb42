-- Addresses that are not shown: protected persons (CGS 1-217), the Address Confidentiality Program, confidential shelters.
CREATE TABLE confidential.withheld_request (
    request_no         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cousub_fips        text NOT NULL,
    address_normalized text,
    unit               text,
    identifier         text,
    basis              text NOT NULL,
    reason             text,
    requested_at       timestamptz NOT NULL DEFAULT now(),
    recorded_by        text NOT NULL,
    until              date,
    released_at        timestamptz,
    CHECK (num_nonnulls(address_normalized, identifier) = CASE WHEN basis = 'delivered' THEN 0 ELSE 1 END)
);
COMMENT ON TABLE confidential.withheld_request IS 'What is to be withheld: by address, by identifier, or what a column of the town''s own file flags. In force until it is released.';
COMMENT ON COLUMN confidential.withheld_request.address_normalized IS 'Number and street; all that lies within it is meant, or one unit of it.';
COMMENT ON COLUMN confidential.withheld_request.unit IS 'Number or letter of the unit, without its word: one town writes Apartment 1 where another writes #1.';
COMMENT ON COLUMN confidential.withheld_request.identifier IS 'Our identifier of the point, the town''s, NENA''s, or a parcel number, as given.';
COMMENT ON COLUMN confidential.withheld_request.until IS 'Last day for which it was asked. It stays in force until somebody releases it.';
CREATE INDEX withheld_request_cousub_fips_idx ON confidential.withheld_request (cousub_fips) WHERE released_at IS NULL;

CREATE TABLE confidential.withheld_point (
    request_no  bigint NOT NULL REFERENCES confidential.withheld_request,
    address_uid uuid NOT NULL,
    PRIMARY KEY (address_uid, request_no)
);
COMMENT ON TABLE confidential.withheld_point IS 'Points, live or ended, that the requests in force withhold; the published views leave them out.';

CREATE TABLE confidential.withheld_log (
    log_no      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    action      text NOT NULL CHECK (action IN ('withheld', 'released', 'applied')),
    request_no  bigint,
    cousub_fips text NOT NULL,
    who         text NOT NULL,
    reason      text,
    points      integer NOT NULL
);
COMMENT ON TABLE confidential.withheld_log IS 'Who withheld or released what, and each publication to which the requests were applied; without the address. Rows are only added.';
COMMENT ON COLUMN confidential.withheld_log.points IS 'Live points that the request withholds; of an applied one, all that are withheld in the town.';
