-- How often a provider's claims have an INA-CBG more than 1.1 times as dear as their diagnosis' usual one, against
-- what its diagnoses would bring: the habit of upcoding by the code. Grain: one row per provider.
-- Expected: the sum over its claims of how often that diagnosis leads to such an INA-CBG among facilities of its class,
-- drawn towards all by as much as 50 claims, as the large hospitals do more for the same diagnosis. By the diagnosis of
-- 45_admission_peers.sql, not by INA-CBG as in 70_provider_habits.sql: within an INA-CBG there is nothing to compare.
-- In millionths, as sums of whole numbers do not depend on the order in which threads add them.
CREATE OR REPLACE TABLE dearer_codes AS
WITH treated AS (
    SELECT
        facility_key,
        facility_class,
        service_type,
        if(service_type = 'RITL', admission_diagnosis, primary_diagnosis) AS from_diagnosis,
        inacbg_base,
        count(*) AS claims
    FROM care
    GROUP BY ALL
),

by_diagnosis AS (
    SELECT
        treated.facility_key,
        treated.facility_class,
        treated.service_type,
        treated.from_diagnosis,
        sum(treated.claims) AS claims,
        coalesce(sum(treated.claims) FILTER (admission.admission_price_ratio > 1.1), 0) AS dearer
    FROM treated
    LEFT JOIN admission_peers AS admission
        ON
            treated.service_type = admission.service_type
            AND treated.from_diagnosis = admission.from_diagnosis
            AND treated.inacbg_base = admission.inacbg_base
    GROUP BY treated.facility_key, treated.facility_class, treated.service_type, treated.from_diagnosis
),

anywhere AS (
    SELECT
        service_type,
        from_diagnosis,
        sum(claims) AS claims,
        sum(dearer) AS dearer
    FROM by_diagnosis
    GROUP BY service_type, from_diagnosis
),

in_class AS (
    SELECT
        service_type,
        from_diagnosis,
        facility_class,
        sum(claims) AS claims,
        sum(dearer) AS dearer
    FROM by_diagnosis
    GROUP BY service_type, from_diagnosis, facility_class
),

usual AS (
    SELECT
        in_class.service_type,
        in_class.from_diagnosis,
        in_class.facility_class,
        (in_class.dearer + 50 * anywhere.dearer / anywhere.claims) / (in_class.claims + 50) AS share
    FROM in_class
    INNER JOIN anywhere
        ON in_class.service_type = anywhere.service_type AND in_class.from_diagnosis = anywhere.from_diagnosis
)

-- Claims without that diagnosis find no usual share: nothing is expected of them, and none of them is dearer.
SELECT
    own.facility_key,
    sum(own.dearer)::BIGINT AS observed,
    coalesce(sum((1e6 * own.claims * usual.share)::BIGINT), 0) / 1e6 AS expected
FROM by_diagnosis AS own
LEFT JOIN usual
    ON
        own.service_type = usual.service_type
        AND own.from_diagnosis = usual.from_diagnosis
        AND own.facility_class = usual.facility_class
GROUP BY own.facility_key
