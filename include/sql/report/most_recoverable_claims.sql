-- The high-risk claims of a release (risk_score of 0.5 or more, as the API's sort=excess) by what an audit could
-- recover (excess_amount, rupiah), of equals the riskier first; of each facility at most $max_per_facility, where that
-- is not NULL. A bill that is merely dear has no reason that could be audited.
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
WHERE risk_score >= 0.5
QUALIFY
    $max_per_facility::INTEGER IS NULL
    OR row_number() OVER (
        PARTITION BY facility_key
        ORDER BY excess_amount DESC, risk_score DESC, ml_score DESC, claim_id ASC
    ) <= $max_per_facility
ORDER BY excess_amount DESC, risk_score DESC, ml_score DESC, claim_id ASC
LIMIT $top
