"""One look at one release: the log's content, its order and its JSON, and what QC does when it cannot look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml.qc import QcError
from ml.qc.release import TABLES

BASE_NAMES = [
    "total_rows", "top_k", "amount_claimed_mean", "amount_claimed_top_k_mean", "cost_zscore_mean",
    "cost_zscore_top_k_mean", "los_le_1_ratio", "los_le_1_ratio_top_k", "risk_score_top_k_mean", "ml_score_top_k_mean",
]  # fmt: skip


def _strict_json(log: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    content: dict[str, Any] = json.loads(log.read_text(encoding="utf-8"), parse_constant=refuse)
    return content


def test_a_good_release_passes_and_its_summary_is_exact(make_release: Any, check: Any, logs_dir: Path) -> None:
    result = check(make_release())
    assert (result.passed, result.failures, result.warnings) == (True, [], [])
    assert result.log == logs_dir / "ml_scores_qc_20261123T193000Z.json"
    content = _strict_json(result.log)
    assert content["summary"] == result.summary
    # The top-K are n = 1..10: 6 claims with the rule (risk 0.8), then 4 by the model; n = 5 and 10 stay 3 days.
    floats = {name: value for name, value in result.summary.items() if isinstance(value, float)}
    assert floats == pytest.approx(
        {
            "amount_claimed_mean": 1_000_000 - 700 * 30.5,
            "amount_claimed_top_k_mean": 1_000_000 - 700 * 5.5,
            "cost_zscore_mean": 3 - 0.305,
            "cost_zscore_top_k_mean": 3 - 0.055,
            "los_le_1_ratio": 0.8,
            "los_le_1_ratio_top_k": 0.8,
            "risk_score_top_k_mean": (6 * 0.8 + 4 * 0.75 - 0.0034) / 10,
            "ml_score_top_k_mean": 0.75 - 0.00055,
            "ml_score_raw_top_k_mean": 0.4 - 0.00055,
            "risk_score_cutoff": 0.749,
        }
    )
    assert {name: value for name, value in result.summary.items() if name not in floats} == {
        "timestamp": "20261123T193000Z",
        "release_id": "r1",
        "run_id": "scheduled__2026-11-23",
        "total_rows": 60,
        "top_k": 10,
        "data_date": "2026-11-23",
        "scored_at": "2026-11-23T19:20:00Z",
        "model_version": "FOREST_v2",
        "ruleset_version": "RULESET_v1",
        "top_k_requested": 10,
        "risk_score_cutoff_ties": 1,
        "flagged_rows": 6,
        "distinct_risk_scores": 55,
        "parquet_rows": 60,
        "backup_rows": 0,
        "amount_claimed_top_k_total": 10_000_000 - 700 * 55,
        "severity_in_top_k": {"rawat_jalan": 8, "ringan": 2},
        "province_in_top_k": {"Jawa Barat": 3, "Jawa Tengah": 3, "DI Yogyakarta": 2, "DKI Jakarta": 2},
        "flags_in_top_k": {"short_stay_high_cost": 6},
        "service_type_in_top_k": {"RJTL": 8, "RITL": 2},
        "facility_in_top_k": {"818701": 4, "818702": 3, "818700": 3},
        "changes": dict.fromkeys(
            [
                "previous_log", "previous_release_id", "previous_data_date", "previous_top_k",
                "amount_claimed_top_k_mean_change", "los_le_1_ratio_top_k_change", "total_rows_change",
                "top_k_kept", "top_k_new", "top_k_left", "top_k_kept_share",
            ]
        ),
        "expected_rows": 60,
        "passed": True,
        "failed_expectations": [],
        "warned_expectations": [],
    }  # fmt: skip
    assert list(result.summary)[3:13] == BASE_NAMES


def test_top_records_are_ordered_and_complete(make_release: Any, check: Any) -> None:
    tied = [  # n = 1 and 2 tie on all but the claim id, 3 is dearer than 4, 5 has a higher ml_score than 6
        "UPDATE claims SET ml_score = 0.3, ml_score_normalized = 0.7, amount_claimed = 500000 WHERE n <= 6",
        "UPDATE claims SET amount_claimed = 400000 WHERE n = 4",
        "UPDATE claims SET ml_score = 0.2 WHERE n = 6",
        "UPDATE claims SET cost_zscore = NULL WHERE n = 1",
        "UPDATE claims SET cost_zscore = 'nan' WHERE n = 2",
        "UPDATE claims SET cost_zscore = 'inf' WHERE n = 3",
    ]
    result = check(make_release(plant=tied), top_k=7, only=["release_not_empty"])
    records = _strict_json(result.log)["top_records"]
    serials = [int(record["claim_id"][-6:]) for record in records]
    assert serials == [3, 1, 2, 5, 4, 6, 7]  # 818700..., 818701..., 818702... among the tied
    assert [record["rank"] for record in records] == [1, 2, 3, 4, 5, 6, 7]
    assert [record["cost_zscore"] for record in records[:3]] == [None, None, None]
    assert result.summary["cost_zscore_top_k_mean"] == pytest.approx((2.95 + 2.96 + 2.94 + 2.93) / 4)
    first = records[1]
    assert first["flags"] == ["short_stay_high_cost"]
    assert first["reasons"][0]["figures"] == {"los": 0, "peer_p90": 250000.0}
    assert (first["province_name"], first["facility_key"], first["los"]) == ("Jawa Barat", "818701", 0)
    assert first["new_in_top_k"] is None


def test_no_personal_identifier_reaches_the_log(make_release: Any, check: Any) -> None:
    plant = ["UPDATE claims SET los = -1, risk_score = 2, amount_claimed = -5"]
    leak = "ALTER TABLE claims_high_risk ADD COLUMN patient_key VARCHAR DEFAULT 'hash-of-a-person-1'"
    release = make_release(plant=plant, after=[leak])
    result = check(release)
    assert "no_personal_columns" in result.summary["failed_expectations"]
    text = result.log.read_text().lower()
    for word in ("patient_key", "family_key", "pstv01", "pstv02", "hash-of-a"):
        assert word not in text


def test_a_release_of_nulls_and_nans_gives_valid_json(make_release: Any, check: Any) -> None:
    plant = [
        "UPDATE claims SET cost_zscore = 'nan', amount_claimed = NULL, los = NULL, flags = NULL, reasons = NULL, "
        "risk_score = 'nan', ml_score = 'inf', ml_score_normalized = NULL, province_name = NULL, "
        "severity_group = NULL, peer_p90 = '-inf', model_version = NULL, data_date = NULL"
    ]
    result = check(make_release(plant=plant))
    summary = _strict_json(result.log)["summary"]
    assert summary["total_rows"] == 60
    assert {summary[name] for name in BASE_NAMES[2:]} == {None}
    assert not result.passed


def test_fewer_claims_than_top_k(make_release: Any, check: Any) -> None:
    result = check(make_release(), top_k=500, only=["amount_top_k_above_overall", "province_concentration"])
    assert result.passed
    assert (result.summary["top_k"], result.summary["top_k_requested"]) == (60, 500)
    assert result.warnings == []  # the mean of all is not above the mean of all, and that is no fault


def test_a_link_that_is_switched_meanwhile_gives_one_release(
    make_release: Any, check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, newer = make_release(), make_release(rows=61)
    current = tmp_path / "current"
    current.symlink_to(release)
    connect = duckdb.connect

    def connect_and_switch(*arguments: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        connection = connect(*arguments, **options)
        current.unlink()
        current.symlink_to(newer)
        return connection

    monkeypatch.setattr("ml.qc.release.duckdb.connect", connect_and_switch)
    result = check(current, release_id="r1", only=["parquet_row_count_same", "parquet_content_same"])
    assert (result.failures, result.summary["parquet_rows"]) == ([], 60)


def test_a_release_stays_untouched(make_release: Any, check: Any) -> None:
    release = make_release()
    before = {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in release.iterdir()}
    check(release, only=["release_not_empty"])
    assert {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in release.iterdir()} == before


@pytest.mark.parametrize("name", ["analytics.duckdb", "claims_ml_scores.parquet"])
@pytest.mark.parametrize("damage", ["missing", "garbage"])
def test_a_missing_or_unreadable_file_is_an_error(
    name: str, damage: str, make_release: Any, check: Any, logs_dir: Path
) -> None:
    release = make_release()
    (release / name).unlink()
    if damage == "garbage":
        (release / name).write_bytes(b"garbage" * 1000)
    with pytest.raises(QcError, match=name.replace(".", r"\.")):
        check(release)
    assert not logs_dir.exists()


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_table_is_an_error(table: str, make_release: Any, check: Any) -> None:
    with pytest.raises(QcError, match=f"no table {table}"):
        check(make_release(after=[f"DROP TABLE {table}"]))


def test_a_missing_column_is_an_error(make_release: Any, check: Any) -> None:
    release = make_release(after=["ALTER TABLE claims_high_risk DROP COLUMN peer_p90"])
    with pytest.raises(QcError, match=r"qc/top_records\.sql.*peer_p90"):
        check(release)


def test_a_database_that_is_being_written_is_an_error(make_release: Any, check: Any) -> None:
    release = make_release()
    with duckdb.connect(str(release / "analytics.duckdb")), pytest.raises(QcError, match="cannot be opened"):
        check(release)
