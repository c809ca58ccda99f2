"""The order of the ETL's SQL; apart from `ml.claims.etl`, so that parsing a DAG imports nothing heavy."""

from __future__ import annotations

SQL_STEPS: dict[str, list[str]] = {
    "conform_claims": [
        "claims_normalized/10_known_visits.sql",
        "claims_normalized/20_procedure_codes.sql",
        "claims_normalized/30_comorbidity.sql",
    ],
    "compare_with_peers": ["claims_normalized/40_peer_groups.sql"],
    "find_repeats": ["claims_normalized/50_repeats.sql"],
    "assemble_claims": ["claims_normalized/60_claims_normalized.sql"],
}
"""The SQL of the ETL: task id -> statements, in order; the DAG and the CLI both run these."""
