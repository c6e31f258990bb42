-- The street's door to the address search, beside the collections: keys and numbers, and nothing that is shown.
-- What is found is read from the published view of its kind, so that what is withheld there is not found here either.
CREATE VIEW published.find_streets AS SELECT street_id, cousub_fips, street, name_key, type_key FROM addresses.street;
CREATE VIEW published.find_places AS
SELECT street_id, kind, place_uid, number, number_to, suffix, unit FROM addresses.street_place;
CREATE VIEW published.find_names AS
SELECT cousub_fips, upper(town_name) AS name_key, town_name AS name, true AS is_town FROM statewide.municipality
UNION ALL
SELECT cousub_fips, name_key, name, false FROM addresses.community;
