"""Every critical expectation alone turns QC red on a release with its fault planted, and names the claims."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ml.qc.release import VECTOR_ROWS
from ml.qc.suite import suite
from ml.settings import Settings

# What is planted, and the n of the claims that the expectation must name.
PER_CLAIM: dict[str, tuple[str, list[int]]] = {
    "claim_id_not_null": ("UPDATE claims SET claim_id = NULL WHERE n = 7", []),
    "claim_id_unique": ("UPDATE claims SET claim_id = '8187000922V000009' WHERE n IN (7, 9)", [9, 9]),
    "risk_score_not_null": ("UPDATE claims SET risk_score = NULL WHERE n = 7", [7]),
    "rule_score_not_null": ("UPDATE claims SET rule_score = 'nan' WHERE n = 7", [7]),
    "ml_score_normalized_not_null": ("UPDATE claims SET ml_score_normalized = NULL WHERE n = 7", [7]),
    "ml_score_not_null": ("UPDATE claims SET ml_score = '-inf' WHERE n = 7", [7]),
    "risk_score_in_range": ("UPDATE claims SET risk_score = 1.01 WHERE n = 7", [7]),
    "rule_score_in_range": ("UPDATE claims SET rule_score = -0.1 WHERE n = 7", [7]),
    "ml_score_normalized_in_range": ("UPDATE claims SET ml_score_normalized = 1.01 WHERE n = 7", [7]),
    "risk_score_is_max": ("UPDATE claims SET risk_score = risk_score - 0.01 WHERE n = 7", [7]),
    "flag_for_rule_score": ("UPDATE claims SET flags = NULL WHERE n = 5", [5]),
    "reason_for_rule_score": ("UPDATE claims SET reasons = '[]' WHERE n = 5", [5]),
    "claim_facts_present": ("UPDATE claims SET los = NULL WHERE n = 7", [7]),
    "los_not_negative": ("UPDATE claims SET los = -1 WHERE n = 7", [7]),
    "amount_claimed_not_negative": ("UPDATE claims SET amount_claimed = -1 WHERE n = 7", [7]),
    "service_type_known": ("UPDATE claims SET service_type = 'RJTP' WHERE n = 7", [7]),
    "severity_group_known": ("UPDATE claims SET severity_group = 'fatal' WHERE n = 7", [7]),
}

# What is passed to the factory, and to QC.
PER_RELEASE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "row_count_expected": ({"after": ["DELETE FROM claims_high_risk WHERE claim_id LIKE '%000007'"]}, {}),
    "scores_row_count_expected": ({"after": ["DELETE FROM claims_ml_scores WHERE claim_id LIKE '%000007'"]}, {}),
    "release_not_empty": ({"rows": 0}, {"expected_rows": 0}),
    "parquet_row_count_same": ({"parquet": ["DELETE FROM parquet WHERE claim_id LIKE '%000007'"]}, {}),
    "parquet_content_same": ({"parquet": ["UPDATE parquet SET flags = ['x'] WHERE claim_id LIKE '%000007'"]}, {}),
    "high_risk_content_same": (
        {"after": ["UPDATE claims_high_risk SET reasons = '[1]' WHERE claim_id LIKE '%000007'"]},
        {},
    ),
    "one_model_version": ({"plant": ["UPDATE claims SET model_version = 'FOREST_v1' WHERE n = 7"]}, {}),
    "one_ruleset_version": ({"plant": ["UPDATE claims SET ruleset_version = NULL WHERE n = 7"]}, {}),
    "one_data_date": ({"plant": ["UPDATE claims SET data_date = DATE '2026-11-22' WHERE n = 7"]}, {}),
    "score_not_degenerate": (
        {
            "rows": 1000,
            "plant": [
                "UPDATE claims SET ml_score_normalized = 0.5",
                "UPDATE claims SET risk_score = greatest(rule_score, 0.5)",
            ],
        },
        {"expected_rows": 1000},
    ),
    "no_personal_columns": ({"after": ["ALTER TABLE claims_ml_scores_backup ADD COLUMN Patient_Key VARCHAR"]}, {}),
}


def _claim_id(n: int) -> str:
    return f"8187{n % 3:02d}0922V{n:06d}"


def test_every_critical_expectation_is_planted_against(settings: Settings) -> None:
    checks = suite(settings)
    assert len({item.name for item in checks}) == len(checks)
    against_previous = {"row_count_collapse"}  # fails in test_qc_drift.py
    critical = {item.name for item in checks if item.severity == "critical"}
    assert critical == set(PER_CLAIM) | set(PER_RELEASE) | against_previous
    assert {item.name for item in checks if item.severity == "warning"} == {
        "amount_top_k_drift",
        "los_top_k_drift",
        "row_count_drop",
        "province_concentration",
        "amount_top_k_above_overall",
    }  # each fails in test_qc_drift.py


@pytest.mark.parametrize("name", PER_CLAIM)
def test_a_planted_claim_fails_its_expectation_and_is_named(name: str, make_release: Any, check: Any) -> None:
    statement, claims = PER_CLAIM[name]
    result = check(make_release(plant=[statement]), only=[name])
    assert not result.passed
    assert result.summary["failed_expectations"] == [name]
    outcome = _expectation(result.log, name)
    assert (outcome["success"], outcome["severity"]) == (False, "critical")
    assert outcome["observed"] == max(len(claims), 1)
    expected_ids = ["8187000922V000009"] * 2 if name == "claim_id_unique" else [_claim_id(n) for n in claims]
    assert outcome["claim_ids"] == expected_ids
    failure = next(text for text in result.failures if text.startswith(f"{name}:"))
    assert all(claim_id in failure for claim_id in outcome["claim_ids"])


@pytest.mark.parametrize("name", PER_RELEASE)
def test_a_planted_release_fault_fails_its_expectation(name: str, make_release: Any, check: Any) -> None:
    built, arguments = PER_RELEASE[name]
    result = check(make_release(**built), only=[name], **arguments)
    assert not result.passed
    assert result.summary["failed_expectations"] == [name]
    assert [text for text in result.failures if not text.startswith(f"{name}: ")] == []
    assert not _expectation(result.log, name)["success"]


def test_a_release_broken_throughout_names_five_claims(make_release: Any, check: Any) -> None:
    release = make_release(plant=["UPDATE claims SET los = -1, service_type = NULL"])
    result = check(release)
    outcome = _expectation(result.log, "los_not_negative")
    assert outcome["observed"] == 60
    assert outcome["claim_ids"] == [_claim_id(n) for n in range(1, 6)]
    assert outcome["values"] == [-1] * 5
    assert "claim_facts_present" in result.summary["failed_expectations"]


def test_claims_are_judged_in_parts_as_in_one(
    make_release: Any, check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [3, *range(2500, 2503), 4999, 5000]  # of the first, the second and the last part
    release = make_release(
        rows=5000,
        plant=[
            f"UPDATE claims SET los = -n WHERE n IN ({', '.join(map(str, broken))})",
            "UPDATE claims SET claim_id = '8187000922V000009' WHERE n IN (9, 4998)",
        ],
    )
    names = ["los_not_negative", "claim_id_unique", "service_type_known"]
    whole = check(release, only=names, expected_rows=5000)
    monkeypatch.setattr("ml.qc.release.PART_ROWS", VECTOR_ROWS)
    parts = check(release, only=names, expected_rows=5000, logs_dir=tmp_path / "parts")
    assert parts.failures == whole.failures
    for name in names:
        assert _expectation(parts.log, name) == _expectation(whole.log, name)
    los = _expectation(parts.log, "los_not_negative")
    assert los["observed"] == len(broken)
    assert los["claim_ids"] == [_claim_id(n) for n in broken[:5]]
    assert los["values"] == [-n for n in broken[:5]]
    assert _expectation(parts.log, "claim_id_unique")["claim_ids"] == ["8187000922V000009"] * 2


@pytest.mark.parametrize("reasons", ["NULL", "''", "'not json'", "'{}'"])
def test_reasons_that_are_no_list_are_no_reasons(reasons: str, make_release: Any, check: Any) -> None:
    release = make_release(plant=[f"UPDATE claims SET reasons = {reasons} WHERE n = 1"])
    result = check(release, only=["reason_for_rule_score"])
    assert result.summary["failed_expectations"] == ["reason_for_rule_score"]
    assert json.loads(result.log.read_text())["top_records"][0]["reasons"] == []


def test_few_scores_in_a_tiny_release_pass(make_release: Any, check: Any) -> None:
    plant = ["UPDATE claims SET ml_score_normalized = 0.5, risk_score = greatest(rule_score, 0.5)"]
    assert check(make_release(plant=plant), only=["score_not_degenerate"]).passed


def _expectation(log: Path, name: str) -> dict[str, Any]:
    outcomes: list[dict[str, Any]] = json.loads(log.read_text())["expectations"]
    return next(outcome for outcome in outcomes if outcome["name"] == name)
