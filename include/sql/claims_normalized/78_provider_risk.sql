-- How risky a provider is: how sure, how odd and how much. Grain: one row per provider.
-- patterns: for each pattern, and for claims with strong evidence of any (76_strong_claims.sql), the provider's claims
-- that show it, observed, against what its case mix (strong: its stays and visits) would bring, expected; strong first,
-- then the largest deviance. pattern: the one with the largest, from 1 nat on.
-- ratio: (observed + a) / (expected + a); the prior a is that of 75_channels.sql: 2, and 10 for severity. Of high bills
-- two are taken off for each as low, as there: observed tells all of them, ratio and deviance only what is left.
-- deviance, in nats: the log-likelihood ratio of a Poisson count at that ratio against 1,
-- observed x ln(ratio) - (ratio - 1) x expected, and 0 where the ratio is 1 or less. It grows with how odd the rate is
-- and with how many claims say so; a small provider is drawn to 0. The provider's is that of its strong claims.
-- volume, rupiah: geometric mean of what the provider claimed and of as many claims at the country's mean.
-- risk_score = x / (x + 1 billion rupiah ** (1/4)), x = volume ** (1/4) x (1 + (deviance / 5) ** 2), 0..1: money alone
-- is a strong sign among real labelled providers and rates alone are not. Squared, as one or two nats come by chance;
-- tens of them outweigh every difference of size (docs/adr/0026).
-- evidence, in nats: 2 x ln(ratio) of the strong claims, for the channel `provider` of its claims: a claim is the
-- likelier fraud the more strong claims its provider has against what is expected (docs/adr/0026). The claim's own
-- habit is added in 80_claims_normalized.sql.
CREATE OR REPLACE TABLE provider_risk AS
WITH patterns AS (
    SELECT
        facility_key,
        pattern,
        observed,
        expected,
        -- Who errs both ways has no habit of high bills (docs/adr/0049).
        if(pattern = 'inflated_bill', greatest(observed - 2 * low_bills, 0), observed) AS counted,
        if(pattern = 'severity', 10, 2) AS prior_claims,
        (counted + prior_claims) / (expected + prior_claims) AS ratio
    FROM provider_habits
    UNPIVOT (
        (observed, expected) FOR pattern IN (
            (observed_severity, expected_severity) AS severity,
            (observed_dearer_code, expected_dearer_code) AS dearer_code,
            (observed_inflated_bill, expected_inflated_bill) AS inflated_bill,
            (observed_short_stay, expected_short_stay) AS short_stay,
            (observed_topup, expected_topup) AS topup,
            (observed_repeat, expected_repeat) AS repeat,
            (observed_fragmentation, expected_fragmentation) AS fragmentation,
            (observed_overlap, expected_overlap) AS overlap,
            (observed_clone, expected_clone) AS clone,
            (observed_single_visit, expected_single_visit) AS single_visit
        )
    )
    UNION ALL
    SELECT
        facility_key,
        'strong' AS pattern,
        observed,
        expected,
        observed AS counted,
        2 AS prior_claims,
        (counted + prior_claims) / (expected + prior_claims) AS ratio
    FROM strong_claims
),

deviating AS (
    SELECT
        *,
        if(ratio > 1, counted * ln(ratio) - (ratio - 1) * expected, 0) AS deviance,
        {
            'pattern': pattern,
            'observed': observed::INTEGER,
            'expected': expected,
            'ratio': ratio,
            'deviance': deviance
        } AS figures
    FROM patterns
),

by_provider AS (
    SELECT
        facility_key,
        any_value(figures) FILTER (pattern = 'strong') AS strong,
        (list(figures ORDER BY deviance DESC, pattern ASC) FILTER (pattern <> 'strong' AND deviance >= 1))[1] AS main,
        list(figures ORDER BY pattern = 'strong' DESC, deviance DESC, pattern ASC) AS patterns
    FROM deviating
    GROUP BY facility_key
),

amounts AS (
    SELECT
        facility_key,
        min(claim_id) AS first_claim,
        count(*) AS claims,
        sum(amount_claimed)::BIGINT AS amount_claimed,
        sum(excess_amount)::BIGINT AS excess_amount
    FROM evidence
    GROUP BY facility_key
),

country AS (
    SELECT sum(amount_claimed)::DOUBLE / sum(claims) AS mean_claim
    FROM amounts
),

scored AS (
    SELECT
        amounts.*,
        by_provider.strong,
        by_provider.main,
        by_provider.patterns,
        sqrt(amounts.amount_claimed::DOUBLE * (amounts.claims * country.mean_claim)) AS volume,
        sqrt(sqrt(volume)) * (1 + (by_provider.strong.deviance / 5) ** 2) AS weighed
    FROM amounts
    CROSS JOIN country
    INNER JOIN by_provider ON amounts.facility_key = by_provider.facility_key
)

SELECT
    scored.facility_key,
    scored.first_claim,
    scored.patterns,
    2 * ln(greatest(scored.strong.ratio, 1)) AS evidence,
    {
        'claims': scored.claims::INTEGER,
        'amount_claimed': scored.amount_claimed,
        'excess_amount': scored.excess_amount,
        'risk_score': scored.weighed / (scored.weighed + 1e9 ** 0.25),
        'rank': (rank() OVER (ORDER BY scored.weighed DESC))::INTEGER,
        'providers': (count(*) OVER ())::INTEGER,
        'deviance': scored.strong.deviance,
        'strong_observed': scored.strong.observed,
        'strong_expected': scored.strong.expected,
        'pattern': scored.main.pattern,
        'observed': scored.main.observed,
        'expected': scored.main.expected
    } AS provider
FROM scored
