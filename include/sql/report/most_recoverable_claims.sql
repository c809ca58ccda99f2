-- The claims of a release by what an audit could recover (excess_amount, rupiah); of equals the riskier first.
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
ORDER BY excess_amount DESC, risk_score DESC, ml_score DESC, claim_id ASC
LIMIT $top
