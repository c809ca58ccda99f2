-- One claim of a release, whatever its risk.
SELECT * -- noqa: AM04
FROM claims_high_risk
WHERE claim_id = $claim_id
