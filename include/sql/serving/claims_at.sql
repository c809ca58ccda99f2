-- The claims at some places of claims_high_risk, in no order. The places are found first (high_risk_claim_ids.sql), as
-- sorting whole rows for a page far down the list took more memory than a request may have.
SELECT
    *, -- noqa: AM04
    rowid AS place
FROM claims_high_risk
WHERE rowid IN (SELECT unnest($places))
