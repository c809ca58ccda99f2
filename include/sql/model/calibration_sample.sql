-- What the channels' scales and the anomaly channel's forest are learned from: a sample that depends on the claims
-- alone, not on their order or the machine. Nothing from $below on is among the first $sample_rows: it need not be
-- sorted, nor kept in memory.
SELECT
    price_ln_ratio,
    tariff_ln_ratio,
    day_price_ln_ratio,
    los_share_low,
    severity_share,
    admission_share,
    topup_share,
    comorbidity_share,
    procedure_share,
    readmission_share,
    evidence_upcoding,
    evidence_inflated_bill,
    evidence_short_stay,
    evidence_topup,
    evidence_repeat,
    evidence_fragmentation,
    evidence_overlap,
    evidence_clone,
    evidence_single_visit,
    evidence_provider
FROM read_parquet($claims)
WHERE md5(claim_id) < $below
ORDER BY md5(claim_id), claim_id
LIMIT $sample_rows
