"""What changed between two releases, against answers worked out by hand and by pandas."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ml.compare import Comparison, ComparisonError, compare_releases
from ml.release import Release, ReleaseStore, RunToken
from tests.nightly.conftest import settings_of
from tests.release.conftest import ROWS, write_candidate

Rows = list[dict[str, Any]]


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., Release]:
    """Publish a candidate whose scores a function may change first."""
    store = ReleaseStore(tmp_path / "instance", threads=1)

    def make(name: str, change: Callable[[Rows], None] | None = None, rows: int = ROWS) -> Release:
        candidate = write_candidate(tmp_path / name, model="MODEL_v1", change=change, rows=rows)
        return store.get(store.publish(candidate, RunToken(name, 1)).release_id)

    return make


def compare(a: Release, b: Release, top_k: int = 5) -> Comparison:
    return compare_releases(a, b, top_k=top_k, settings=settings_of(a.path.parents[1]))


def by_number(rows: Rows) -> None:
    """Scores that fall with the claim's number: 0 is the riskiest."""
    for n, row in enumerate(rows):
        row |= {"risk_score": 1 - n / 1000, "ml_score": 0.0, "flags": [], "reasons": "[]"}


def test_a_release_and_itself_do_not_differ(publish: Callable[..., Release]) -> None:
    release = publish("one")
    same = compare(release, release)
    assert (same.only_in_a, same.only_in_b, same.in_both) == (0, 0, ROWS)
    assert (same.top_k_kept, same.entrants, same.leavers) == (5, [], [])
    assert same.rank_correlation == pytest.approx(1)
    assert {shift.risk_score_shift for shift in same.by_province + same.by_severity} == {0}


def test_claims_that_come_and_go_and_the_auditors_list(publish: Callable[..., Release]) -> None:
    def changed(rows: Rows) -> None:
        by_number(rows)
        # Claim 200 becomes the riskiest, so that 4 leaves a list of five; it says why.
        rows[200] |= {
            "risk_score": 1.0,
            "flags": ["severity_mismatch"],
            "reasons": json.dumps([{"code": "x", "text_id": "karena", "text_en": "because"}]),
        }
        rows[0]["risk_score"] = 0.9995

    a, b = publish("before", by_number, rows=300), publish("after", changed, rows=302)
    found = compare(a, b)
    assert (found.only_in_a, found.only_in_b, found.in_both) == (0, 2, 300)
    assert found.examples_only_in_b == ["81870922V000300", "81870922V000301"]
    assert found.examples_only_in_a == []
    assert found.top_k_kept == 4
    [entrant], [leaver] = found.entrants, found.leavers
    assert (entrant.claim_id, entrant.place_a, entrant.place_b) == ("81870922V000200", 201, 1)
    assert (entrant.risk_score_a, entrant.risk_score_b) == (pytest.approx(0.8), 1.0)
    assert entrant.reasons[0]["text_id"] == "karena"
    assert (leaver.claim_id, leaver.place_a, leaver.place_b, leaver.reasons) == ("81870922V000004", 5, 6, [])
    [flag] = found.by_flag
    assert (flag.flag, flag.claims_a, flag.claims_b) == ("severity_mismatch", 0, 1)
    # And the other way round, what came has gone.
    back = compare(b, a)
    assert (back.only_in_a, back.only_in_b) == (2, 0)
    assert [claim.claim_id for claim in back.entrants] == [leaver.claim_id]
    assert back.entrants[0].reasons == []


def test_a_claim_that_one_release_lacks_has_no_place_there(publish: Callable[..., Release]) -> None:
    def riskiest_is_new(rows: Rows) -> None:
        by_number(rows)
        rows[300]["risk_score"] = 1.0

    [entrant] = compare(publish("a", by_number, rows=300), publish("b", riskiest_is_new, rows=301)).entrants
    assert (entrant.place_a, entrant.place_b, entrant.risk_score_a) == (None, 1, None)
    assert "place none -> 1, risk - -> 1.000" in entrant.line()


def test_the_rank_correlation_is_spearmans_with_ties(publish: Callable[..., Release]) -> None:
    def coarse(rows: Rows) -> None:
        for n, row in enumerate(rows):
            row["risk_score"] = n * 37 % 100 // 20 / 10

    def other(rows: Rows) -> None:
        for n, row in enumerate(rows):
            row["risk_score"] = (n * 37 % 100 + n * 11 % 50) // 15 / 10

    a, b = publish("a", coarse), publish("b", other)
    frames = [pd.read_parquet(release.scores).set_index("claim_id").risk_score for release in (a, b)]
    expected = frames[0].rank().corr(frames[1].rank())
    assert 0.3 < expected < 0.99
    assert compare(a, b).rank_correlation == pytest.approx(expected, abs=1e-12)


def test_no_rank_correlation_where_there_is_nothing_to_rank(publish: Callable[..., Release]) -> None:
    def alike(rows: Rows) -> None:
        for row in rows:
            row["risk_score"] = 0.5

    assert compare(publish("a", alike), publish("b")).rank_correlation is None


def test_shifts_by_province_and_severity(publish: Callable[..., Release]) -> None:
    def dearer_inpatients(rows: Rows) -> None:
        by_number(rows)
        for n, row in enumerate(rows):
            if n % 8 == 0:  # the inpatients of these candidates, all "ringan"
                row |= {"risk_score": row["risk_score"] - 0.25, "flags": ["duplicate_pattern"]}

    found = compare(publish("a", by_number), publish("b", dearer_inpatients))
    first, second = found.by_severity
    assert (first.value, second.value) == ("ringan", "rawat_jalan")  # the larger shift first
    assert (first.claims_a, first.claims_b) == (38, 38)
    assert first.risk_score_shift == pytest.approx(-0.25)
    assert (first.flagged_share_a, first.flagged_share_b, first.flagged_shift) == (0, 1, 1)
    assert second.risk_score_shift == 0
    assert sum(shift.claims_b for shift in found.by_province) == ROWS
    assert sorted(shift.value for shift in found.by_province) == [f"province_name {n}" for n in range(3)]


def test_a_file_that_is_no_release_is_named(publish: Callable[..., Release]) -> None:
    a, b = publish("a"), publish("b")
    b.database.chmod(0o644)
    b.database.write_bytes(b"no database")
    with pytest.raises(ComparisonError, match="cannot be compared"):
        compare(a, b)
