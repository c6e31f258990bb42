-- What every address point paid for and nobody asked: rows are looked up by town, and the streets of the search are
-- written by the one statement that writes its places.
DROP INDEX IF EXISTS addresses.address_point_address_normalized_idx;
ALTER TABLE addresses.street_place DROP CONSTRAINT street_place_street_id_fkey;
