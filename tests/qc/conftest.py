"""Small real releases: a DuckDB file and a Parquet file as publishing leaves them, with bad rows on request."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml.qc import QcResult, run_quality_check
from ml.qc.suite import suite
from ml.settings import Settings

NOW = datetime(2026, 11, 23, 19, 30, tzinfo=UTC)
SCORES = (
    "claim_id, ml_score, ml_score_normalized, rule_score, risk_score, channels, excess_amount, flags, reasons, "
    "model_version, ruleset_version, data_date, scored_at"
)

# n counts from 1. Claims 1..6 break a rule, the risk falls with n and the amount with it; 4 provinces, 3 facilities.
CLAIMS = """
CREATE TEMP TABLE claims AS
SELECT
    n,
    printf('8187%02d0922V%06d', n % 3, n) AS claim_id,
    'hash-of-a-person-' || n AS patient_key,
    'hash-of-a-family-' || n AS family_key,
    printf('8187%02d', n % 3) AS facility_key,
    'claim_id' AS facility_key_source,
    DATE '2026-09-01' AS admission_date,
    DATE '2026-09-01' + los::INTEGER AS discharge_date,
    los::INTEGER AS los,
    if(los > 0, 'RITL', 'RJTL') AS service_type,
    if(los > 0, 'ringan', 'rawat_jalan') AS severity_group,
    if(los > 0, 1, 0)::TINYINT AS severity_level,
    'A-4-14-I' AS inacbg_code,
    'PENYAKIT INFEKSI BAKTERI DAN PARASIT LAIN-LAIN RINGAN' AS inacbg_description,
    (31 + n % 4)::SMALLINT AS province_code,
    ['DKI Jakarta', 'Jawa Barat', 'Jawa Tengah', 'DI Yogyakarta'][1 + n % 4] AS province_name,
    3101 AS regency_code,
    'Swasta' AS facility_ownership,
    'Rumah Sakit' AS facility_type,
    'RS Kelas C' AS facility_class,
    3::TINYINT AS ward_class,
    1::TINYINT AS tariff_region,
    'A09' AS primary_diagnosis,
    'A09' AS primary_diagnosis_group,
    'Diarrhoea' AS primary_diagnosis_label,
    '' AS procedure_codes,
    0::SMALLINT AS procedure_count,
    1::SMALLINT AS comorbidity_count,
    180000::BIGINT AS inacbg_tariff,
    0::BIGINT AS topup_amount,
    (1000000 - 700 * n)::BIGINT AS amount_claimed,
    (1000000 - 700 * n)::BIGINT AS amount_paid,
    0::BIGINT AS amount_gap,
    1.0::DOUBLE AS paid_ratio,
    1::TINYINT AS peer_level,
    40 AS peer_n,
    200000.0::DOUBLE AS peer_mean,
    250000.0::DOUBLE AS peer_p90,
    10000.0::DOUBLE AS peer_std,
    (3.0 - n / 100)::DOUBLE AS cost_zscore,
    FALSE AS duplicate_pattern,
    NULL::INTEGER AS duplicate_gap_days,
    (0.4 - n / 10000)::DOUBLE AS ml_score,
    (0.75 - n / 10000)::DOUBLE AS ml_score_normalized,
    if(n <= 6, 0.8, 0.0)::DOUBLE AS rule_score,
    greatest(if(n <= 6, 0.8, 0.0), 0.75 - n / 10000)::DOUBLE AS risk_score,
    NULL::STRUCT(upcoding DOUBLE, clone DOUBLE) AS channels,
    0::BIGINT AS excess_amount,
    if(n <= 6, ['short_stay_high_cost'], []::VARCHAR[]) AS flags,
    if(
        n <= 6,
        '[{"code": "short_stay_high_cost", "text_id": "Rawat singkat, biaya tinggi", "text_en": "Short stay",'
        || ' "figures": {"los": 0, "peer_p90": 250000.0}}]',
        '[]'
    ) AS reasons,
    'FOREST_v2' AS model_version,
    'RULESET_v1' AS ruleset_version,
    DATE '2026-11-23' AS data_date,
    TIMESTAMP '2026-11-23 19:20:00' AS scored_at
FROM (SELECT n, if(n % 5 = 0, 3, 0) AS los FROM range(1, $rows + 1) AS numbers (n))
"""

MakeRelease = Callable[..., Path]
Check = Callable[..., QcResult]


@pytest.fixture
def make_release(tmp_path: Path) -> MakeRelease:
    """Build a release. `plant` changes the claims before they are published, `after` the database, `parquet` the file.

    The statements see the table `claims` (with the row number `n`), the release's tables, and `parquet`.
    """
    made = 0

    def make(
        *, rows: int = 60, plant: Sequence[str] = (), after: Sequence[str] = (), parquet: Sequence[str] = ()
    ) -> Path:
        nonlocal made
        made += 1
        release = tmp_path / "releases" / f"r{made}"
        release.mkdir(parents=True)
        with duckdb.connect(str(release / "analytics.duckdb")) as connection:
            connection.execute(CLAIMS, {"rows": rows})
            for statement in plant:
                connection.execute(statement)
            connection.execute(f"CREATE TABLE claims_ml_scores AS SELECT {SCORES} FROM claims ORDER BY n")
            connection.execute("CREATE TABLE claims_ml_scores_backup AS FROM claims_ml_scores LIMIT 0")
            connection.execute(
                "CREATE TABLE claims_high_risk AS SELECT * EXCLUDE (n, patient_key, family_key) FROM claims"
            )
            connection.execute("CREATE TEMP TABLE parquet AS FROM claims_ml_scores")
            for statement in (*after, *parquet):
                connection.execute(statement)
            connection.execute(f"COPY parquet TO '{release / 'claims_ml_scores.parquet'}' (FORMAT parquet)")
        return release

    return make


@pytest.fixture
def logs_dir(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, CLAIMS_INSTANCE_DIR=tmp_path / "instance")


@pytest.fixture
def check(logs_dir: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Run QC on a release, with defaults that fit `make_release`.

    `only` leaves those expectations in the suite: the verdict is then theirs, and Great Expectations takes 0.1 s
    instead of 1 s.
    """

    def run(release: Path, *, only: Collection[str] | None = None, **changed: Any) -> QcResult:
        def chosen(settings: Settings) -> list[Any]:
            return [item for item in suite(settings) if only is None or item.name in only]

        monkeypatch.setattr("ml.qc.check.suite", chosen)
        arguments: dict[str, Any] = {
            "release_id": release.name,
            "top_k": 10,
            "logs_dir": logs_dir,
            "expected_rows": 60,
            "run_id": "scheduled__2026-11-23",
            "settings": settings,
            "now": NOW,
        }
        return run_quality_check(release, **(arguments | changed))

    return run


@pytest.fixture
def write_log(logs_dir: Path) -> Callable[..., Path]:
    """Write a QC log by hand; without more it is one of the old system: the base names only."""

    def write(stamp: str, *, top_records: list[dict[str, Any]] | None = None, **summary: Any) -> Path:
        logs_dir.mkdir(exist_ok=True)
        log = logs_dir / f"ml_scores_qc_{stamp}.json"
        base = {
            "timestamp": stamp,
            "total_rows": 60,
            "top_k": 10,
            "amount_claimed_mean": 900_000.0,
            "amount_claimed_top_k_mean": 1_000_000.0,
            "cost_zscore_mean": 0.1,
            "cost_zscore_top_k_mean": 2.5,
            "los_le_1_ratio": 0.8,
            "los_le_1_ratio_top_k": 0.8,
            "risk_score_top_k_mean": 0.8,
            "ml_score_top_k_mean": 0.7,
        }
        log.write_text(json.dumps({"summary": base | summary, "top_records": top_records or []}), encoding="utf-8")
        return log

    return write
