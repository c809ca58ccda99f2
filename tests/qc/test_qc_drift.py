"""The warnings: what they compare with, and that they never fail a release."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ml.settings import Settings

WARNINGS = [
    "amount_top_k_drift",
    "los_top_k_drift",
    "row_count_drop",
    "province_concentration",
    "amount_top_k_above_overall",
]
IDS = [f"8187{n % 3:02d}0922V{n:06d}" for n in range(1, 11)]  # the top 10 of an unchanged release


@pytest.mark.parametrize(
    ("name", "before", "change", "drifts"),
    [
        ("amount_top_k_drift", {"amount_claimed_top_k_mean": 660_000.0}, "amount_claimed_top_k_mean_change", True),
        ("amount_top_k_drift", {"amount_claimed_top_k_mean": 670_000.0}, "amount_claimed_top_k_mean_change", False),
        ("amount_top_k_drift", {"amount_claimed_top_k_mean": 2_100_000.0}, "amount_claimed_top_k_mean_change", True),
        ("los_top_k_drift", {"los_le_1_ratio_top_k": 0.5}, "los_le_1_ratio_top_k_change", True),
        ("los_top_k_drift", {"los_le_1_ratio_top_k": 0.6}, "los_le_1_ratio_top_k_change", False),
        ("row_count_drop", {"total_rows": 76}, "total_rows_change", True),
        ("row_count_drop", {"total_rows": 75}, "total_rows_change", False),
        ("row_count_drop", {"total_rows": 10}, "total_rows_change", False),
    ],
)
def test_drift_against_the_previous_log(
    name: str, before: dict[str, Any], change: str, drifts: bool, make_release: Any, check: Any, write_log: Any
) -> None:
    write_log("20261122T193000Z", **before)
    result = check(make_release(), only=WARNINGS)
    assert result.passed
    assert result.failures == []
    assert result.summary["warned_expectations"] == ([name] if drifts else [])
    assert [warning.split(":")[0] for warning in result.warnings] == ([name] if drifts else [])
    outcome = next(item for item in json.loads(result.log.read_text())["expectations"] if item["name"] == name)
    assert outcome["severity"] == "warning"
    (field, old), new = next(iter(before.items())), result.summary
    expected = new[field] - old if field == "los_le_1_ratio_top_k" else (new[field] - old) / old
    assert outcome["observed"] == pytest.approx(expected)
    assert new["changes"][change] == pytest.approx(expected)
    assert new["changes"]["previous_log"] == "ml_scores_qc_20261122T193000Z.json"


@pytest.mark.parametrize(
    ("before", "allowed", "fails"),
    [(301, 0.8, True), (300, 0.8, False), (10_000, 1, False), (121, 0.5, True), (None, 0.8, False)],
)
def test_claims_that_have_all_but_gone_fail_the_release(
    before: int | None, allowed: float, fails: bool, make_release: Any, check: Any, write_log: Any, settings: Settings
) -> None:
    """60 claims now; the wording tells how to publish fewer that are meant."""
    if before is not None:
        write_log("20261122T193000Z", total_rows=before)
    changed = settings.model_copy(update={"qc_row_drop": allowed})
    result = check(make_release(), only=["row_count_collapse"], settings=changed)
    assert result.passed is not fails
    assert [failure.split(":")[0] for failure in result.failures] == (["row_count_collapse"] if fails else [])
    assert all("CLAIMS_QC_ROW_DROP=1" in failure for failure in result.failures)


@pytest.mark.parametrize(("data_date", "fails"), [("2026-11-22", True), ("2026-11-24", False)])
def test_without_logs_the_backup_tells_how_many_claims_there_were(
    data_date: str, fails: bool, make_release: Any, check: Any
) -> None:
    """After a full disk, or a copy without the logs; not where a backfill's backup is of a later date."""
    backup = "INSERT INTO claims_ml_scores_backup SELECT claims_ml_scores.* FROM claims_ml_scores, range(9)"
    release = make_release(after=[backup, f"UPDATE claims_ml_scores_backup SET data_date = '{data_date}'"])
    assert check(release, only=["row_count_collapse"]).passed is not fails


def test_lists_of_different_length_are_not_compared(make_release: Any, check: Any, write_log: Any) -> None:
    write_log("20261122T193000Z", amount_claimed_top_k_mean=1.0, los_le_1_ratio_top_k=0.0, top_k_requested=1_000)
    result = check(make_release(), only=WARNINGS)
    assert result.warnings == []
    changes = result.summary["changes"]
    assert changes["amount_claimed_top_k_mean_change"] is changes["los_le_1_ratio_top_k_change"] is None
    assert changes["previous_top_k"] is not None


def test_one_province_fills_the_top(make_release: Any, check: Any) -> None:
    release = make_release(plant=["UPDATE claims SET province_name = 'Papua' WHERE n <= 9"])
    result = check(release, only=WARNINGS)
    assert result.passed
    assert result.summary["warned_expectations"] == ["province_concentration"]
    assert "observed 0.9." in result.warnings[0]


def test_claims_of_one_province_fill_the_top_every_night(make_release: Any, check: Any) -> None:
    release = make_release(plant=["UPDATE claims SET province_name = 'Papua'"])
    assert check(release, only=WARNINGS).summary["warned_expectations"] == []


def test_the_top_is_not_dearer_than_all(make_release: Any, check: Any) -> None:
    release = make_release(plant=["UPDATE claims SET amount_claimed = 70000 WHERE n <= 10"])
    result = check(release, only=WARNINGS)
    assert result.passed
    assert result.summary["warned_expectations"] == ["amount_top_k_above_overall"]


def test_failed_later_and_own_logs_are_not_compared_with(make_release: Any, check: Any, write_log: Any) -> None:
    write_log("20261120T193000Z", passed=True, release_id="good", data_date="2026-11-20", total_rows=61)
    write_log("20261121T193000Z", passed=False, release_id="bad", data_date="2026-11-21", total_rows=900)
    write_log("20261122T193000Z", passed=True, release_id="r1", data_date="2026-11-23", total_rows=900)
    write_log("20261123T080000Z", passed=True, release_id="backfill", data_date="2026-01-01", total_rows=900)
    write_log("20261123T090000Z", passed=True, release_id="ahead", data_date="2026-11-24", total_rows=900)
    changes = check(make_release(), only=["row_count_drop"]).summary["changes"]
    assert (changes["previous_release_id"], changes["previous_data_date"]) == ("good", "2026-11-20")
    assert changes["total_rows_change"] == pytest.approx(-1 / 61)


def test_new_and_left_claims(make_release: Any, check: Any, write_log: Any) -> None:
    records = [{"claim_id": claim_id} for claim_id in [*IDS[:7], "81870022V000001", "81870022V000002"]]
    write_log("20261122T193000Z", top_records=records)
    result = check(make_release(), only=["row_count_drop"])
    content = json.loads(result.log.read_text())
    changes = content["summary"]["changes"]
    assert [changes[f"top_k_{name}"] for name in ("kept", "new", "left")] == [7, 3, 2]
    assert changes["top_k_kept_share"] == pytest.approx(0.7)
    assert content["left_top_k"] == ["81870022V000001", "81870022V000002"]
    assert [record["new_in_top_k"] for record in content["top_records"]] == [False] * 7 + [True] * 3


def test_two_nights_in_a_row(make_release: Any, check: Any) -> None:
    first = check(make_release(), only=["amount_top_k_drift"])
    next_night = "UPDATE claims SET data_date = DATE '2026-11-24', amount_claimed = 400000 + n"
    second = check(make_release(plant=[next_night]))
    assert second.log.name > first.log.name  # the same second was taken
    assert second.summary["changes"]["previous_log"] == first.log.name
    assert second.summary["changes"]["top_k_kept"] == 10
    assert second.passed
    assert "amount_top_k_drift" in second.summary["warned_expectations"]


def test_unusable_previous_figures_are_no_drift(make_release: Any, check: Any, write_log: Any, logs_dir: Any) -> None:
    write_log("20261122T193000Z", amount_claimed_top_k_mean=None, los_le_1_ratio_top_k="n/a", total_rows=0)
    (logs_dir / "ml_scores_qc_20261122T200000Z.json").write_text("{", encoding="utf-8")
    result = check(make_release(), only=WARNINGS)
    assert result.warnings == []
    assert result.summary["changes"]["previous_log"] == "ml_scores_qc_20261122T193000Z.json"
