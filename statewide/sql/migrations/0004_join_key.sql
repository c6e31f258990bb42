-- How a town's parcels and its assessor's rows met, for the next delivery.
ALTER TABLE statewide.crosswalk ADD COLUMN join_key jsonb;
COMMENT ON COLUMN statewide.crosswalk.join_key IS 'Columns and spelling by which the datasets of the town meet; empty before they did.';
