-- Places of a town on their way into the search, as delivered or parsed.
CREATE TEMPORARY TABLE numbered (
    place_uid    uuid,
    street       text,
    name         text,
    street_type  text,
    number       integer,
    whole_number text,
    suffix       text,
    unit         text
) ON COMMIT DROP
