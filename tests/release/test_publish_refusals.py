"""Publish: which candidates and moments are refused, and what happens when a file or a full disk is in the way."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import ml.release.build as build_module
import ml.release.publish as publish_module
from ml.release import ChangedCandidateError, ReleaseError, ReleaseStore, RunToken, tables
from tests.release.conftest import NIGHT, ROWS, SCORES_SCHEMA, MakeCandidate, Publish
from tests.release.instances import nothing_left_over


@pytest.mark.parametrize("name", ["analytics.duckdb", "data/claims_ml_scores.parquet"])
def test_a_real_file_of_the_old_system_is_left_alone(instance: Path, publish: Publish, name: str) -> None:
    old = instance / name
    old.parent.mkdir(parents=True)
    old.write_bytes(b"scores of the old system")
    with pytest.raises(ReleaseError, match=r"is in the way.*mv "):
        publish("night")
    assert old.read_bytes() == b"scores of the old system"
    assert not (instance / "current").exists()


def _duplicate(rows: list[dict[str, Any]]) -> None:
    rows[1] = dict(rows[0])


def _stranger(rows: list[dict[str, Any]]) -> None:
    rows[0]["claim_id"] = "not a claim"


def _no_id(rows: list[dict[str, Any]]) -> None:
    rows[0]["claim_id"] = None


def _other_model(rows: list[dict[str, Any]]) -> None:
    rows[7]["model_version"] = "another"


def _no_date(rows: list[dict[str, Any]]) -> None:
    rows[7]["data_date"] = None


def _nothing(rows: list[dict[str, Any]]) -> None:
    rows.clear()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"change": _duplicate}, r"claim id '81870922V000000' has 2 rows"),
        ({"change": _no_id}, r"claim id None has 1 rows"),
        ({"change": _stranger}, rf"claims_high_risk: {ROWS - 1} rows"),
        ({"change": _other_model}, r"'81870922V000007' is of data date 2026-11-23, model another"),
        ({"change": _no_date}, r"'81870922V000007' is of data date None"),
        ({"change": _nothing}, r"all are empty"),
        ({"schema": SCORES_SCHEMA.remove(3)}, r"rule_score"),
        ({"schema": SCORES_SCHEMA.set(4, pa.field("risk_score", pa.float32()))}, r"'risk_score', 'FLOAT'"),
    ],
)
def test_a_candidate_that_contradicts_itself_is_refused(
    store: ReleaseStore, instance: Path, make_candidate: MakeCandidate, arguments: dict[str, Any], message: str
) -> None:
    live = store.publish(make_candidate(model="good"), RunToken("good", 1)).release_id
    with pytest.raises(ReleaseError, match=message):
        store.publish(make_candidate(**arguments), NIGHT)
    now_live = store.live()
    assert now_live is not None
    assert now_live.id == live
    assert nothing_left_over(instance)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE claims_ml_scores SET risk_score = risk_score + 1e-16 WHERE claim_id = '81870922V000000'",
        "UPDATE claims_ml_scores SET flags = NULL WHERE claim_id = '81870922V000001'",  # was an empty list
        "UPDATE claims_ml_scores SET ml_score = NULL WHERE isnan(ml_score)",
        "UPDATE claims_ml_scores SET reasons = NULL WHERE claim_id = '81870922V000001'",
        "DELETE FROM claims_ml_scores WHERE claim_id = '81870922V000000'",
        "UPDATE claims_high_risk SET risk_score = 0.5 WHERE claim_id = '81870922V000000'",
        "UPDATE claims_ml_scores_backup SET flags = [] WHERE flags IS NULL",
    ],
)
def test_a_table_that_differs_from_its_parquet_file_is_refused(
    store: ReleaseStore, publish: Publish, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    live = publish("good").release_id
    check = tables.origin_problems

    def spoil_then_check(connection: duckdb.DuckDBPyConnection, **origin: Any) -> list[str]:
        changed = connection.execute(statement).fetchall()
        assert changed[0][0] > 0
        return check(connection, **origin)

    monkeypatch.setattr(tables, "origin_problems", spoil_then_check)
    with pytest.raises(ReleaseError, match=r"the same scores should stand in \d places, but: .* rows, digest"):
        publish("night")
    now_live = store.live()
    assert now_live is not None
    assert now_live.id == live


def test_claims_rewritten_since_the_scoring_are_refused(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate, other = make_candidate(), make_candidate(rows=ROWS + 1)
    shutil.copy(other.claims, candidate.claims)
    with pytest.raises(ChangedCandidateError, match="the ETL has rewritten it since, score again"):
        store.publish(candidate, NIGHT)
    assert store.live() is None


def test_only_what_was_audited_is_published(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    other = make_candidate(model="other")
    candidate.scores.write_bytes(other.scores.read_bytes())
    with pytest.raises(ReleaseError, match="only what was audited may become live"):
        store.publish(candidate, RunToken("night", 1))
    assert store.live() is None


def test_a_missing_candidate_file_is_named(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    candidate.claims.unlink()
    with pytest.raises(ReleaseError, match=r"claims_normalized.parquet does not exist: score again"):
        store.publish(candidate, NIGHT)


def test_moments_without_timezone_are_refused(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    with pytest.raises(ReleaseError, match="timezone"):
        store.publish(make_candidate(), NIGHT, now=datetime(2026, 11, 23))  # noqa: DTZ001


def test_a_full_disk_is_noticed_before_anything_is_built(
    store: ReleaseStore, instance: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = publish("good").release_id
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(publish_module.shutil, "disk_usage", lambda _: usage(10**12, 10**12 - 1000, 1000))
    with pytest.raises(ReleaseError, match=r"not enough disk space .*\d MB needed .* 0 MB free"):
        publish("night")
    now_live = store.live()
    assert now_live is not None
    assert now_live.id == live
    assert len(store.releases()) == 1
    assert nothing_left_over(instance)


def test_a_disk_that_fills_up_while_building_leaves_nothing(
    store: ReleaseStore, instance: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = publish("good").release_id

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(build_module, "write_new", full)
    with pytest.raises(ReleaseError, match=r"could not be written, readers see no change: .*No space left"):
        publish("night")
    assert [release.id for release in store.releases()] == [live]
    assert nothing_left_over(instance)
