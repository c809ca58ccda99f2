-- How often a provider's claims show each pattern, against what its case mix would bring: the sums behind its habits.
-- Grain: one row per provider. observed_<pattern>: claims that show it (steps of severity above I for severity);
-- expected_<pattern>: the sum over its claims of how often claims of that INA-CBG (without severity) show it anywhere;
-- severity among facilities of its class, drawn towards that of all by as much as 50 claims: the heavy cases are
-- referred to the large hospitals. dearer_code is 68_dearer_codes.sql's.
-- low_bills: bills as far below as inflated ones are above; who errs both ways has no habit (docs/adr/0049).
-- Full weeks add nothing to the habit of repeats: honest facilities pack courses of treatment, too (docs/adr/0022).
-- In millionths, as sums of whole numbers do not depend on the order in which threads add them.
CREATE OR REPLACE TABLE provider_habits AS
WITH shown AS (
    SELECT
        claim_id,
        facility_key,
        inacbg_base,
        facility_class,
        inflated_bill::INTEGER AS inflated_bill,
        low_bill::INTEGER AS low_bill,
        shows_short_stay::INTEGER AS short_stay,
        greatest(coalesce(severity_level, 1) - 1, 0)::INTEGER AS severity,
        shows_topup::INTEGER AS topup,
        shows_repeat::INTEGER AS repeat,
        shows_fragmentation::INTEGER AS fragmentation,
        shows_overlap::INTEGER AS overlap,
        shows_clone::INTEGER AS clone,
        shows_single_visit::INTEGER AS single_visit
    FROM evidence
),

by_case AS (
    SELECT
        facility_key,
        inacbg_base,
        facility_class,
        count(*) AS claims,
        sum(inflated_bill) AS inflated_bill,
        sum(low_bill) AS low_bill,
        sum(short_stay) AS short_stay,
        sum(severity) AS severity,
        sum(topup) AS topup,
        sum(repeat) AS repeat,
        sum(fragmentation) AS fragmentation,
        sum(overlap) AS overlap,
        sum(clone) AS clone,
        sum(single_visit) AS single_visit
    FROM shown
    GROUP BY facility_key, inacbg_base, facility_class
),

anywhere AS (
    SELECT
        inacbg_base,
        sum(claims) AS claims,
        sum(inflated_bill) AS inflated_bill,
        sum(short_stay) AS short_stay,
        sum(severity) AS severity,
        sum(topup) AS topup,
        sum(repeat) AS repeat,
        sum(fragmentation) AS fragmentation,
        sum(overlap) AS overlap,
        sum(clone) AS clone,
        sum(single_visit) AS single_visit
    FROM by_case
    GROUP BY inacbg_base
),

in_class AS (
    SELECT
        inacbg_base,
        facility_class,
        sum(claims) AS claims,
        sum(severity) AS severity
    FROM by_case
    GROUP BY inacbg_base, facility_class
),

severities AS (
    SELECT
        in_class.inacbg_base,
        in_class.facility_class,
        (in_class.severity + 50 * anywhere.severity / anywhere.claims) / (in_class.claims + 50) AS usual
    FROM in_class
    INNER JOIN anywhere ON in_class.inacbg_base = anywhere.inacbg_base
)

SELECT
    own.facility_key,
    sum(own.claims)::BIGINT AS claims,
    sum(own.inflated_bill)::BIGINT AS observed_inflated_bill,
    sum(own.low_bill)::BIGINT AS low_bills,
    sum(own.short_stay)::BIGINT AS observed_short_stay,
    sum(own.severity)::BIGINT AS observed_severity,
    sum(own.topup)::BIGINT AS observed_topup,
    sum(own.repeat)::BIGINT AS observed_repeat,
    sum(own.fragmentation)::BIGINT AS observed_fragmentation,
    sum(own.overlap)::BIGINT AS observed_overlap,
    sum(own.clone)::BIGINT AS observed_clone,
    sum(own.single_visit)::BIGINT AS observed_single_visit,
    any_value(dearer_codes.observed) AS observed_dearer_code,
    sum((1e6 * own.claims * anywhere.inflated_bill / anywhere.claims)::BIGINT) / 1e6 AS expected_inflated_bill,
    sum((1e6 * own.claims * anywhere.short_stay / anywhere.claims)::BIGINT) / 1e6 AS expected_short_stay,
    sum((1e6 * own.claims * severities.usual)::BIGINT) / 1e6 AS expected_severity,
    sum((1e6 * own.claims * anywhere.topup / anywhere.claims)::BIGINT) / 1e6 AS expected_topup,
    sum((1e6 * own.claims * anywhere.repeat / anywhere.claims)::BIGINT) / 1e6 AS expected_repeat,
    sum((1e6 * own.claims * anywhere.fragmentation / anywhere.claims)::BIGINT) / 1e6 AS expected_fragmentation,
    sum((1e6 * own.claims * anywhere.overlap / anywhere.claims)::BIGINT) / 1e6 AS expected_overlap,
    sum((1e6 * own.claims * anywhere.clone / anywhere.claims)::BIGINT) / 1e6 AS expected_clone,
    sum((1e6 * own.claims * anywhere.single_visit / anywhere.claims)::BIGINT) / 1e6 AS expected_single_visit,
    any_value(dearer_codes.expected) AS expected_dearer_code
FROM by_case AS own
INNER JOIN anywhere ON own.inacbg_base = anywhere.inacbg_base
INNER JOIN severities ON own.inacbg_base = severities.inacbg_base AND own.facility_class = severities.facility_class
INNER JOIN dearer_codes ON own.facility_key = dearer_codes.facility_key
GROUP BY own.facility_key
