-- Whether the very same delivery, sent again, would be walked to the same end.
ALTER TABLE statewide.publication ADD COLUMN basis text;
COMMENT ON COLUMN statewide.publication.basis IS 'Digest of all that the last accepted delivery was judged by, beside its files; empty after a rollback.';
