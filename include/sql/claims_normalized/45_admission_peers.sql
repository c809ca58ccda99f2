-- Which INA-CBG the same admission diagnosis leads to elsewhere. A dearer neighbour of the usual one is how a case is
-- coded up without touching its severity; the admission diagnosis is written before anybody codes for money.
-- Grain: one row per service type, admission diagnosis and INA-CBG without severity.
CREATE OR REPLACE TABLE admission_peers AS
WITH counted AS (
    SELECT
        service_type,
        admission_diagnosis,
        inacbg_base,
        count(*) AS alike,
        median(ln_price) AS ln_price
    FROM care
    WHERE admission_diagnosis IS NOT NULL
    GROUP BY ALL
),

-- The usual: the commonest INA-CBG of that admission diagnosis.
placed AS (
    SELECT
        *,
        (sum(alike) OVER same_diagnosis)::BIGINT AS admissions,
        max(alike) OVER same_diagnosis AS commonest,
        first_value(ln_price) OVER (same_diagnosis ORDER BY alike DESC, inacbg_base ASC) AS ln_usual
    FROM counted
    WINDOW same_diagnosis AS (PARTITION BY service_type, admission_diagnosis)
)

SELECT
    service_type,
    admission_diagnosis,
    inacbg_base,
    admissions,
    alike::INTEGER AS admission_alike,
    -- Without the claim itself; against the commonest, where half of the claims lead to it: a symptom (abdominal pain,
    -- fever) leads everywhere and says nothing about what to expect.
    (alike - 0.5) / admissions AS admission_share,
    if(2 * commonest >= admissions, (alike - 0.5) / commonest, NULL) AS admission_share_of_usual,
    exp(ln_price - ln_usual) AS admission_price_ratio
FROM placed
