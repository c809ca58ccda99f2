"""RULESET_v1 on claims made for it, and the promises every candidate keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.claims.etl import NoClaimsError
from ml.files import sha256_of
from ml.model.training import train
from ml.release import ChangedCandidateError
from ml.rules import RulesetError, load_ruleset
from ml.rules import ruleset as ruleset_module
from ml.rules.ruleset import RULES
from ml.scoring.audit import AuditError, audit_candidate, require_audited
from ml.scoring.score import load_candidate, score_claims
from ml.scoring.stream import ml_scores
from tests.scoring.conftest import DATA_DATE, claims_table

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
DEAR = {"amount_claimed": 3_000_000, "amount_paid": 3_000_000}
FLAG_CASES = {
    "short_stay_high_cost": {**DEAR, "los": 1},
    "severity_mismatch": {**DEAR, "severity_group": "ringan"},
    "duplicate_pattern": {"duplicate_gap_days": 3},
    "high_cost_full_paid": {"amount_claimed": 2_400_000, "amount_paid": 2_300_000, "paid_ratio": 2.3 / 2.4,
                            "cost_zscore": 2.1},
}  # fmt: skip
NEAR_MISSES = [
    {**DEAR, "los": 2},
    {"amount_claimed": 2_500_000, "los": 0},
    {**DEAR, "severity_group": "sedang"},
    {**DEAR, "severity_group": "rawat_jalan", "los": 2},
    {"duplicate_gap_days": 4},
    {"amount_claimed": 2_400_000, "paid_ratio": 0.949, "cost_zscore": 3.0},
    {"amount_claimed": 2_400_000, "paid_ratio": 1.0, "cost_zscore": 2.0},
    {"amount_claimed": 0, "paid_ratio": None, "cost_zscore": None, "amount_paid": None, "amount_gap": None},
]


def score(settings, claims, model, tmp_path: Path, name: str = "candidate") -> list[dict]:
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v1"), tmp_path / name, NOW)
    audit_candidate(settings, candidate)
    return pq.read_table(candidate.scores).to_pylist()


def test_each_flag_holds_where_it_should_with_its_weight_and_a_reason(settings, write_claims, model, tmp_path) -> None:
    rows = score(settings, write_claims(claims_table(list(FLAG_CASES.values()))), model, tmp_path)
    weights = {flag.code: flag.weight for flag in load_ruleset("RULESET_v1").flags}
    special = {row["claim_id"]: row for row in rows if row["claim_id"].startswith("special")}
    for number, code in enumerate(FLAG_CASES):
        row = special[f"special{number:03d}"]
        assert row["flags"] == [code]
        assert row["rule_score"] == weights[code]
        assert code in [reason["code"] for reason in json.loads(row["reasons"])]


def test_no_flag_just_beside_the_limits(settings, write_claims, model, tmp_path) -> None:
    rows = score(settings, write_claims(claims_table(NEAR_MISSES)), model, tmp_path)
    assert {row["claim_id"]: row["flags"] for row in rows if row["flags"]} == {}
    assert {row["rule_score"] for row in rows} == {0.0}


def test_several_flags_largest_weight_counts_and_comes_first(settings, write_claims, model, tmp_path) -> None:
    all_at_once = {**DEAR, "los": 0, "severity_group": "ringan", "duplicate_gap_days": 0, "cost_zscore": 10.0}
    row = score(settings, write_claims(claims_table([all_at_once])), model, tmp_path)[-1]
    assert row["flags"] == ["short_stay_high_cost", "severity_mismatch", "duplicate_pattern", "high_cost_full_paid"]
    assert row["rule_score"] == 0.8
    assert [reason["code"] for reason in json.loads(row["reasons"])] == [
        "ml_anomaly", "short_stay_high_cost", "severity_mismatch",
    ], "strongest first: the forest's part is the largest of the run, 1.0"  # fmt: skip


def test_the_formula_of_the_risk_score(settings, write_claims, model, tmp_path) -> None:
    rows = score(settings, write_claims(claims_table(list(FLAG_CASES.values()))), model, tmp_path)
    ml = np.array([row["ml_score"] for row in rows])
    normalized = (ml - ml.min()) / (ml.max() - ml.min())
    assert [row["ml_score_normalized"] for row in rows] == normalized.tolist()
    assert [row["risk_score"] for row in rows] == [max(row["rule_score"], row["ml_score_normalized"]) for row in rows]


def test_reasons_state_the_claims_own_figures_in_both_languages(settings, write_claims, model, tmp_path) -> None:
    claim = FLAG_CASES["short_stay_high_cost"]
    row = score(settings, write_claims(claims_table([claim])), model, tmp_path)[-1]
    reason = next(item for item in json.loads(row["reasons"]) if item["code"] == "short_stay_high_cost")
    assert reason["text_id"] == (
        "LOS 1 hari, tagihan Rp3.000.000 = 1,2x p90 (Rp2.500.000) dari 40 klaim sejenis "
        "(A010, sedang, RS Kelas C, Jawa Tengah)"
    )
    assert reason["text_en"].startswith("LOS 1 day, claimed Rp3,000,000 = 1.2x the p90 (Rp2,500,000) of 40 similar")
    assert reason["figures"] == {"los": 1, "amount_claimed": 3_000_000, "peer_p90": 2_500_000.0, "peer_n": 40}


@pytest.mark.parametrize(("gap", "words"), [(0, "0 days"), (1, "1 day"), (3, "3 days")])
def test_one_day_is_singular(settings, write_claims, model, tmp_path, gap: int, words: str) -> None:
    row = score(settings, write_claims(claims_table([{"duplicate_gap_days": gap}])), model, tmp_path)[-1]
    (reason,) = [item for item in json.loads(row["reasons"]) if item["code"] == "duplicate_pattern"]
    assert reason["text_en"] == f"same patient, diagnosis A010 and procedures billed again within {words}"


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (1, "A010, sedang, RS Kelas C, Jawa Tengah"),
        (2, "A010, sedang, RS Kelas C"),
        (3, "A010, sedang"),
        (4, "A01, sedang"),
        (5, "A-4-14-II"),
        (6, "A-4, sedang"),
        (7, "sedang"),
    ],
)
def test_a_reason_says_who_the_peers_are(settings, write_claims, model, tmp_path, level, words) -> None:
    claim = FLAG_CASES["short_stay_high_cost"] | {"peer_level": level}
    row = score(settings, write_claims(claims_table([claim], dull=3)), model, tmp_path)[-1]
    reason = next(item for item in json.loads(row["reasons"]) if item["code"] == "short_stay_high_cost")
    assert reason["text_id"].endswith(f"dari 40 klaim sejenis ({words})")
    assert reason["text_en"].endswith(f"of 40 similar claims ({words})")


def test_the_paid_share_is_in_percent(settings, write_claims, model, tmp_path) -> None:
    claim = FLAG_CASES["high_cost_full_paid"]
    row = score(settings, write_claims(claims_table([claim])), model, tmp_path)[-1]
    reason = next(item for item in json.loads(row["reasons"]) if item["code"] == "high_cost_full_paid")
    peers = "(A010, sedang, RS Kelas C, Jawa Tengah)"
    assert reason["text_id"] == f"tagihan Rp2.400.000 dibayar 96%, z-score 2,1 terhadap 40 klaim sejenis {peers}"
    assert reason["text_en"] == f"claimed Rp2,400,000 and paid 96%, z-score 2.1 against 40 similar claims {peers}"


def test_what_the_forest_finds_odd_is_explained_by_what_is_odd(settings, write_claims, model, tmp_path) -> None:
    long_stay = {"los": 120}
    row = score(settings, write_claims(claims_table([long_stay])), model, tmp_path)[-1]
    assert row["ml_score"] > 0
    (reason,) = json.loads(row["reasons"])
    assert reason["code"] == "ml_anomaly"
    assert reason["text_id"].startswith("model menilai tidak lazim: LOS 120 hari (median RITL ")
    assert max(reason["figures"], key=reason["figures"].get) == "drop_los"


@pytest.mark.parametrize(("threads", "batch_rows"), [(1, 1), (2, 3), (4, 7)])
def test_scores_do_not_depend_on_batches_or_threads(model, threads, batch_rows) -> None:
    claims = claims_table(list(FLAG_CASES.values()))
    one = ml_scores(claims.to_batches(), model, threads=1)
    assert ml_scores(claims.to_batches(batch_rows), model, threads=threads).equals(one)


def test_the_same_input_in_another_order_gives_the_same_rows(settings, write_claims, model, tmp_path) -> None:
    table = claims_table(list(FLAG_CASES.values()))
    shuffled = table.take(np.random.default_rng(5).permutation(table.num_rows))
    first = score(settings, write_claims(table), model, tmp_path, "first")
    second = score(settings, write_claims(shuffled, "shuffled"), model, tmp_path, "second")
    assert [row["claim_id"] for row in second] == shuffled.column("claim_id").to_pylist(), "the claims' order"
    assert first == sorted(second, key=lambda row: row["claim_id"])


def test_constant_and_single_claims_have_finite_scores(settings, write_claims, model, tmp_path) -> None:
    table = claims_table([], dull=1)
    (row,) = score(settings, write_claims(table), model, tmp_path)
    assert (row["ml_score_normalized"], row["risk_score"]) == (0.0, 0.0)


def test_a_candidate_is_handed_on_through_its_folder(settings, write_claims, model, tmp_path) -> None:
    claims = write_claims(claims_table([]))
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v1"), tmp_path / "candidate", NOW)
    assert load_candidate(tmp_path / "candidate") == candidate


def spoil(table: pa.Table, column: str, values: list) -> pa.Table:
    index = table.column_names.index(column)
    kind = table.schema.field(column).type
    kept = table.column(column).to_pylist()[len(values) :]
    return table.set_column(index, column, pa.array([*values, *kept], kind))


@pytest.mark.parametrize(
    ("audit", "change"),
    [
        ("claims_not_scored", lambda table: table.slice(1)),
        ("scores_without_claim", lambda table: spoil(table, "claim_id", ["a stranger"])),
        ("repeated_claims", lambda table: pa.concat_tables([table, table.slice(0, 1)])),
        ("scores_out_of_range", lambda table: spoil(table, "risk_score", [1.5])),
        ("scores_out_of_range", lambda table: spoil(table, "ml_score", [float("nan")])),
        ("scores_out_of_range", lambda table: spoil(table, "rule_score", [None])),
        ("risk_below_its_parts", lambda table: spoil(table, "risk_score", [0.123])),
        ("flags_without_reason", lambda table: spoil(table, "rule_score", [0.8])),
        ("flags_without_reason", lambda table: spoil(table, "flags", [["severity_mismatch"]])),
        ("mixed_versions", lambda table: spoil(table, "model_version", ["another"])),
    ],
)
def test_each_audit_finds_what_it_is_for(settings, write_claims, model, tmp_path, audit, change) -> None:
    claims = write_claims(claims_table([]))
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v1"), tmp_path / "candidate", NOW)
    pq.write_table(change(pq.read_table(candidate.scores)), candidate.scores)
    candidate = replace(candidate, scores_sha256=sha256_of(candidate.scores))  # as if it had been scored so
    with pytest.raises(AuditError, match=rf"(?s)not published.*{audit}: claim"):
        audit_candidate(settings, candidate)
    with pytest.raises(AuditError, match="has not passed its audit"):
        require_audited(candidate)


def test_scores_are_not_blamed_for_claims_that_were_rewritten(settings, write_claims, model, tmp_path) -> None:
    claims = write_claims(claims_table([]))
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v1"), tmp_path / "candidate", NOW)
    write_claims(claims_table([], dull=201))
    with pytest.raises(ChangedCandidateError, match="the ETL has rewritten it since, score again"):
        audit_candidate(settings, candidate)
    with pytest.raises(AuditError, match="has not passed its audit"):
        require_audited(candidate)


def test_only_the_very_bytes_that_were_audited_count_as_audited(settings, write_claims, model, tmp_path) -> None:
    claims = write_claims(claims_table([]))
    candidate = score_claims(settings, claims, model, load_ruleset("RULESET_v1"), tmp_path / "candidate", NOW)
    with pytest.raises(AuditError, match="has not passed its audit"):
        require_audited(candidate)
    audit_candidate(settings, candidate)
    require_audited(candidate)
    pq.write_table(spoil(pq.read_table(candidate.scores), "risk_score", [2.0]), candidate.scores)
    with pytest.raises(AuditError, match="was changed since it was scored"):
        audit_candidate(settings, candidate)
    with pytest.raises(AuditError, match="has not passed its audit"):
        require_audited(candidate)


def test_claims_of_another_version_are_refused_with_what_to_do(settings, write_claims, model, tmp_path) -> None:
    claims = write_claims(claims_table([]).drop_columns(["stay_as_short", "provider"]))
    with pytest.raises(NoClaimsError, match=r"no column provider, stay_as_short; .* --data-date 2022-12-31"):
        score_claims(settings, claims, model, load_ruleset("RULESET_v2"), tmp_path / "candidate", NOW)
    provider = claims_table([])["provider"].combine_chunks()
    fewer = [field.name for field in provider.type if field.name != "strong_observed"]
    older = pa.StructArray.from_arrays([provider.field(name) for name in fewer], fewer)
    table = claims_table([])
    claims = write_claims(table.set_column(table.column_names.index("provider"), "provider", older))
    with pytest.raises(NoClaimsError, match=r"no column provider\.strong_observed; .* --data-date 2022-12-31"):
        score_claims(settings, claims, model, load_ruleset("RULESET_v2"), tmp_path / "candidate", NOW)
    claims = write_claims(claims_table([]).drop_columns(["narrow_peer_n"]))
    with pytest.raises(NoClaimsError, match="no column narrow_peer_n; "):
        score_claims(settings, claims, model, load_ruleset("RULESET_v1"), tmp_path / "candidate", NOW)
    with pytest.raises(NoClaimsError, match="no column narrow_peer_n; "):
        train(claims.path, DATA_DATE)
    claims = write_claims(claims_table([]).drop_columns(["evidence_overlap"]))
    with pytest.raises(NoClaimsError, match="no column evidence_overlap; "):
        train(claims.path, DATA_DATE)


def test_an_unknown_ruleset_is_named() -> None:
    with pytest.raises(RulesetError, match="RULESET_VERSION=RULESET_v0: there is no such ruleset"):
        load_ruleset("RULESET_v0")


def _with(name: str, **changes: Any) -> dict[str, Any]:
    return json.loads((RULES / f"{name}.json").read_text()) | changes


def _flags(change: Callable[[list[dict[str, Any]]], Any]) -> dict[str, Any]:
    wrong = _with("RULESET_v1")
    change(wrong["flags"])
    return wrong


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("RULESET_v1", _flags(lambda flags: flags[0].update(code="short_stay_hihg_cost")), "flags: each of short_stay"),
        ("RULESET_v1", _flags(lambda flags: flags.pop()), "flags: each of short_stay"),
        ("RULESET_v1", _flags(lambda flags: flags.append(flags[0])), "flags: each of short_stay"),
        ("RULESET_v1", _with("RULESET_v1", thresholds={}), "thresholds: missing or unknown: duplicate_max_days"),
        (
            "RULESET_v2",
            _with("RULESET_v2", channels=_with("RULESET_v2")["channels"][-2:]),
            "there is no typology, and contexts only support one",
        ),
        ("RULESET_v3", _with("RULESET_v2", version="RULESET_v3"), "no include/sql/scoring/RULESET_v3/upcoding.sql"),
    ],
)
def test_a_wrong_field_of_a_ruleset_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(ruleset_module, "RULES", tmp_path)
    (tmp_path / f"{name}.json").write_text(json.dumps(content))
    with pytest.raises(RulesetError, match=rf"^{name}\.json: .*{said}"):
        load_ruleset(name)
