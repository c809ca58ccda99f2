-- claims_high_risk: what the API reads, one row a claim: its scores with its claim, clustered by the API's filters,
-- riskiest first. Here those of one part (15_parts.sql), to be put behind the parts before it. The claim's columns are
-- named one by one so that a personal key (patient_key) never comes along. Texts that many claims share are sorted as
-- numbers (10_words.sql), and what is the same for all claims is not sorted at all.
-- The peers are those that the reasons speak of: RULESET_v1 does not widen them (scoring/RULESET_v1/05_claims.sql).
WITH part_of_scores AS (
    SELECT * FROM scores -- noqa: AM04
    WHERE file_row_number BETWEEN $first_row AND $last_row
),

part_of_claims AS (
    SELECT
        *, -- noqa: AM04
        $ruleset_version = 'RULESET_v1' AND narrow_peer_n IS NOT NULL AS by_narrow_peers
    FROM claims
    WHERE file_row_number BETWEEN $first_row AND $last_row
),

joined AS (
    SELECT
        scores.claim_id,
        scores.ml_score,
        scores.ml_score_normalized,
        scores.rule_score,
        scores.risk_score,
        scores.channels,
        scores.excess_amount,
        scores.flags,
        scores.reasons,
        claims.facility_key::WORD AS facility_key,
        claims.facility_key_source::WORD AS facility_key_source,
        claims.admission_date,
        claims.discharge_date,
        claims.los,
        claims.service_type::WORD AS service_type,
        claims.severity_group::WORD AS severity_group,
        claims.severity_level,
        claims.inacbg_code::WORD AS inacbg_code,
        claims.inacbg_description::WORD AS inacbg_description,
        claims.province_code,
        claims.province_name::WORD AS province_name,
        claims.regency_code,
        claims.facility_ownership::WORD AS facility_ownership,
        claims.facility_type::WORD AS facility_type,
        claims.facility_class::WORD AS facility_class,
        claims.ward_class,
        claims.tariff_region,
        claims.primary_diagnosis::WORD AS primary_diagnosis,
        claims.primary_diagnosis_group::WORD AS primary_diagnosis_group,
        claims.primary_diagnosis_label::WORD AS primary_diagnosis_label,
        claims.admission_diagnosis::WORD AS admission_diagnosis,
        claims.secondary_diagnoses,
        claims.procedure_codes::WORD AS procedure_codes,
        claims.procedure_count,
        claims.comorbidity_count,
        claims.inacbg_tariff,
        claims.topup_amount,
        claims.topup_codes::WORD AS topup_codes,
        claims.amount_claimed,
        claims.amount_paid,
        claims.amount_gap,
        claims.paid_ratio,
        if(claims.by_narrow_peers, 1, claims.peer_level)::TINYINT AS peer_level,
        if(claims.by_narrow_peers, claims.narrow_peer_n, claims.peer_n) AS peer_n,
        if(claims.by_narrow_peers, claims.narrow_peer_mean, claims.peer_mean) AS peer_mean,
        if(claims.by_narrow_peers, claims.narrow_peer_p90, claims.peer_p90) AS peer_p90,
        if(claims.by_narrow_peers, claims.narrow_peer_std, claims.peer_std) AS peer_std,
        if(
            claims.by_narrow_peers,
            (claims.amount_claimed - claims.narrow_peer_mean) / nullif(claims.narrow_peer_std, 0),
            claims.cost_zscore
        ) AS cost_zscore,
        claims.duplicate_pattern,
        claims.duplicate_gap_days,
        round(claims.price_median) AS price_median,
        claims.price_n,
        claims.los_share_low,
        claims.provider.risk_score AS provider_risk_score,
        claims.provider.rank AS provider_rank
    FROM part_of_scores AS scores
    INNER JOIN part_of_claims AS claims ON scores.claim_id = claims.claim_id
),

riskiest_first AS (
    SELECT *
    FROM joined
    ORDER BY
        service_type ASC NULLS LAST,
        severity_group ASC NULLS LAST,
        province_code ASC NULLS LAST,
        risk_score DESC NULLS LAST,
        ml_score DESC NULLS LAST,
        amount_claimed DESC NULLS LAST,
        claim_id ASC
)

SELECT
    * REPLACE ( -- noqa: AM04
        facility_key::VARCHAR AS facility_key,
        facility_key_source::VARCHAR AS facility_key_source,
        service_type::VARCHAR AS service_type,
        severity_group::VARCHAR AS severity_group,
        inacbg_code::VARCHAR AS inacbg_code,
        inacbg_description::VARCHAR AS inacbg_description,
        province_name::VARCHAR AS province_name,
        facility_ownership::VARCHAR AS facility_ownership,
        facility_type::VARCHAR AS facility_type,
        facility_class::VARCHAR AS facility_class,
        primary_diagnosis::VARCHAR AS primary_diagnosis,
        primary_diagnosis_group::VARCHAR AS primary_diagnosis_group,
        primary_diagnosis_label::VARCHAR AS primary_diagnosis_label,
        admission_diagnosis::VARCHAR AS admission_diagnosis,
        procedure_codes::VARCHAR AS procedure_codes,
        topup_codes::VARCHAR AS topup_codes
    ),
    $model_version::VARCHAR AS model_version,
    $ruleset_version::VARCHAR AS ruleset_version,
    $data_date::DATE AS data_date,
    $scored_at::TIMESTAMP AS scored_at
FROM riskiest_first
