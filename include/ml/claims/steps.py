"""The order of the ETL's SQL; apart from `ml.claims.etl`, so that parsing a DAG imports nothing heavy."""

from __future__ import annotations

SQL_STEPS: dict[str, list[str]] = {
    "conform_claims": [
        "claims_normalized/10_known_visits.sql",
        "claims_normalized/20_procedure_codes.sql",
        "claims_normalized/30_comorbidity.sql",
        "claims_normalized/35_care.sql",
    ],
    "compare_with_peers": [
        "claims_normalized/40_peer_groups.sql",
        "claims_normalized/41_price_levels.sql",
        "claims_normalized/42_price_peers.sql",
        "claims_normalized/43_stay_peers.sql",
        "claims_normalized/44_severity_counts.sql",
        "claims_normalized/44_severity_peers.sql",
        "claims_normalized/45_admission_peers.sql",
        "claims_normalized/46_topup_peers.sql",
        "claims_normalized/47_count_peers.sql",
        "claims_normalized/47_empty_records.sql",
        "claims_normalized/48_day_price_peers.sql",
    ],
    "find_repeats": [
        "claims_normalized/49_shared_numbers.sql",
        "claims_normalized/49_persons.sql",
        "claims_normalized/50_repeats.sql",
        "claims_normalized/51_fragments.sql",
        "claims_normalized/51_file_period.sql",
        "claims_normalized/52_alike_bills.sql",
        "claims_normalized/52_clones.sql",
        "claims_normalized/52_copied_stays.sql",
        "claims_normalized/53_readmissions.sql",
        "claims_normalized/54_overlapping.sql",
        "claims_normalized/54_visited_stays.sql",
        "claims_normalized/55_after_death.sql",
        "claims_normalized/56_closed_days.sql",
        "claims_normalized/57_split_care.sql",
        "claims_normalized/58_dense_weeks.sql",
        "claims_normalized/59_single_visits.sql",
    ],
    "weigh_evidence": [
        "claims_normalized/60_macros.sql",
        "claims_normalized/60_own_prices.sql",
        "claims_normalized/60_own_months.sql",
        "claims_normalized/60_evidence.sql",
        "claims_normalized/65_bill_peers.sql",
        "claims_normalized/68_dearer_codes.sql",
        "claims_normalized/70_provider_habits.sql",
        "claims_normalized/75_channels.sql",
        "claims_normalized/76_strong_claims.sql",
        "claims_normalized/78_provider_risk.sql",
    ],
    "assemble_claims": ["claims_normalized/79_words.sql", "claims_normalized/80_claims_normalized.sql"],
}
"""The SQL of the ETL: task id -> statements, in order; the DAG and the CLI both run these."""
