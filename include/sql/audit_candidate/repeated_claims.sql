-- A claim is scored once.
SELECT
    claim_id,
    format('{} rows', count(*)) AS finding
FROM candidate
GROUP BY claim_id
HAVING count(*) > 1
