-- Every claim of the data date is scored.
SELECT
    claims.claim_id,
    'not in the candidate' AS finding
FROM claims
ANTI JOIN candidate ON claims.claim_id = candidate.claim_id
