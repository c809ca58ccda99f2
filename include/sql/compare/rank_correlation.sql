-- Spearman's rank correlation of risk_score over the claims of both releases; ties have the mean of their ranks.
-- NULL when it is not defined: fewer than two claims, or all scores of a release alike.
WITH ranked AS (
    SELECT
        rank() OVER (ORDER BY risk_score_a) + (count(*) OVER (PARTITION BY risk_score_a) - 1) / 2 AS rank_a,
        rank() OVER (ORDER BY risk_score_b) + (count(*) OVER (PARTITION BY risk_score_b) - 1) / 2 AS rank_b
    FROM pairs
    WHERE in_a AND in_b
)

SELECT
    CASE
        WHEN count(*) > 1 AND min(rank_a) < max(rank_a) AND min(rank_b) < max(rank_b) THEN corr(rank_a, rank_b)
    END AS rank_correlation
FROM ranked;
