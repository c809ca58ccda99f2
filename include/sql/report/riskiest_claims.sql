-- The riskiest claims of a release, in the one order that all lists use; of each facility at most
-- $max_per_facility, where that is not NULL.
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
QUALIFY
    $max_per_facility::INTEGER IS NULL
    OR row_number() OVER (
        PARTITION BY facility_key
        ORDER BY risk_score DESC, ml_score DESC, amount_claimed DESC, claim_id ASC
    ) <= $max_per_facility
ORDER BY risk_score DESC, ml_score DESC, amount_claimed DESC, claim_id ASC
LIMIT $top
