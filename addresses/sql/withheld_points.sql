-- Points, live or ended, that requests in force mean: by address with all or one unit within it, by an identifier, or by an
-- identifier that a point of the request had. What follows an address lies within it, unless it is still the street:
-- 36 MAIN STREET NORTH does not lie in 36 MAIN STREET.
WITH point AS (
    SELECT *, string_to_array(upper(concat_ws(' ', st_name, st_postyp, st_posdir, st_posmod)), ' ') AS street_words
    FROM (
        SELECT address_uid, nguid, local_id, parcel_id, address_normalized, unitvalue, st_name, st_postyp, st_posdir, st_posmod
        FROM addresses.address_point WHERE cousub_fips = %(town)s
        UNION ALL
        SELECT address_uid, nguid, local_id, parcel_id, address_normalized, unitvalue, st_name, st_postyp, st_posdir, st_posmod
        FROM addresses.address_point_history WHERE cousub_fips = %(town)s
    ) AS version
),
request AS (
    SELECT request_no, address_normalized, unit, upper(identifier) AS identifier
    FROM confidential.withheld_request
    WHERE cousub_fips = %(town)s AND released_at IS NULL AND basis <> 'delivered'
),
known AS (
    SELECT DISTINCT request_no, nguid, local_id
    FROM request JOIN confidential.withheld_point USING (request_no) JOIN point USING (address_uid)
),
by_address AS (
    SELECT request_no, address_uid, unit, upper(unitvalue) AS unitvalue,
        string_to_array(ltrim(substr(point.address_normalized, length(request.address_normalized) + 1)), ' ') AS within,
        street_words
    FROM request JOIN point ON starts_with(point.address_normalized || ' ', request.address_normalized || ' ')
)
INSERT INTO confidential.withheld_point (request_no, address_uid)
SELECT request_no, address_uid
FROM by_address
WHERE (cardinality(within) = 0 OR within[1] <> ALL (street_words))
  AND (unit IS NULL OR unit IN (unitvalue, within[cardinality(within)]))
UNION
SELECT request_no, address_uid
FROM request JOIN point ON identifier IN (upper(nguid), upper(local_id), upper(parcel_id), upper(address_uid::text))
UNION
SELECT request_no, address_uid FROM known JOIN point USING (nguid)
UNION
SELECT request_no, address_uid FROM known JOIN point USING (local_id)
ON CONFLICT DO NOTHING
