-- Every claim that is among the top-K of either release, riskiest first, with what each release says of it.
WITH listed AS (
    SELECT *
    FROM pairs
    WHERE place_a <= $top_k OR place_b <= $top_k
)

SELECT
    listed.claim_id,
    listed.place_a,
    listed.place_b,
    listed.risk_score_a,
    listed.risk_score_b,
    listed.province_name,
    listed.severity_group,
    side_a.reasons AS reasons_a,
    side_b.reasons AS reasons_b,
    coalesce(side_b.amount_claimed, side_a.amount_claimed) AS amount_claimed
FROM listed
LEFT JOIN side_a ON listed.claim_id = side_a.claim_id
LEFT JOIN side_b ON listed.claim_id = side_b.claim_id
ORDER BY least(listed.place_a, listed.place_b) ASC, listed.claim_id ASC;
