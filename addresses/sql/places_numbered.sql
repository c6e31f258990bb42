-- Places of the asked streets: those of the number, its neighbours where they are asked for, and the middle of a street
-- when there is no number.
SELECT asked.street_id, found.*
FROM unnest(%(streets)s::bigint[], %(numbers)s::integer[], %(with_neighbours)s::boolean[])
     AS asked (street_id, number, with_neighbours),
LATERAL (
    (
        SELECT kind, place_uid, number, number_to, suffix, unit FROM published.find_places AS p
        WHERE p.street_id = asked.street_id AND p.number = asked.number
        LIMIT 1000 -- a tower of flats
    )
    UNION ALL
    (
        SELECT kind, place_uid, number, number_to, suffix, unit FROM published.find_places AS p
        WHERE p.street_id = asked.street_id AND asked.with_neighbours AND p.number < asked.number
        ORDER BY p.number DESC
        LIMIT 8
    )
    UNION ALL
    (
        SELECT kind, place_uid, number, number_to, suffix, unit FROM published.find_places AS p
        WHERE p.street_id = asked.street_id AND asked.with_neighbours AND p.number > asked.number
        ORDER BY p.number
        LIMIT 8
    )
    UNION ALL
    (
        SELECT kind, place_uid, number, number_to, suffix, unit FROM published.find_places AS p
        WHERE p.street_id = asked.street_id AND asked.number IS NULL
        ORDER BY p.number
        LIMIT 5 -- more than one, for some may not be shown
        OFFSET (SELECT count(*) / 2 FROM published.find_places AS q WHERE q.street_id = asked.street_id)
    )
) AS found
