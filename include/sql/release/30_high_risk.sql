-- claims_high_risk: what the API reads, one row a claim: its scores with its claim, clustered by the API's filters,
-- riskiest first. The claim's columns are named one by one so that a personal key
-- (patient_key, family_key) never comes along.
CREATE TABLE claims_high_risk AS
WITH claims AS (
    SELECT * FROM read_parquet($claims)
)

SELECT
    scores.claim_id,
    scores.ml_score,
    scores.ml_score_normalized,
    scores.rule_score,
    scores.risk_score,
    scores.flags,
    scores.reasons,
    scores.model_version,
    scores.ruleset_version,
    scores.data_date,
    scores.scored_at,
    claims.facility_key,
    claims.facility_key_source,
    claims.admission_date,
    claims.discharge_date,
    claims.los,
    claims.service_type,
    claims.severity_group,
    claims.severity_level,
    claims.inacbg_code,
    claims.inacbg_description,
    claims.province_code,
    claims.province_name,
    claims.regency_code,
    claims.facility_ownership,
    claims.facility_type,
    claims.facility_class,
    claims.ward_class,
    claims.tariff_region,
    claims.primary_diagnosis,
    claims.primary_diagnosis_group,
    claims.primary_diagnosis_label,
    claims.procedure_codes,
    claims.procedure_count,
    claims.comorbidity_count,
    claims.inacbg_tariff,
    claims.topup_amount,
    claims.amount_claimed,
    claims.amount_paid,
    claims.amount_gap,
    claims.paid_ratio,
    claims.peer_level,
    claims.peer_n,
    claims.peer_mean,
    claims.peer_p90,
    claims.peer_std,
    claims.cost_zscore,
    claims.duplicate_pattern,
    claims.duplicate_gap_days
FROM claims_ml_scores AS scores
INNER JOIN claims ON scores.claim_id = claims.claim_id
ORDER BY
    claims.service_type ASC NULLS LAST,
    claims.severity_group ASC NULLS LAST,
    claims.province_code ASC NULLS LAST,
    scores.risk_score DESC NULLS LAST,
    scores.ml_score DESC NULLS LAST,
    claims.amount_claimed DESC NULLS LAST,
    scores.claim_id ASC;
