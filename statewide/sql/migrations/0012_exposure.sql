-- What `exposure` has counted of each town, so that a whole state is added up and not counted. No fact of its own: it is
-- made by resilience/sql/exposure_counts.sql, and a town that is marked as stale is counted anew by whoever asks.
CREATE TABLE resilience.exposure_town (
    cousub_fips text PRIMARY KEY,
    counted_at  timestamptz NOT NULL,
    counted_by  text NOT NULL
);
COMMENT ON TABLE resilience.exposure_town IS 'Towns that were counted, and when.';
COMMENT ON COLUMN resilience.exposure_town.counted_by IS 'Checksum of the classes and shares by which it was counted; by another list it counts as not counted.';

CREATE TABLE resilience.exposure_parcel (
    parcel_uid  uuid PRIMARY KEY,
    cousub_fips text NOT NULL,
    answered    integer NOT NULL,
    gaps        integer[],
    unknown_pct double precision[],
    codes       integer[],
    sqft        double precision[]
);
COMMENT ON TABLE resilience.exposure_parcel IS 'What the layers say of a parcel as lists of numbers, for areas that are drawn; see resilience/sql/exposure_counts.sql.';
CREATE INDEX exposure_parcel_cousub_fips_idx ON resilience.exposure_parcel (cousub_fips);

CREATE TABLE resilience.exposure_point (
    address_uid uuid PRIMARY KEY,
    cousub_fips text NOT NULL,
    unlinked    boolean NOT NULL,
    codes       integer[]
);
COMMENT ON TABLE resilience.exposure_point IS 'Likewise of an address point that is shown.';
CREATE INDEX exposure_point_cousub_fips_idx ON resilience.exposure_point (cousub_fips);

CREATE TABLE resilience.exposure_stale (
    cousub_fips text NOT NULL,
    changed_by  bigint NOT NULL DEFAULT txid_current()
);
COMMENT ON TABLE resilience.exposure_stale IS 'Which transaction changed what a town''s counts rest on; triggers write it. Without a key, so that two writers never wait for each other.';
CREATE INDEX exposure_stale_cousub_fips_idx ON resilience.exposure_stale (cousub_fips);

CREATE TABLE resilience.exposure_cell (
    cousub_fips     text NOT NULL,
    layer           text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('all', 'any', 'alone', 'up_to')),
    class           text NOT NULL,
    share_step      smallint NOT NULL,
    valuation_year  integer,
    is_exempt       boolean NOT NULL,
    twice_with      text,
    parcels         integer NOT NULL,
    parcels_centre  integer NOT NULL,
    area_sqft       double precision NOT NULL,
    assessed_usd    double precision,
    appraised_usd   double precision,
    values_counted  integer NOT NULL,
    values_missing  integer NOT NULL,
    no_assessment   integer NOT NULL,
    units           bigint,
    units_missing   integer NOT NULL
);
COMMENT ON TABLE resilience.exposure_cell IS 'Parcels of a town that meet a class of a layer, added up by share, revaluation year and exemption.';
COMMENT ON COLUMN resilience.exposure_cell.kind IS 'all: every parcel of the town, without a layer; any: any hazard of the layer; alone: this class; up_to: this class and those before it, graver or reached earlier.';
COMMENT ON COLUMN resilience.exposure_cell.share_step IS 'How many of the shares that can be asked for the parcel''s share reaches.';
COMMENT ON COLUMN resilience.exposure_cell.twice_with IS 'The town on whose roll the same lot counts; empty for all other lots. Left out where that town is in the answer, too.';
COMMENT ON COLUMN resilience.exposure_cell.area_sqft IS 'Land in the class; land under several rows of one shape once.';
CREATE INDEX exposure_cell_cousub_fips_idx ON resilience.exposure_cell (cousub_fips);

CREATE TABLE resilience.exposure_cover (
    cousub_fips      text NOT NULL,
    layer            text NOT NULL,
    parcels          integer NOT NULL,
    mapped           integer NOT NULL,
    partly_mapped    integer NOT NULL,
    not_mapped       integer NOT NULL,
    unknown          integer NOT NULL,
    unknown_sqft     double precision NOT NULL,
    without_bfe      integer NOT NULL,
    of_older_layer   integer NOT NULL,
    of_older_parcel  integer NOT NULL
);
COMMENT ON TABLE resilience.exposure_cover IS 'How far a layer says anything about the parcels of a town, and how many answers are older than the layer or the parcel.';
CREATE INDEX exposure_cover_cousub_fips_idx ON resilience.exposure_cover (cousub_fips);

CREATE TABLE resilience.exposure_address (
    cousub_fips text NOT NULL,
    layer       text NOT NULL,
    class       text NOT NULL,
    addresses   integer NOT NULL,
    unlinked    integer NOT NULL,
    without_bfe integer NOT NULL,
    older       integer NOT NULL
);
COMMENT ON TABLE resilience.exposure_address IS 'Address points of a town that are shown, by class of a layer; all of them where layer and class are blank.';
CREATE INDEX exposure_address_cousub_fips_idx ON resilience.exposure_address (cousub_fips);

CREATE TABLE resilience.exposure_facility (
    cousub_fips           text NOT NULL,
    critical_facility_uid uuid NOT NULL,
    layer                 text NOT NULL,
    class                 text NOT NULL,
    zone_label            text
);
COMMENT ON TABLE resilience.exposure_facility IS 'Class of each layer at the critical facilities of a town.';
CREATE INDEX exposure_facility_cousub_fips_idx ON resilience.exposure_facility (cousub_fips);

-- Towns of the changed rows are marked in the transaction that changes them, once: a mark of another transaction may be
-- on its way out with a count that did not see this one.
CREATE FUNCTION resilience.exposure_mark(towns text[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO resilience.exposure_stale (cousub_fips)
    SELECT DISTINCT town FROM unnest(towns) AS town
    WHERE NOT EXISTS (
        SELECT 1 FROM resilience.exposure_stale AS s WHERE s.cousub_fips = town AND s.changed_by = txid_current()
    )
$$;

CREATE FUNCTION resilience.exposure_town_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM resilience.exposure_mark(ARRAY(SELECT DISTINCT cousub_fips FROM changed));
    RETURN NULL;
END $$;

CREATE FUNCTION resilience.exposure_withholding_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM resilience.exposure_mark(ARRAY(
        SELECT DISTINCT r.cousub_fips FROM changed JOIN confidential.withheld_request AS r USING (request_no)
    ));
    RETURN NULL;
END $$;

CREATE FUNCTION resilience.exposure_shared_lot_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM resilience.exposure_mark(ARRAY(
        SELECT DISTINCT town FROM changed JOIN cadastral.town_line AS l USING (town_line_uid),
            unnest(ARRAY[l.town_a_fips, l.town_b_fips]) AS town
    ));
    RETURN NULL;
END $$;

CREATE FUNCTION resilience.exposure_layer_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM resilience.exposure_mark(ARRAY(SELECT cousub_fips FROM resilience.exposure_town));
    RETURN NULL;
END $$;
