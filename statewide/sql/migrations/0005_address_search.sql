-- What the address search looks things up in: made after each publication from the published views, and no fact of its own.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE addresses.street (
    street_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cousub_fips text NOT NULL,
    street      text NOT NULL,
    name_key    text NOT NULL,
    type_key    text NOT NULL,
    UNIQUE (cousub_fips, name_key, type_key)
);
COMMENT ON TABLE addresses.street IS 'Every street of a town once, as its address points and the locations of its parcels name it.';
COMMENT ON COLUMN addresses.street.name_key IS 'The name in capitals and without punctuation, all but its type at the end.';
COMMENT ON COLUMN addresses.street.type_key IS 'The type at the end, likewise; empty where the street has none.';
CREATE INDEX street_name_key_idx ON addresses.street (name_key);
CREATE INDEX street_name_key_trigram_idx ON addresses.street USING gin (name_key gin_trgm_ops) WITH (fastupdate = off);

CREATE TABLE addresses.street_place (
    street_id bigint NOT NULL REFERENCES addresses.street,
    kind      text NOT NULL CHECK (kind IN ('address', 'parcel')),
    place_uid uuid NOT NULL,
    number    integer NOT NULL,
    number_to integer,
    suffix    text,
    unit      text
);
COMMENT ON TABLE addresses.street_place IS 'Which address point or parcel has which number of a street. What is shown of it comes from the published view of its kind.';
COMMENT ON COLUMN addresses.street_place.number_to IS 'The last number of a range such as 12-16; empty where there is one number.';
CREATE INDEX street_place_street_id_number_idx ON addresses.street_place (street_id, number);

CREATE TABLE addresses.community (
    cousub_fips text NOT NULL,
    name_key    text NOT NULL,
    name        text NOT NULL,
    PRIMARY KEY (cousub_fips, name_key)
);
COMMENT ON TABLE addresses.community IS 'Villages, postal cities, 9-1-1 communities and ZIP codes that the address points of a town name.';

CREATE TABLE addresses.search_state (
    cousub_fips    text NOT NULL,
    dataset        text NOT NULL,
    publication_id uuid NOT NULL,
    PRIMARY KEY (cousub_fips, dataset)
);
COMMENT ON TABLE addresses.search_state IS 'The publication from which a town can be searched; another than the live one is brought up to date.';
