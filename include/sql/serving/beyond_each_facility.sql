-- Of each facility the claims beyond its first $max_per_facility, in the list's order, join those that a list leaves
-- out: the rest of it has many facilities. What was read counts: else other claims would move up, and the list of a
-- later day, which knows only how far down that of the day before was read, would repeat some and hide others.
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
    AND ($discharged_from::DATE IS NULL OR discharge_date >= $discharged_from)
    AND ($discharged_to::DATE IS NULL OR discharge_date <= $discharged_to)
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
