-- What each typology's figures say about a claim on its own, in nats: minus the natural logarithm of how usual it is,
-- 0 where there is nothing. Beside it the figures themselves, for reasons. Grain: one row per claim.
-- own_<channel> is before the provider's habits are counted in (70_provider_habits.sql).
CREATE OR REPLACE TABLE evidence AS
WITH compared AS (
    SELECT
        care.*,
        price.price_level,
        price.price_n,
        exp(price.ln_middle) AS price_median,
        price.ln_spread AS price_ln_spread,
        price.ln_misfit AS price_ln_misfit,
        -- Peers of other INA-CBGs (price_level 3 and 4) bring what their care costs, and say nothing about this price.
        if(price.price_level <= 2, care.ln_price - price.ln_middle, NULL) AS price_ln_ratio,
        coalesce(own_prices.factors_count, 0) AS factors_count,
        -- All the time, or about that month; greatest() passes over what there is none of.
        if(
            price.price_level <= 2,
            greatest(
                own_prices.ln_own,
                (1 - coalesce(own_prices.factors_count, 0)) * greatest(own_month.ln_own, own_mid_month.ln_own),
                0
            ),
            0
        ) AS own_ln_ratio,
        if(
            price.price_level <= 2,
            ln(greatest(care.amount_claimed, 1) / (exp(price.ln_middle + own_ln_ratio) + care.topup_amount)),
            NULL
        ) AS bill_ln_ratio,
        written_tariff(care.inacbg_tariff, price.price_level, price.ln_middle) AS tariff,
        ln(greatest(care.amount_claimed, 1) / (tariff + care.topup_amount)) AS tariff_ln_ratio,
        coalesce(own_prices.ln_off, 0) AS own_tariff_ln_ratio,
        coalesce(own_prices.ln_below, 0) AS ln_below,
        coalesce(own_prices.ln_off_below, 0) AS ln_off_below,
        stay.stay_level,
        stay.stay_n,
        stay.stay_as_short,
        stay.los_share_low,
        stay.usual_exit,
        if(stay.usual_exit, severity.severity_share, severity.severity_share_any_stay) AS severity_share,
        if(stay.usual_exit, severity.severity_alike, severity.severity_alike_any_stay) AS severity_alike,
        if(stay.usual_exit, severity.severity_n, severity.severity_n_any_stay) AS severity_n,
        admission.admissions,
        admission.admission_alike,
        admission.admission_share,
        admission.admission_share_of_usual,
        admission.admission_oddness,
        admission.admission_price_ratio,
        topup.topup_code,
        topup.topup_diagnosis,
        topup.topup_procedure,
        topup.topup_alike,
        topup.topup_n,
        topup.topup_code_amount,
        topup.topup_usual_amount,
        topup.topup_with_code,
        topup.topup_share,
        topup.unusual_topups,
        repeats.duplicate_gap_days,
        repeats.repeat_after_days,
        repeats.repeat_of,
        repeats.repeat_identical,
        repeats.repeat_elsewhere,
        repeats.repeat_alike,
        repeats.repeat_n,
        repeats.repeat_share,
        dense_weeks.week_visits,
        dense_weeks.week_of,
        dense_weeks.week_alike,
        dense_weeks.week_n,
        dense_weeks.week_share,
        dense_weeks.week_evidence,
        fragments.fragment_by,
        fragments.fragment_gap_days,
        fragments.fragment_of,
        fragments.fragment_alike,
        fragments.fragment_n,
        fragments.fragment_share,
        fragments.fragment_same,
        fragments.fragment_long,
        overlapping.overlap_of,
        overlapping.overlap_day,
        overlapping.overlap_los,
        overlapping.overlap_visit,
        overlapping.overlap_died,
        overlapping.overlap_weekday,
        overlapping.overlap_elsewhere,
        overlapping.overlap_alike,
        overlapping.overlap_n,
        overlapping.overlap_share,
        overlapping.overlap_weight,
        clones.clone_by_amount,
        clones.clone_count,
        clones.clone_of,
        clones.clone_expected,
        clones.clone_deviance,
        copied_stays.copy_count,
        copied_stays.copy_of,
        copied_stays.copy_elsewhere,
        copied_stays.copy_n,
        copied_stays.copy_expected,
        copied_stays.copy_share,
        copied_stays.copy_weight,
        single_visits.single_alike,
        single_visits.single_n,
        single_visits.single_share,
        single_visits.single_weight,
        day_price.day_price_n,
        care.ln_price - ln(greatest(care.los, 1)) - day_price.ln_middle AS day_price_ln_ratio,
        empty_records.empty_alike,
        empty_records.empty_n,
        empty_records.empty_share,
        empty_records.empty_weight,
        counts.comorbidity_share,
        counts.procedure_share,
        readmissions.readmission_after_days,
        readmissions.readmission_share,
        -- Of twins, who share their mother's number, one is not before the other; a placeholder is not one person's.
        coalesce(repeats.repeat_after_days > 0 AND shared_numbers.patient_key IS NULL, FALSE) AS had_before
    FROM care
    INNER JOIN price_peers AS price
        ON
            care.service_type = price.service_type
            AND care.inacbg_code = price.inacbg_code
            AND care.severity_group = price.severity_group
            AND care.facility_class = price.facility_class
            AND care.ward_class IS NOT DISTINCT FROM price.ward_class
            AND care.tariff_region IS NOT DISTINCT FROM price.tariff_region
    LEFT JOIN own_prices
        ON care.facility_key = own_prices.facility_key AND care.service_type = own_prices.service_type
    LEFT JOIN own_months AS own_month
        ON
            own_month.half = 0
            AND care.facility_key = own_month.facility_key
            AND date_trunc('month', care.discharge_date) = own_month.month
    LEFT JOIN own_months AS own_mid_month
        ON
            own_mid_month.half = 1
            AND care.facility_key = own_mid_month.facility_key
            AND date_trunc('month', care.discharge_date - 15) = own_mid_month.month
    LEFT JOIN stay_peers AS stay
        ON
            care.service_type = 'RITL'
            AND care.inacbg_code = stay.inacbg_code
            AND care.discharge_status IS NOT DISTINCT FROM stay.discharge_status
            AND care.los = stay.los
    LEFT JOIN severity_peers AS severity
        ON
            care.service_type = 'RITL'
            AND care.inacbg_base = severity.inacbg_base
            AND care.severity_level = severity.severity_level
            AND care.comorbidity_count = severity.comorbidity_count
            AND care.los = severity.los
    LEFT JOIN admission_peers AS admission
        ON
            care.service_type = admission.service_type
            AND if(care.service_type = 'RITL', care.admission_diagnosis, care.primary_diagnosis)
            = admission.from_diagnosis
            AND care.inacbg_base = admission.inacbg_base
    LEFT JOIN topup_peers AS topup ON care.claim_id = topup.claim_id
    LEFT JOIN repeats ON care.claim_id = repeats.claim_id
    LEFT JOIN shared_numbers ON care.patient_key = shared_numbers.patient_key
    LEFT JOIN dense_weeks ON care.claim_id = dense_weeks.claim_id
    LEFT JOIN fragments ON care.claim_id = fragments.claim_id
    LEFT JOIN overlapping ON care.claim_id = overlapping.claim_id
    LEFT JOIN clones ON care.claim_id = clones.claim_id
    LEFT JOIN copied_stays ON care.claim_id = copied_stays.claim_id
    LEFT JOIN single_visits ON care.claim_id = single_visits.claim_id
    LEFT JOIN empty_records ON care.claim_id = empty_records.claim_id
    LEFT JOIN readmissions ON care.claim_id = readmissions.claim_id
    LEFT JOIN day_price_peers AS day_price ON care.inacbg_code = day_price.inacbg_code
    INNER JOIN count_peers AS counts
        ON
            care.inacbg_code = counts.inacbg_code
            AND care.comorbidity_count = counts.comorbidity_count
            AND care.procedure_count = counts.procedure_count
),

-- The peers' standard deviations above their median price and the claim's own top-ups, or above its own tariff and
-- these; and as many below. Less than 1% is rounding or the price list, no deviation. Within honest peers prices hardly
-- spread: 5% is the least that counts as one. A bill at exactly its own tariff says less, by half: a tariff beyond the
-- peers' may be raised along, but more often the facility has another one. What the facility usually bills above either
-- (60_own_prices.sql) is taken off before.
deviating AS (
    SELECT
        *, -- noqa: AM04
        tariff_ln_ratio - factors_count * own_tariff_ln_ratio AS off_tariff,
        bill_ln_ratio - ln_below AS off_peers_below,
        off_tariff - ln_off_below AS off_tariff_below,
        if(abs(off_tariff) <= 0.01, 0.5, 1) / sqrt(price_ln_spread ** 2 + price_ln_misfit ** 2 + 0.05 ** 2)
            AS peers_scale,
        1 / sqrt(if(price_level <= 2, price_ln_spread, 0) ** 2 + 0.05 ** 2) AS tariff_scale,
        greatest(
            if(bill_ln_ratio > 0.01, bill_ln_ratio * peers_scale, 0),
            if(off_tariff > 0.01, off_tariff * tariff_scale, 0)
        ) AS deviations,
        greatest(
            if(off_peers_below < -0.01, -off_peers_below * peers_scale, 0),
            if(off_tariff_below < -0.01, -off_tariff_below * tariff_scale, 0)
        ) AS deviations_below,
        -- Rupiah above what the claim's peers or its own tariff would bring, whichever is less; against peers of other
        -- INA-CBGs the tariff alone says it, if there is one. Unusual top-ups (46_topup_peers.sql) would not have been
        -- brought, nor would the very same bill of the same care a second time where fewer than 1 in 20 come so.
        CASE
            WHEN repeat_identical AND repeat_share < 0.05 THEN amount_claimed
            ELSE
                amount_claimed
                - coalesce(
                    least(
                        if(price_level <= 2, price_median * exp(own_ln_ratio), NULL),
                        tariff * exp(factors_count * own_tariff_ln_ratio)
                    ),
                    amount_claimed - topup_amount
                )
                - (topup_amount - coalesce(unusual_topups, 0))
        END AS above_usual
    FROM compared
)

SELECT
    -- What only the comparisons needed of care stays there.
    * EXCLUDE ( -- noqa: AM04
        patient_key, admission_date, discharge_date, los, severity_group, inacbg_group,
        ward_class, tariff_region, primary_diagnosis, admission_diagnosis, discharge_status, clone_deviance,
        copy_weight, admission_share_of_usual, admission_oddness, single_weight, inacbg_tariff, tariff, bill_ln_ratio,
        topup_amount, topup_codes, topups, unusual_topups, care_digest, ln_price, had_before, ln_below, ln_off_below,
        off_tariff, off_peers_below, off_tariff_below, peers_scale, tariff_scale, deviations, deviations_below,
        above_usual
    ),
    -- Less than 1% of the bill is none: a median is no price list. A top-up may be written that was not billed.
    if(above_usual > 0.01 * amount_claimed, least(above_usual, amount_claimed), 0)::BIGINT AS excess_amount,
    -- Beyond 5 deviations only by the logarithm, as 20 are hardly odder (docs/adr/0031).
    least(deviations, 5) + ln(greatest(deviations - 4, 1)) AS own_inflated_bill,
    -- As far below; not what is below a twentieth of its peers, a slip of the pen or a bill that was cancelled.
    if(
        price_ln_ratio < ln(0.05), 0, least(deviations_below, 5) + ln(greatest(deviations_below - 4, 1))
    ) AS own_low_bill,
    -- Shows the pattern, from one deviation on, as raising bills a little is a habit, too; not where only the tariff is
    -- another one, which all claims of such a facility have.
    own_inflated_bill > 1 AND coalesce(off_tariff > 0.01, TRUE) AS inflated_bill,
    own_low_bill > 1 AND coalesce(off_tariff < -0.01, TRUE) AS low_bill,
    -- Beyond 1 in 150 a short stay is not odder but a different case.
    CASE WHEN los_share_low IS NOT NULL THEN least(-ln(los_share_low), 5) ELSE 0 END AS own_short_stay,
    -- What one in seven has says nothing; each nat beyond counts one and a half, to 1 in 400 (docs/adr/0043).
    coalesce(empty_weight * 1.5 * least(greatest(-ln(empty_share) - 2, 0), 4), 0) AS own_empty,
    CASE WHEN severity_level >= 2 THEN coalesce(-ln(severity_share), 0) ELSE 0 END AS own_severity,
    CASE
        WHEN admission_price_ratio > 1.1 THEN greatest(-ln(admission_share_of_usual), 0) * admission_oddness
        ELSE 0
    END AS own_code_creep,
    coalesce(-ln(topup_share), 0) AS own_topup,
    coalesce(-ln(repeat_share), 0) AS own_repeat,
    -- Visits on the day of admission say no more than their bound does: some facilities register whom they admit so.
    -- After more than two days out of hospital most who come back are ill again (docs/adr/0027).
    CASE
        WHEN fragment_gap_days IS NOT NULL
            THEN
                greatest(
                    -ln(if(fragment_by = 'admission', 0.05, fragment_share))
                    - 0.15 * fragment_gap_days
                    - if(fragment_gap_days > 2, 1, 0)
                    -- The same coding again, as a cut stay has, or a second stay (docs/adr/0047).
                    + CASE WHEN fragment_same THEN 1 WHEN fragment_by = 'stay' THEN -1 ELSE 0 END
                    - if(fragment_long, 1, 0),
                    0
                )
        ELSE 0
    END AS own_fragmentation,
    coalesce(-overlap_weight * ln(overlap_share), 0) AS own_overlap,
    coalesce(-copy_weight * ln(copy_share), 0) AS own_copy,
    -- Half of it where the patient had that care before: who are followed up together are billed alike (docs/adr/0027).
    greatest(coalesce(if(had_before, 0.5, 1) * clone_deviance, 0), own_copy) AS own_clone,
    coalesce(-single_weight * ln(single_share), 0) AS own_single_visit,
    -- Which patterns of a provider's habits the claim shows, as inflated_bill above; 70 and 75 count by them.
    own_short_stay > 3 AS shows_short_stay,
    own_topup > 3 AS shows_topup,
    own_repeat > 2 AS shows_repeat,
    own_fragmentation > 0 AS shows_fragmentation,
    own_overlap > 0 AS shows_overlap,
    own_clone > 10 OR own_copy > 4 AS shows_clone,
    own_single_visit > 2.5 AS shows_single_visit
FROM deviating
