-- The street's door to the pictures: where the registered files lie, for the server that draws them. No collection shows it.
CREATE VIEW published.imagery_files AS SELECT imagery_uid, file_path, file_bytes FROM resilience.imagery;
