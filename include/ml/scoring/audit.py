"""`audit_candidate`: nothing becomes live before every audit came back empty.

An audit is a SELECT of the rows that offend (`include/sql/audit_candidate/`): any row returned fails it and is the
evidence.
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from ml.files import sha256_of
from ml.release import Candidate
from ml.settings import Settings, duckdb_config
from ml.sql import sql_files, sql_text

SHOWN = 5
_CERTIFICATE = "audited.json"


class AuditError(RuntimeError):
    """A candidate failed its audit; the message names audits and claims. Trying again gives the same."""


def audit_candidate(settings: Settings, candidate: Candidate) -> dict[str, int]:
    """Run every audit on a candidate, and certify beside it that exactly these bytes passed.

    Returns:
        Audit name -> offending rows, all 0.

    Raises:
        AuditError: an audit found rows, or the scores are not those that were computed.
        ChangedCandidateError: the ETL has rewritten the claims since; the audits would blame the scores.
    """
    certificate = candidate.scores.with_name(_CERTIFICATE)
    certificate.unlink(missing_ok=True)
    sha256 = sha256_of(candidate.scores)
    if sha256 != candidate.scores_sha256:
        raise AuditError(
            f"{candidate.scores} was changed since it was scored (SHA-256 {sha256}, not {candidate.scores_sha256}): "
            "score again. The scores that were live stay live."
        )
    candidate.require_claims(sha256_of(candidate.claims))
    found: dict[str, int] = {}
    evidence: list[str] = []
    with duckdb.connect(config=duckdb_config(settings, candidate.scores.parent)) as connection:
        connection.read_parquet(str(candidate.scores)).create_view("candidate")
        connection.read_parquet(str(candidate.claims)).create_view("claims")
        for name in sql_files("audit_candidate"):
            offending = connection.sql(sql_text(name)).to_arrow_table()
            found[Path(name).stem] = offending.num_rows
            rows = offending.slice(0, SHOWN).to_pylist()
            evidence += [f"  {Path(name).stem}: claim {row['claim_id']}: {row['finding']}" for row in rows]
    if evidence:
        counts = ", ".join(f"{name} {rows:,}" for name, rows in found.items() if rows)
        raise AuditError(
            f"The candidate for data date {candidate.data_date} failed its audit ({counts} rows) and is not published; "
            "the scores that were live stay live. First rows:\n" + "\n".join(evidence)
        )
    temporary = certificate.with_suffix(".tmp")
    temporary.write_text(json.dumps({"scores_sha256": sha256, "offending_rows": found}))
    temporary.replace(certificate)
    return found


def require_audited(candidate: Candidate) -> None:
    """Refuse a candidate that did not pass its audit as it is now described.

    Raises:
        AuditError: there is no certificate of these scores.
    """
    try:
        certified = json.loads(candidate.scores.with_name(_CERTIFICATE).read_text())["scores_sha256"]
    except FileNotFoundError:
        certified = None
    if certified != candidate.scores_sha256:
        raise AuditError(
            f"{candidate.scores} has not passed its audit, and nothing unaudited becomes live: audit it first."
        )
