-- One page of the providers of count_high_risk_providers.sql, riskiest first.
SELECT * -- noqa: AM04
FROM provider_risk
WHERE
    ($province_name::VARCHAR IS NULL OR province_name = $province_name)
    AND ($facility::VARCHAR IS NULL OR facility_key = $facility)
    AND ($pattern::VARCHAR IS NULL OR pattern = $pattern)
ORDER BY rank ASC, facility_key ASC
LIMIT $page_size OFFSET $skipped
