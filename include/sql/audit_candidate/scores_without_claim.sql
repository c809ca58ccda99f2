-- Nothing is scored that is not a claim of the data date.
SELECT
    candidate.claim_id,
    'no such claim' AS finding
FROM candidate
ANTI JOIN claims ON candidate.claim_id = claims.claim_id
