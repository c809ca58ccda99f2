-- Of each facility the claims beyond its first $max_per_facility, in the list's order, join those that a list leaves
-- out: the rest of it has many facilities. What is left out already (it was read) does not count.
INSERT INTO left_out
SELECT claim_id
FROM claims_high_risk
WHERE
    risk_score >= $min_risk
    AND excess_amount >= $min_excess
    AND ($service_type::VARCHAR IS NULL OR service_type = $service_type)
    AND ($severity::VARCHAR IS NULL OR severity_group = $severity)
    AND ($province::INTEGER IS NULL OR province_code = $province)
    AND ($facility::VARCHAR IS NULL OR facility_key = $facility)
    AND ($flag::VARCHAR IS NULL OR list_contains(flags, $flag))
    AND claim_id NOT IN (SELECT left_out.claim_id FROM left_out)
QUALIFY
    row_number() OVER (
        PARTITION BY facility_key
        ORDER BY
            if($sort = 'excess', excess_amount, 0) DESC,
            risk_score DESC,
            ml_score DESC,
            amount_claimed DESC,
            claim_id ASC
    ) > $max_per_facility
