-- The parts in which claims_high_risk is built, one after the other: the rows first_row to last_row of both files.
-- A part is some whole clusters of the API's filters (service type, severity, province), about $part_rows claims or one
-- large cluster, so that no more than that is sorted at a time. The ETL writes the claims in this order, and the scores
-- are in the claims' order; where it is not so (files that another version wrote), all is one part.
WITH places AS (
    SELECT
        claims.file_row_number AS place,
        claims.service_type,
        claims.severity_group,
        claims.province_code,
        coalesce(claims.claim_id = scores.claim_id, FALSE) AS same_claim
    FROM claims
    POSITIONAL JOIN scores
),

clusters AS (
    SELECT
        service_type,
        severity_group,
        province_code,
        min(place) AS first_row,
        max(place) AS last_row,
        count(*) = max(place) - min(place) + 1 AND bool_and(same_claim) AS as_written
    FROM places
    GROUP BY service_type, severity_group, province_code
),

numbered AS (
    SELECT
        first_row,
        last_row,
        if(bool_and(as_written) OVER (), first_row // $part_rows, 0) AS part
    FROM clusters
)

SELECT
    min(first_row) AS first_row,
    max(last_row) AS last_row
FROM numbered
GROUP BY part
ORDER BY part
