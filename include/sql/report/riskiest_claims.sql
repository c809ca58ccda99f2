-- The riskiest claims of a release, in the one order that all lists use.
SELECT
    claim_id,
    risk_score,
    service_type,
    severity_group,
    inacbg_code,
    facility_class,
    province_name,
    los,
    amount_claimed,
    excess_amount,
    reasons
FROM claims_high_risk
ORDER BY risk_score DESC, ml_score DESC, amount_claimed DESC, claim_id ASC
LIMIT $top
