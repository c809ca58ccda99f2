-- The riskiest providers of a release.
SELECT
    rank,
    facility_key,
    provider_risk_score,
    claims,
    amount_claimed,
    excess_amount,
    high_risk_claims,
    facility_class,
    province_name,
    reasons
FROM provider_risk
ORDER BY rank ASC, facility_key ASC
LIMIT $top
