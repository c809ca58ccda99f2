-- One page of the claims of count_high_risk_claims.sql, in the one order that all lists use: by risk, or, with $sort
-- 'excess', by what an audit could recover and then by risk. `place` finds the rows again, in this order.
SELECT
    claim_id,
    rowid AS place
FROM claims_high_risk
WHERE
    risk_score >= $min_risk
    AND excess_amount >= $min_excess
    AND ($service_type::VARCHAR IS NULL OR service_type = $service_type)
    AND ($severity::VARCHAR IS NULL OR severity_group = $severity)
    AND ($province::INTEGER IS NULL OR province_code = $province)
    AND ($facility::VARCHAR IS NULL OR facility_key = $facility)
    AND ($flag::VARCHAR IS NULL OR list_contains(flags, $flag))
    AND ($discharged_from::DATE IS NULL OR discharge_date >= $discharged_from)
    AND ($discharged_to::DATE IS NULL OR discharge_date <= $discharged_to)
    AND claim_id NOT IN (SELECT left_out.claim_id FROM left_out)
ORDER BY
    if($sort = 'excess', excess_amount, 0) DESC,
    risk_score DESC,
    ml_score DESC,
    amount_claimed DESC,
    claim_id ASC
LIMIT $page_size OFFSET $skipped
