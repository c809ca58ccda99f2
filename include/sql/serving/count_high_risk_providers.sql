-- How many providers of a release a query of the API is about. A filter that is NULL lets every provider through.
SELECT count(*) AS total
FROM provider_risk
WHERE
    ($province_name::VARCHAR IS NULL OR province_name = $province_name)
    AND ($facility::VARCHAR IS NULL OR facility_key = $facility)
    AND ($pattern::VARCHAR IS NULL OR pattern = $pattern)
