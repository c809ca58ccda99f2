-- pairs: one row a claim of either release, with its score and its place in each; place 1 is the riskiest, in the total
-- order of the auditors' list. Needs the views side_a and side_b over each release's claims_high_risk.
CREATE TABLE pairs AS
WITH placed_a AS (
    SELECT
        *,
        row_number() OVER (
            ORDER BY risk_score DESC NULLS LAST, ml_score DESC NULLS LAST, amount_claimed DESC NULLS LAST, claim_id ASC
        ) AS place
    FROM side_a
),

placed_b AS (
    SELECT
        *,
        row_number() OVER (
            ORDER BY risk_score DESC NULLS LAST, ml_score DESC NULLS LAST, amount_claimed DESC NULLS LAST, claim_id ASC
        ) AS place
    FROM side_b
)

SELECT
    placed_a.claim_id IS NOT NULL AS in_a,
    placed_b.claim_id IS NOT NULL AS in_b,
    placed_a.place AS place_a,
    placed_b.place AS place_b,
    placed_a.risk_score AS risk_score_a,
    placed_b.risk_score AS risk_score_b,
    coalesce(placed_a.claim_id, placed_b.claim_id) AS claim_id,
    coalesce(placed_b.province_name, placed_a.province_name, '(unknown)') AS province_name,
    coalesce(placed_b.severity_group, placed_a.severity_group, '(unknown)') AS severity_group
FROM placed_a
FULL OUTER JOIN placed_b ON placed_a.claim_id = placed_b.claim_id;
