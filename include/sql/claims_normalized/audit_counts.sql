-- Claims that should be in claims_normalized, rows that are in the file written of it ($written), and different claim
-- ids among them.
WITH expected AS (
    SELECT count(*) AS known
    FROM visits
    WHERE known
),

actual AS (
    SELECT
        count(*) AS claim_rows,
        count(DISTINCT claim_id) AS claim_ids
    FROM read_parquet($written)
)

SELECT
    expected.known,
    actual.claim_rows,
    actual.claim_ids
FROM expected
CROSS JOIN actual
