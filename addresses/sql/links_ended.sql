-- Links that are no longer wanted go to the ended ones. What they rested on stands in the tables of the last time;
-- what is there now, in the temporary ones.
WITH gone AS (
    DELETE FROM addresses.address_parcel AS link
    WHERE cousub_fips = %(town)s
      AND NOT EXISTS (
          SELECT FROM wanted_address_parcel AS wanted
          WHERE wanted.address_uid = link.address_uid AND wanted.parcel_uid = link.parcel_uid
      )
    RETURNING *
),
changed AS (
    SELECT
        gone.*,
        point.submission_id AS point_submission_id,
        parcel.submission_id AS land_submission_id,
        new_point.address_uid IS NULL AS address_gone,
        new_parcel.parcel_uid IS NULL AS parcel_gone,
        'parcel_number' = ANY(string_to_array(gone.evidence, ' ')) AS by_number,
        'inside' = ANY(string_to_array(gone.evidence, ' ')) AS by_place,
        string_to_array(gone.evidence, ' ') && ARRAY['near', 'address_text'] AS by_text,
        old_point.parcel_number IS DISTINCT FROM new_point.parcel_number AS other_number,
        old_point.street_address IS DISTINCT FROM new_point.street_address AS renumbered,
        old_point.point_shape_hash IS DISTINCT FROM new_point.point_shape_hash AS moved,
        old_parcel.parcel_shape_hash IS DISTINCT FROM new_parcel.parcel_shape_hash AS reshaped,
        old_parcel.parcel_attribute_hash IS DISTINCT FROM new_parcel.parcel_attribute_hash AS described_anew
    FROM gone
    LEFT JOIN (SELECT * FROM addresses.address_link WHERE cousub_fips = %(town)s) AS old_point USING (address_uid)
    LEFT JOIN (SELECT * FROM addresses.parcel_location WHERE cousub_fips = %(town)s) AS old_parcel
        ON old_parcel.parcel_uid = gone.parcel_uid
    LEFT JOIN wanted_address_link AS new_point USING (address_uid)
    LEFT JOIN wanted_parcel_location AS new_parcel ON new_parcel.parcel_uid = gone.parcel_uid
    LEFT JOIN (SELECT * FROM addresses.address_point WHERE cousub_fips = %(town)s) AS point USING (address_uid)
    LEFT JOIN (SELECT * FROM cadastral.parcel WHERE cousub_fips = %(town)s) AS parcel
        ON parcel.parcel_uid = gone.parcel_uid
),
judged AS (
    SELECT
        *,
        CASE
            WHEN address_gone THEN 'address_retired'
            WHEN parcel_gone THEN coalesce(
                (
                    SELECT max('parcel_' || kind)
                    FROM statewide.lineage
                    WHERE dataset = 'parcel' AND from_uid = changed.parcel_uid AND kind IN ('split', 'merged')
                      AND submission_id = (
                          SELECT ended_by FROM cadastral.parcel_history AS ended
                          WHERE ended.parcel_uid = changed.parcel_uid ORDER BY valid_to DESC LIMIT 1
                      )
                ),
                'parcel_retired'
            )
            WHEN by_number AND other_number THEN 'number_changed'
            WHEN by_number AND described_anew THEN 'location_changed'
            WHEN by_place AND moved THEN 'address_moved'
            WHEN by_place AND reshaped THEN 'parcel_reshaped'
            WHEN by_text AND renumbered THEN 'address_renumbered'
            WHEN by_text AND described_anew THEN 'location_changed'
            WHEN moved THEN 'address_moved'
            WHEN reshaped THEN 'parcel_reshaped'
            WHEN renumbered THEN 'address_renumbered'
            ELSE 'better_link'
        END AS because
    FROM changed
)
INSERT INTO addresses.address_parcel_ended ({columns}, ended_at, ended_because, ended_by)
SELECT
    {columns}, now(), because,
    CASE
        WHEN because = 'address_retired' THEN (
            SELECT ended_by FROM addresses.address_point_history AS past
            WHERE past.address_uid = judged.address_uid ORDER BY valid_to DESC LIMIT 1
        )
        WHEN because IN ('parcel_split', 'parcel_merged', 'parcel_retired') THEN (
            SELECT ended_by FROM cadastral.parcel_history AS past
            WHERE past.parcel_uid = judged.parcel_uid ORDER BY valid_to DESC LIMIT 1
        )
        WHEN because IN ('number_changed', 'address_moved', 'address_renumbered') THEN point_submission_id
        WHEN because IN ('parcel_reshaped', 'location_changed') THEN land_submission_id
    END
FROM judged
