-- Which INA-CBG the same diagnosis leads to elsewhere: of a stay the admission diagnosis, as it is written before
-- anybody codes for money; of an outpatient visit the primary one, which with the procedures makes its INA-CBG. A
-- dearer neighbour of the usual one is how a case is coded up without touching its severity. Only where half of its
-- claims lead to one INA-CBG: a symptom (abdominal pain, fever) leads everywhere and says nothing about what to expect.
-- Grain: one row per service type, that diagnosis and INA-CBG without severity.
CREATE OR REPLACE TABLE admission_peers AS
WITH counted AS (
    SELECT
        service_type,
        if(service_type = 'RITL', admission_diagnosis, primary_diagnosis) AS from_diagnosis,
        inacbg_base,
        count(*) AS alike,
        count(DISTINCT facility_key) AS facilities
    FROM care
    WHERE from_diagnosis IS NOT NULL
    GROUP BY ALL
),

-- Of all its claims, whatever led to them: the price of a rare way there would be that of the claim itself. Without
-- what facility class, ward class and region add, as some INA-CBGs are for large hospitals.
prices AS (
    SELECT
        care.service_type,
        care.inacbg_base,
        median(care.ln_price - levels.ln_effect) AS ln_price
    FROM care
    INNER JOIN price_levels AS levels
        ON
            care.service_type = levels.service_type
            AND care.facility_class = levels.facility_class
            AND care.ward_class IS NOT DISTINCT FROM levels.ward_class
            AND care.tariff_region IS NOT DISTINCT FROM levels.tariff_region
    GROUP BY care.service_type, care.inacbg_base
),

diagnoses AS (
    SELECT
        service_type,
        if(service_type = 'RITL', admission_diagnosis, primary_diagnosis) AS from_diagnosis,
        count(DISTINCT facility_key) AS facilities
    FROM care
    GROUP BY ALL
),

-- The usual: the commonest INA-CBG of that diagnosis.
placed AS (
    SELECT
        counted.*,
        prices.ln_price,
        (sum(counted.alike) OVER same_diagnosis)::BIGINT AS admissions,
        max(counted.alike) OVER same_diagnosis AS commonest,
        2 * commonest >= admissions AS has_usual,
        first_value(prices.ln_price) OVER (same_diagnosis ORDER BY counted.alike DESC, counted.inacbg_base ASC)
            AS ln_usual,
        (sum(counted.alike) OVER (PARTITION BY counted.service_type, counted.inacbg_base))::BIGINT AS of_code,
        (sum(counted.alike) OVER (PARTITION BY counted.service_type))::BIGINT AS of_type
    FROM counted
    INNER JOIN prices ON counted.service_type = prices.service_type AND counted.inacbg_base = prices.inacbg_base
    WINDOW same_diagnosis AS (PARTITION BY counted.service_type, counted.from_diagnosis)
),

-- Claims of the diagnosis with a dearer INA-CBG as rare as this one or rarer: where a diagnosis leads to many, each
-- once, one of them is nothing odd (docs/adr/0032).
tailed AS (
    SELECT
        *, -- noqa: AM04
        sum(if(ln_price - ln_usual > ln(1.1), alike, 0)) OVER (
            PARTITION BY service_type, from_diagnosis
            ORDER BY alike ASC RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )::BIGINT AS dearer_as_rare
    FROM placed
)

SELECT
    placed.service_type,
    placed.from_diagnosis,
    placed.inacbg_base,
    placed.admissions,
    placed.alike::INTEGER AS admission_alike,
    -- Without half of the claim itself; of all that are as rare against the commonest.
    (placed.alike - 0.5) / placed.admissions AS admission_share,
    if(placed.has_usual, (greatest(placed.dearer_as_rare, placed.alike) - 0.5) / placed.commonest, NULL)
        AS admission_share_of_usual,
    -- 0..1: whether rare is odd, too. Of an outpatient visit only where the INA-CBG comes less often with the diagnosis
    -- than it would by chance, in full from e times less on (a procedure of which there are few goes with the common
    -- diagnoses, too); and where few of the facilities that see the diagnosis bill it so, in full up to 1 in 20.
    if(
        placed.service_type = 'RITL',
        1,
        least(greatest(ln(placed.admissions * (placed.of_code / placed.of_type) / placed.alike), 0), 1)
        * least(-ln((placed.facilities - 0.5) / diagnoses.facilities) / 3, 1)
    ) AS admission_oddness,
    if(placed.has_usual, exp(placed.ln_price - placed.ln_usual), NULL) AS admission_price_ratio
FROM tailed AS placed
INNER JOIN diagnoses
    ON placed.service_type = diagnoses.service_type AND placed.from_diagnosis = diagnoses.from_diagnosis
