-- The evidence of each typology for each claim, in nats, with its provider's habits counted in: a pattern weighs more
-- where the provider shows it more often than its case mix would bring. Grain: one row per claim.
-- A habit is ln((observed + 2) / (expected + 2)), the claim itself left out and 0 where it shows less than expected;
-- the 2 keeps small providers from standing out (a gamma prior of 2 expected claims, mean 1; Clayton & Kaldor 1987).
-- It counts for claims that show the pattern (thresholds as in 70_provider_habits.sql), in part for those that nearly
-- do. It is weighed 1.5, severity's 3: there the shares of a whole provider tell more than any one stay. Severity below
-- what is expected speaks for the provider. The weights were chosen on generated claims of seeds 1 and 2; between 1 and
-- 1.5 the result hardly changes.
-- Beside it everything of evidence. A view: it is read once, by 80_claims_normalized.sql.
CREATE OR REPLACE VIEW channels AS
WITH known AS (
    SELECT
        evidence.*,
        ln((habits.observed_severity - (evidence.severity_level - 1) + 10) / (habits.expected_severity + 10))
            AS habit_severity,
        greatest(
            ln(
                (habits.observed_inflated_bill - evidence.inflated_bill::INTEGER + 2)
                / (habits.expected_inflated_bill + 2)
            ),
            0
        ) AS habit_inflated_bill,
        greatest(
            ln(
                (habits.observed_short_stay - (evidence.own_short_stay > 3)::INTEGER + 2)
                / (habits.expected_short_stay + 2)
            ),
            0
        ) AS habit_short_stay,
        greatest(
            ln((habits.observed_topup - (evidence.own_topup > 3)::INTEGER + 2) / (habits.expected_topup + 2)), 0
        ) AS habit_topup,
        greatest(
            ln((habits.observed_repeat - (evidence.own_repeat > 2)::INTEGER + 2) / (habits.expected_repeat + 2)), 0
        ) AS habit_repeat,
        greatest(
            ln(
                (habits.observed_fragmentation - (evidence.own_fragmentation > 0)::INTEGER + 2)
                / (habits.expected_fragmentation + 2)
            ),
            0
        ) AS habit_fragmentation,
        greatest(
            ln((habits.observed_clone - (evidence.own_clone > 10)::INTEGER + 2) / (habits.expected_clone + 2)), 0
        ) AS habit_clone
    FROM evidence
    INNER JOIN provider_habits AS habits ON evidence.facility_key = habits.facility_key
)

SELECT
    *, -- noqa: AM04
    -- Upcoding: a severity that does not fit stay and secondary diagnoses, or a dearer INA-CBG than the admission
    -- diagnosis leads to.
    CASE WHEN own_severity > 0 THEN greatest(own_severity + 3 * habit_severity, 0.01) ELSE 0 END AS by_severity,
    greatest(by_severity, own_code_creep) AS evidence_upcoding,
    CASE
        WHEN evidence_upcoding > 0 THEN if(by_severity >= own_code_creep, 'severity', 'admission')
    END AS upcoding_by,
    own_inflated_bill + 1.5 * habit_inflated_bill * least(own_inflated_bill / 2, 1) AS evidence_inflated_bill,
    own_short_stay + 1.5 * habit_short_stay * least(own_short_stay / 3, 1) AS evidence_short_stay,
    own_topup + 1.5 * habit_topup * least(own_topup / 3, 1) AS evidence_topup,
    own_repeat + 1.5 * habit_repeat * least(own_repeat / 2, 1) AS evidence_repeat,
    own_fragmentation + 1.5 * habit_fragmentation * (own_fragmentation > 0)::INTEGER AS evidence_fragmentation,
    own_clone + 1.5 * habit_clone * least(own_clone / 10, 1) AS evidence_clone
FROM known
