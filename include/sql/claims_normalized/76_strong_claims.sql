-- How many of a provider's claims show strong evidence of any pattern, against what its mix of stays and visits would
-- bring. Grain: one row per provider. Strong: 5 nats (one in 150 among peers, or less rare with the provider's habit);
-- a high bill and a clone, whose evidence is not a probability alone, 8, as among honest claims up to one in a hundred
-- has 5 (docs/adr/0026). Full weeks are not, as they are no habit (70_provider_habits.sql): where a house treats daily,
-- all of its claims have them. A claim counts for its provider and for the country itself: one alone is 0.8 nats at
-- most.
-- In millionths, as sums of whole numbers do not depend on the order in which threads add them.
CREATE OR REPLACE TABLE strong_claims AS
WITH shown AS (
    SELECT
        facility_key,
        service_type,
        greatest(
            evidence_upcoding,
            evidence_short_stay,
            evidence_topup,
            if(by_week, repeat_weight * own_repeat + repeat_habit, evidence_repeat),
            evidence_fragmentation,
            evidence_overlap,
            evidence_single_visit,
            evidence_inflated_bill - 3,
            evidence_clone - 3
        ) >= 5 AS strong
    FROM channels
),

by_service AS (
    SELECT
        facility_key,
        service_type,
        count(*) AS claims,
        count(*) FILTER (strong) AS strong
    FROM shown
    GROUP BY facility_key, service_type
),

anywhere AS (
    SELECT
        service_type,
        sum(claims) AS claims,
        sum(strong) AS strong
    FROM by_service
    GROUP BY service_type
)

SELECT
    own.facility_key,
    sum(own.strong)::INTEGER AS observed,
    sum((1e6 * own.claims * anywhere.strong / anywhere.claims)::BIGINT) / 1e6 AS expected
FROM by_service AS own
INNER JOIN anywhere ON own.service_type = anywhere.service_type
GROUP BY own.facility_key
