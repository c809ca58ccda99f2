-- How many claims of a release a query of the API is about: `meta.total`. A filter that is NULL lets all through.
SELECT count(*) AS total
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
