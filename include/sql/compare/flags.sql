-- Claims that carry each flag, in each release.
WITH carried AS (
    SELECT
        'a' AS side,
        unnest(flags) AS flag
    FROM side_a
    UNION ALL
    SELECT
        'b' AS side,
        unnest(flags) AS flag
    FROM side_b
)

SELECT
    flag,
    count(*) FILTER (side = 'a') AS claims_a,
    count(*) FILTER (side = 'b') AS claims_b
FROM carried
WHERE flag IS NOT NULL
GROUP BY flag
ORDER BY flag;
