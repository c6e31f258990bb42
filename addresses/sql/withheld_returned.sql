-- New points of a file that says nothing of who is protected which are, by number or address, one that was flagged before.
SELECT DISTINCT added.address_uid
FROM confidential.withheld_request
JOIN confidential.withheld_point AS withheld USING (request_no)
JOIN addresses.address_point_history AS flagged ON flagged.address_uid = withheld.address_uid
JOIN addresses.address_point AS added
    ON added.nguid = flagged.nguid OR added.local_id = flagged.local_id
    OR added.address_normalized = flagged.address_normalized
WHERE withheld_request.cousub_fips = %(town)s AND basis = 'delivered' AND released_at IS NULL
    AND added.cousub_fips = %(town)s AND added.address_uid = ANY(%(added)s::uuid[])
