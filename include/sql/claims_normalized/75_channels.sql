-- The evidence of each typology for each claim, in nats, with its provider's habits counted in: a pattern weighs more
-- where the provider shows it more often than its case mix would bring. Grain: one row per claim.
-- A habit is ln((observed + 2) / (expected + 2)), the claim itself left out and 0 where it shows less than expected;
-- the 2 keeps small providers from standing out (a gamma prior of 2 expected claims, mean 1; Clayton & Kaldor 1987).
-- It counts for claims that show the pattern (shows_<pattern> of 60_evidence.sql), in part for those that nearly do,
-- and for every high bill, also at its own tariff. It is weighed 1.5, that of a severity, a dearer INA-CBG or a single
-- visit 3: there the shares of a whole provider tell more than any one claim. Severity below what is expected speaks
-- for the provider. The weights were chosen on generated claims of seeds 1 and 2 (between 1 and 1.5 the result hardly
-- changes), the dearer INA-CBG's and the single visit's on those of docs/adr/0030 and 0035.
-- Beside it everything of evidence. A view: to compute it for 76_strong_claims.sql and once more for
-- 80_claims_normalized.sql takes less than to store it. Step by step, as DuckDB writes out what a name within the same
-- SELECT stands for wherever it is used: in one step, planning alone took a third of a second each time.
CREATE OR REPLACE VIEW channels AS
WITH known AS (
    SELECT
        evidence.*,
        bill_peers.bill_as_far,
        bill_peers.bill_n,
        bill_peers.bill_share,
        bill_peers.bill_chance,
        habits.* EXCLUDE (facility_key, claims), -- noqa: RF02
        ln((habits.observed_severity - (evidence.severity_level - 1) + 10) / (habits.expected_severity + 10))
            AS habit_severity,
        greatest(
            ln(
                -- A facility whose bills are as often too low is careless and not greedy (docs/adr/0049).
                (
                    greatest(
                        habits.observed_inflated_bill - evidence.inflated_bill::INTEGER - 2 * habits.low_bills, 0
                    )
                    + 2
                )
                / (habits.expected_inflated_bill + 2)
            ),
            0
        ) AS habit_inflated_bill,
        greatest(
            ln(
                (habits.observed_short_stay - evidence.shows_short_stay::INTEGER + 2)
                / (habits.expected_short_stay + 2)
            ),
            0
        ) AS habit_short_stay,
        greatest(
            ln((habits.observed_topup - evidence.shows_topup::INTEGER + 2) / (habits.expected_topup + 2)), 0
        ) AS habit_topup,
        greatest(
            ln((habits.observed_repeat - evidence.shows_repeat::INTEGER + 2) / (habits.expected_repeat + 2)), 0
        ) AS habit_repeat,
        greatest(
            ln(
                (habits.observed_fragmentation - evidence.shows_fragmentation::INTEGER + 2)
                / (habits.expected_fragmentation + 2)
            ),
            0
        ) AS habit_fragmentation,
        greatest(
            ln((habits.observed_overlap - evidence.shows_overlap::INTEGER + 2) / (habits.expected_overlap + 2)), 0
        ) AS habit_overlap,
        greatest(
            ln((habits.observed_clone - evidence.shows_clone::INTEGER + 2) / (habits.expected_clone + 2)), 0
        ) AS habit_clone,
        greatest(
            ln(
                (habits.observed_single_visit - evidence.shows_single_visit::INTEGER + 2)
                / (habits.expected_single_visit + 2)
            ),
            0
        ) AS habit_single_visit,
        if(
            evidence.admission_price_ratio > 1.1,
            greatest(ln((habits.observed_dearer_code - 1 + 2) / (habits.expected_dearer_code + 2)), 0),
            0
        ) AS habit_dearer_code
    FROM evidence
    INNER JOIN provider_habits AS habits ON evidence.facility_key = habits.facility_key
    LEFT JOIN bill_peers ON evidence.claim_id = bill_peers.claim_id
),

weighed AS (
    SELECT
        *, -- noqa: AM04
        -- A severity raised on paper leaves the stay as short as it was, a long one bears it out: by 1.25 of it for the
        -- shortest stay of its kind to 0.55 for the longest (docs/adr/0028).
        1.25 - 0.7 * coalesce(los_share_low, 0.4) AS severity_weight,
        -- A stay's high bill says a quarter more than a visit's: what is paid for one visit differs honestly more often
        -- (docs/adr/0028).
        if(service_type = 'RITL', 1.25, 1) AS bill_weight,
        -- The same care once more says less where the bill is another one: many come back honestly. The very same bill
        -- says more when it is dated the day after: sessions are days apart, and a double entry has one date
        -- (docs/adr/0027).
        CASE
            WHEN repeat_identical AND repeat_after_days = 1 THEN 1.5
            WHEN repeat_identical THEN 1
            ELSE 0.7
        END AS repeat_weight
    FROM known
),

counted AS (
    SELECT
        *, -- noqa: AM04
        -- Upcoding: a severity that does not fit stay and secondary diagnoses, or a dearer INA-CBG than the admission
        -- diagnosis (of an outpatient the primary diagnosis) leads to. Beyond one in ten each nat of the latter counts
        -- double: severity is a matter of degree among honest stays, too, an INA-CBG far from the diagnosis hardly ever
        -- (docs/adr/0025). At a provider that bills many dearer INA-CBGs each says something, however often it comes
        -- with the diagnosis (docs/adr/0030).
        CASE
            WHEN own_severity > 0 THEN greatest(severity_weight * (own_severity + 3 * habit_severity), 0.01)
            ELSE 0
        END AS by_severity,
        own_code_creep + greatest(own_code_creep - ln(10), 0) + 3 * habit_dearer_code AS by_code,
        bill_weight * 1.5 * habit_inflated_bill * least(own_inflated_bill, 1) AS from_inflated_bill,
        1.5 * habit_short_stay * least(own_short_stay / 3, 1) AS from_short_stay,
        1.5 * habit_topup * least(own_topup / 3, 1) AS from_topup,
        -- From two nats (1 in 7) on in full, not below one (1 in 2.7): who bills visits twice has dialysis, too
        -- (docs/adr/0044).
        repeat_weight * 1.5 * habit_repeat * least(greatest(own_repeat - 1, 0), 1) AS repeat_habit,
        1.5 * habit_fragmentation * shows_fragmentation::INTEGER AS from_fragmentation,
        1.5 * habit_overlap * coalesce(overlap_weight, 0) AS from_overlap,
        1.5 * habit_clone * least(own_clone / 10, 1) AS from_clone,
        3 * habit_single_visit * least(own_single_visit / 2.5, 1) AS from_single_visit
    FROM weighed
),

told AS (
    SELECT
        *, -- noqa: AM04
        greatest(by_severity, by_code) AS evidence_upcoding,
        CASE
            WHEN evidence_upcoding = 0 THEN NULL
            WHEN by_severity >= by_code THEN 'severity'
            WHEN service_type = 'RITL' THEN 'admission'
            ELSE 'diagnosis'
        END AS upcoding_by,
        coalesce(week_evidence > repeat_weight * own_repeat + repeat_habit, FALSE) AS by_week,
        -- How far above, half a nat for a deviation, and how usual that is; the latter in part below two deviations, as
        -- without slips in a price list a bill 2% above is rare, too. So much of it as is not by chance.
        bill_weight
        * (1 - coalesce(bill_chance, 0))
        * coalesce(0.5 * own_inflated_bill - ln(bill_share) * least(own_inflated_bill / 2, 1), 0)
        + from_inflated_bill AS evidence_inflated_bill,
        own_short_stay + own_empty + from_short_stay AS evidence_short_stay,
        own_topup + from_topup AS evidence_topup,
        own_fragmentation + from_fragmentation AS evidence_fragmentation,
        own_overlap + from_overlap AS evidence_overlap,
        own_clone + from_clone AS evidence_clone,
        own_single_visit + from_single_visit AS evidence_single_visit
    FROM counted
),

from_habits AS (
    SELECT
        *, -- noqa: AM04
        if(upcoding_by = 'severity', severity_weight * 3 * habit_severity, 0) AS from_severity,
        if(upcoding_by IN ('admission', 'diagnosis'), 3 * habit_dearer_code, 0) AS from_dearer_code,
        if(by_week, 0, repeat_habit) AS from_repeat,
        if(by_week, week_evidence, repeat_weight * own_repeat + from_repeat) AS evidence_repeat
    FROM told
),

-- The habit that adds most to the claim's evidence, where that is half a nat or more: for the reasons.
strongest AS (
    SELECT
        *, -- noqa: AM04
        greatest(
            from_severity, from_dearer_code, from_inflated_bill, from_short_stay, from_topup, from_repeat,
            from_fragmentation, from_overlap, from_clone, from_single_visit
        ) AS from_habit,
        CASE
            WHEN from_habit < 0.5 THEN NULL
            WHEN from_habit = from_severity THEN 'severity'
            WHEN from_habit = from_dearer_code THEN 'dearer_code'
            WHEN from_habit = from_inflated_bill THEN 'inflated_bill'
            WHEN from_habit = from_short_stay THEN 'short_stay'
            WHEN from_habit = from_topup THEN 'topup'
            WHEN from_habit = from_repeat THEN 'repeat'
            WHEN from_habit = from_fragmentation THEN 'fragmentation'
            WHEN from_habit = from_overlap THEN 'overlap'
            WHEN from_habit = from_clone THEN 'clone'
            ELSE 'single_visit'
        END AS habit_pattern
    FROM from_habits
)

SELECT
    *, -- noqa: AM04
    (CASE habit_pattern
        WHEN 'severity' THEN observed_severity
        WHEN 'dearer_code' THEN observed_dearer_code
        WHEN 'inflated_bill' THEN observed_inflated_bill
        WHEN 'short_stay' THEN observed_short_stay
        WHEN 'topup' THEN observed_topup
        WHEN 'repeat' THEN observed_repeat
        WHEN 'fragmentation' THEN observed_fragmentation
        WHEN 'overlap' THEN observed_overlap
        WHEN 'clone' THEN observed_clone
        WHEN 'single_visit' THEN observed_single_visit
    END)::INTEGER AS habit_observed,
    -- How far beyond expected, the claim itself left out: for the channel `provider` (80_claims_normalized.sql).
    CASE habit_pattern
        WHEN 'severity' THEN habit_severity
        WHEN 'dearer_code' THEN habit_dearer_code
        WHEN 'inflated_bill' THEN habit_inflated_bill
        WHEN 'short_stay' THEN habit_short_stay
        WHEN 'topup' THEN habit_topup
        WHEN 'repeat' THEN habit_repeat
        WHEN 'fragmentation' THEN habit_fragmentation
        WHEN 'overlap' THEN habit_overlap
        WHEN 'clone' THEN habit_clone
        WHEN 'single_visit' THEN habit_single_visit
        ELSE 0
    END AS habit_ln_ratio,
    CASE habit_pattern
        WHEN 'severity' THEN expected_severity
        WHEN 'dearer_code' THEN expected_dearer_code
        WHEN 'inflated_bill' THEN expected_inflated_bill
        WHEN 'short_stay' THEN expected_short_stay
        WHEN 'topup' THEN expected_topup
        WHEN 'repeat' THEN expected_repeat
        WHEN 'fragmentation' THEN expected_fragmentation
        WHEN 'overlap' THEN expected_overlap
        WHEN 'clone' THEN expected_clone
        WHEN 'single_visit' THEN expected_single_visit
    END AS habit_expected
FROM strongest
