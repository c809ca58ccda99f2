-- How risky a provider is: how sure, how odd and how much. Grain: one row per provider.
-- deviance, in nats: how far the provider's claims speak for more of a pattern than its case mix would bring, summed
-- over the patterns. Of one pattern it is the log-likelihood ratio of a Poisson count at the shrunken ratio
-- r = (observed + a) / (expected + a) against 1: observed x ln(r) - (r - 1) x expected, and 0 where r <= 1. The prior a
-- is that of 75_channels.sql: 2, and 10 for severity. It grows with how odd the rate is and with how many claims say
-- so; a small provider is drawn to 0. patterns: each one's figures, the largest deviance first.
-- volume, rupiah: geometric mean of what the provider claimed and of as many claims at the country's mean.
-- risk_score = x / (x + 1 billion rupiah ** (1/4)), x = sqrt(sqrt(volume) x (1 + (deviance / 5) ** 3)), 0..1: money
-- alone is a strong sign among real labelled providers and rates alone are not; a clear habit outweighs it. Where eight
-- patterns are tried a few nats come by chance, so up to five hardly count, and beyond they count by the cube
-- (docs/adr/0010).
-- evidence, in nats: ln(1 + 300 x (deviance beyond 5) / (claims + 100)), for the channel `provider` of its claims. How
-- many of a provider's claims are fraud is a matter of its deviance per claim: the same deviance lies in the habit of a
-- small provider and in a corner of a large one. 100 claims keep the smallest from standing out by one find
-- (docs/adr/0023).
CREATE OR REPLACE TABLE provider_risk AS
WITH patterns AS (
    SELECT
        facility_key,
        pattern,
        observed,
        expected,
        if(pattern = 'severity', 10, 2) AS prior_claims,
        (observed + prior_claims) / (expected + prior_claims) AS ratio
    FROM provider_habits
    UNPIVOT (
        (observed, expected) FOR pattern IN (
            (observed_severity, expected_severity) AS severity,
            (observed_inflated_bill, expected_inflated_bill) AS inflated_bill,
            (observed_short_stay, expected_short_stay) AS short_stay,
            (observed_topup, expected_topup) AS topup,
            (observed_repeat, expected_repeat) AS repeat,
            (observed_fragmentation, expected_fragmentation) AS fragmentation,
            (observed_overlap, expected_overlap) AS overlap,
            (observed_clone, expected_clone) AS clone
        )
    )
),

deviating AS (
    SELECT
        *,
        -- In millionths, as sums of whole numbers do not depend on the order in which threads add them.
        if(ratio > 1, round(1e6 * (observed * ln(ratio) - (ratio - 1) * expected)), 0)::BIGINT AS deviance,
        {
            'pattern': pattern,
            'observed': observed::INTEGER,
            'expected': expected,
            'ratio': ratio,
            'deviance': deviance / 1e6
        } AS figures
    FROM patterns
),

by_provider AS (
    SELECT
        facility_key,
        sum(deviance)::BIGINT / 1e6 AS deviance,
        list(figures ORDER BY deviance DESC, pattern ASC) AS patterns
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
        by_provider.deviance,
        by_provider.patterns,
        if(by_provider.deviance > 0, by_provider.patterns[1], NULL) AS main,
        sqrt(amounts.amount_claimed::DOUBLE * (amounts.claims * country.mean_claim)) AS volume,
        sqrt(sqrt(volume) * (1 + (by_provider.deviance / 5) ** 3)) AS weighed
    FROM amounts
    CROSS JOIN country
    INNER JOIN by_provider ON amounts.facility_key = by_provider.facility_key
)

SELECT
    scored.facility_key,
    scored.first_claim,
    scored.patterns,
    ln(1 + 300 * greatest(scored.deviance - 5, 0) / (scored.claims + 100)) AS evidence,
    {
        'claims': scored.claims::INTEGER,
        'amount_claimed': scored.amount_claimed,
        'excess_amount': scored.excess_amount,
        'risk_score': scored.weighed / (scored.weighed + 1e9 ** 0.25),
        'rank': (rank() OVER (ORDER BY scored.weighed DESC))::INTEGER,
        'providers': (count(*) OVER ())::INTEGER,
        'deviance': scored.deviance,
        'pattern': scored.main.pattern,
        'observed': scored.main.observed,
        'expected': scored.main.expected
    } AS provider
FROM scored
