-- claims_normalized: all that scoring, QC and the API know of a claim. Owner: the ETL DAG.
-- A view: publishing it writes the file that everybody reads, and it need not stand in the warehouse twice.
-- Texts that many claims share are numbers of 79_words.sql until they are written.
-- Grain: one row per claim known on the data date. Money in rupiah; LOS in days (0: discharged on the admission day).
CREATE OR REPLACE VIEW claims_normalized AS
WITH compared AS (
    SELECT
        visit.*,
        coalesce(
            if(level_1.peer_level = 1, level_1.peer_level, NULL), level_2.peer_level, level_3.peer_level,
            level_4.peer_level, level_5.peer_level, level_6.peer_level,
            level_7.peer_level
        ) AS peer_level,
        coalesce(
            if(level_1.peer_level = 1, level_1.peer_n, NULL), level_2.peer_n, level_3.peer_n,
            level_4.peer_n, level_5.peer_n, level_6.peer_n,
            level_7.peer_n
        ) AS peer_n,
        coalesce(
            if(level_1.peer_level = 1, level_1.peer_mean, NULL), level_2.peer_mean, level_3.peer_mean,
            level_4.peer_mean, level_5.peer_mean, level_6.peer_mean,
            level_7.peer_mean
        ) AS peer_mean,
        coalesce(
            if(level_1.peer_level = 1, level_1.peer_p90, NULL), level_2.peer_p90, level_3.peer_p90,
            level_4.peer_p90, level_5.peer_p90, level_6.peer_p90,
            level_7.peer_p90
        ) AS peer_p90,
        coalesce(
            if(level_1.peer_level = 1, level_1.peer_std, NULL), level_2.peer_std, level_3.peer_std,
            level_4.peer_std, level_5.peer_std, level_6.peer_std,
            level_7.peer_std
        ) AS peer_std,
        -- RULESET_v1's own group where it was widened.
        if(level_1.peer_level = 0, level_1.peer_n, NULL) AS narrow_peer_n,
        if(level_1.peer_level = 0, level_1.peer_mean, NULL) AS narrow_peer_mean,
        if(level_1.peer_level = 0, level_1.peer_p90, NULL) AS narrow_peer_p90,
        if(level_1.peer_level = 0, level_1.peer_std, NULL) AS narrow_peer_std
    FROM known_visits AS visit
    LEFT JOIN peer_groups AS level_1
        ON
            level_1.peer_level <= 1
            AND visit.severity_group = level_1.severity_group
            AND visit.primary_diagnosis = level_1.primary_diagnosis
            AND visit.facility_class = level_1.facility_class
            AND visit.province_name = level_1.province_name
    LEFT JOIN peer_groups AS level_2
        ON
            level_2.peer_level = 2
            AND visit.severity_group = level_2.severity_group
            AND visit.primary_diagnosis = level_2.primary_diagnosis
            AND visit.facility_class = level_2.facility_class
    LEFT JOIN peer_groups AS level_3
        ON
            level_3.peer_level = 3
            AND visit.severity_group = level_3.severity_group
            AND visit.primary_diagnosis = level_3.primary_diagnosis
    LEFT JOIN peer_groups AS level_4
        ON
            level_4.peer_level = 4
            AND visit.severity_group = level_4.severity_group
            AND visit.primary_diagnosis_group = level_4.primary_diagnosis_group
    LEFT JOIN peer_groups AS level_5
        ON
            level_5.peer_level = 5
            AND visit.severity_group = level_5.severity_group
            AND visit.inacbg_code = level_5.inacbg_code
    LEFT JOIN peer_groups AS level_6
        ON
            level_6.peer_level = 6
            AND visit.severity_group = level_6.severity_group
            AND visit.inacbg_group = level_6.inacbg_group
    LEFT JOIN peer_groups AS level_7
        ON
            level_7.peer_level = 7
            AND visit.severity_group = level_7.severity_group
)

SELECT
    compared.claim_id,
    compared.patient_key,
    compared.facility_key::FACILITY AS facility_key,
    compared.facility_key_source,
    compared.admission_date,
    compared.discharge_date,
    compared.los,
    compared.service_type::NAME AS service_type,
    compared.severity_group::SEVERITY AS severity_group,
    compared.severity_level,
    compared.inacbg_code::INACBG AS inacbg_code,
    compared.inacbg_description::INACBG_DESCRIPTION AS inacbg_description,
    compared.province_code,
    compared.province_name::NAME AS province_name,
    compared.regency_code,
    compared.facility_ownership::NAME AS facility_ownership,
    compared.facility_type::NAME AS facility_type,
    compared.facility_class::NAME AS facility_class,
    compared.ward_class,
    compared.tariff_region,
    compared.primary_diagnosis::DIAGNOSIS AS primary_diagnosis,
    compared.primary_diagnosis_group::DIAGNOSIS_GROUP AS primary_diagnosis_group,
    compared.primary_diagnosis_label::DIAGNOSIS_LABEL AS primary_diagnosis_label,
    coalesce(comorbidity.secondary_diagnoses, '') AS secondary_diagnoses,
    channels.procedure_codes,
    channels.procedure_count,
    channels.comorbidity_count,
    compared.inacbg_tariff,
    compared.topup_amount,
    compared.topup_codes::TOPUP_CODES AS topup_codes,
    compared.amount_claimed,
    compared.amount_paid,
    compared.amount_claimed - compared.amount_paid AS amount_gap,
    compared.amount_paid / nullif(compared.amount_claimed, 0) AS paid_ratio,
    compared.peer_level,
    compared.peer_n,
    compared.peer_mean,
    compared.peer_p90,
    compared.peer_std,
    compared.narrow_peer_n,
    compared.narrow_peer_mean,
    compared.narrow_peer_p90,
    compared.narrow_peer_std,
    (compared.amount_claimed - compared.peer_mean) / nullif(compared.peer_std, 0) AS cost_zscore,
    coalesce(channels.duplicate_gap_days <= 3, FALSE) AS duplicate_pattern,
    channels.duplicate_gap_days,
    channels.price_level,
    channels.price_n,
    channels.price_median,
    channels.price_ln_spread,
    channels.price_ln_ratio,
    channels.own_ln_ratio,
    channels.tariff_ln_ratio,
    channels.own_tariff_ln_ratio,
    channels.factors_count,
    (compared.amount_claimed - compared.topup_amount) / greatest(compared.los, 1) AS price_per_day,
    channels.day_price_n,
    channels.day_price_ln_ratio,
    channels.bill_as_far,
    channels.bill_n,
    channels.bill_share,
    channels.bill_chance,
    channels.excess_amount,
    channels.stay_level,
    channels.stay_n,
    channels.stay_as_short,
    channels.los_share_low,
    channels.usual_exit,
    channels.empty_alike,
    channels.empty_n,
    channels.empty_share,
    channels.empty_weight,
    channels.severity_alike,
    channels.severity_n,
    channels.severity_share,
    compared.admission_diagnosis::DIAGNOSIS AS admission_diagnosis,
    channels.admissions,
    channels.admission_alike,
    channels.admission_share,
    channels.admission_price_ratio,
    channels.upcoding_by,
    channels.topup_code::TOPUP_CODE AS topup_code,
    channels.topup_diagnosis::TOPUP_DIAGNOSIS AS topup_diagnosis,
    channels.topup_procedure::TOPUP_PROCEDURE AS topup_procedure,
    channels.topup_alike,
    channels.topup_n,
    channels.topup_code_amount,
    channels.topup_usual_amount,
    channels.topup_with_code,
    channels.topup_share,
    channels.repeat_after_days,
    channels.repeat_of,
    channels.repeat_identical,
    channels.repeat_elsewhere,
    channels.repeat_alike,
    channels.repeat_n,
    channels.repeat_share,
    if(channels.by_week, channels.week_visits, NULL) AS week_visits,
    if(channels.by_week, channels.week_of, NULL) AS week_of,
    if(channels.by_week, channels.week_alike, NULL) AS week_alike,
    if(channels.by_week, channels.week_n, NULL) AS week_n,
    if(channels.by_week, channels.week_share, NULL) AS week_share,
    channels.fragment_by,
    channels.fragment_gap_days,
    channels.fragment_of,
    channels.fragment_same,
    channels.fragment_long,
    channels.fragment_alike,
    channels.fragment_n,
    channels.fragment_share,
    channels.overlap_of,
    channels.overlap_day,
    channels.overlap_los,
    channels.overlap_visit,
    channels.overlap_died,
    channels.overlap_weekday,
    channels.overlap_elsewhere,
    channels.overlap_alike,
    channels.overlap_n,
    channels.overlap_share,
    channels.clone_by_amount,
    channels.clone_count,
    channels.clone_of,
    channels.clone_expected,
    channels.copy_count,
    channels.copy_of,
    channels.copy_elsewhere,
    channels.copy_n,
    channels.copy_expected,
    channels.copy_share,
    channels.single_alike,
    channels.single_n,
    channels.single_share,
    channels.comorbidity_share,
    channels.procedure_share,
    channels.readmission_after_days,
    channels.readmission_share,
    channels.habit_pattern,
    channels.habit_observed,
    channels.habit_expected,
    channels.evidence_upcoding,
    channels.evidence_inflated_bill,
    channels.evidence_short_stay,
    channels.evidence_topup,
    channels.evidence_repeat,
    channels.evidence_fragmentation,
    channels.evidence_overlap,
    channels.evidence_clone,
    channels.evidence_single_visit,
    -- The provider's strong claims, and its habit of what this claim shows (docs/adr/0033).
    provider_risk.evidence + channels.habit_ln_ratio AS evidence_provider,
    provider_risk.provider,
    -- The provider's figures pattern by pattern, on its first claim alone: on all of them they took as long to write as
    -- everything else. Joined on their own, as a join copies what it brings for each claim.
    first_claims.patterns AS provider_patterns,
    run_parameters.data_date
FROM compared
CROSS JOIN run_parameters
INNER JOIN channels ON compared.claim_id = channels.claim_id
INNER JOIN provider_risk ON compared.facility_key = provider_risk.facility_key
LEFT JOIN comorbidity ON compared.claim_id = comorbidity.claim_id
LEFT JOIN provider_risk AS first_claims ON compared.claim_id = first_claims.first_claim
