"""Rollback: where it goes, what it refuses, and that it stands; and the QC verdict a release is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ml.release import ReleaseError, ReleaseStore
from tests.release.conftest import Publish
from tests.release.instances import is_noop, live_id, spoil


def journal(instance: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (instance / "releases" / "journal.jsonl").read_text().splitlines()]


def test_rollback_goes_to_the_previous_release_by_default(
    store: ReleaseStore, instance: Path, publish: Publish
) -> None:
    older, good, bad = publish("older"), publish("good"), publish("bad")
    restored = store.rollback(None, reason="scores look wrong", who="ops")
    assert (restored.restored, restored.live, restored.was) == (True, good.release_id, bad.release_id)
    assert live_id(store) == good.release_id
    last = journal(instance)[-1]
    assert (last["event"], last["who"], last["reason"]) == ("rolled_back", "ops", "scores look wrong")
    assert store.rollback(None, reason="further", who="ops").live == older.release_id
    assert store.rollback(bad.release_id, reason="it was right after all", who="ops").live == bad.release_id
    assert is_noop(store, store.rollback(bad.release_id, reason="again", who="ops"), bad)


def test_an_operators_word_stands(store: ReleaseStore, publish: Publish) -> None:
    publish("good")
    given_up = publish("given up", qc=None)
    store.restore("given up", reason="QC could not run")
    store.rollback(given_up.release_id, reason="I looked at it myself", who="ops")
    assert is_noop(store, store.restore("given up", reason="late callback"), given_up)
    assert is_noop(store, store.recover(current_run="tonight"), given_up)
    publish("tonight", qc=None)
    assert store.restore("tonight", reason="QC failed").live == given_up.release_id
    assert is_noop(store, store.restore("given up", reason="very late callback"), given_up)


def test_rollback_does_not_follow_a_decision_about_another_live_release(store: ReleaseStore, publish: Publish) -> None:
    """The operator looked, and while he thought about it the night published."""
    older, seen = publish("older"), publish("seen")
    assert store.rollback_target(None) == older.release_id
    newer = publish("newer")
    with pytest.raises(ReleaseError, match=f"meanwhile {newer.release_id} is live, no longer {seen.release_id}"):
        store.rollback(older.release_id, reason="test", who="ops", instead_of=seen.release_id)
    assert live_id(store) == newer.release_id
    assert store.rollback(older.release_id, reason="test", who="ops", instead_of=newer.release_id).restored


def test_rollback_refuses_a_damaged_release_and_names_the_best(store: ReleaseStore, publish: Publish) -> None:
    older, good, damaged, live = publish("older"), publish("good"), publish("damaged"), publish("live")
    spoil(damaged)
    with pytest.raises(ReleaseError, match=rf"analytics.duckdb is not what.*best alternative is {good.release_id}"):
        store.rollback(damaged.release_id, reason="test", who="ops")
    assert live_id(store) == live.release_id
    assert store.rollback(None, reason="test", who="ops").live == good.release_id
    with pytest.raises(ReleaseError, match=rf"there is no release 2020.*best alternative is {older.release_id}"):
        store.rollback("2020", reason="test", who="ops")
    with pytest.raises(ReleaseError, match="is not a release id"):
        store.rollback("../../etc", reason="test", who="ops")


def test_rollback_refuses_a_release_that_failed_its_qc(store: ReleaseStore, publish: Publish) -> None:
    good, failed = publish("good"), publish("failed", qc=False)
    store.restore("failed", reason="QC failed")
    with pytest.raises(ReleaseError, match="failed its QC; and no other release is fit"):
        store.rollback(failed.release_id, reason="test", who="ops")
    assert live_id(store) == good.release_id


def test_rollback_with_nothing_to_go_back_to_says_so(store: ReleaseStore, publish: Publish) -> None:
    with pytest.raises(ReleaseError, match="no older release is fit"):
        store.rollback(None, reason="test", who="ops")
    only = publish("only")
    with pytest.raises(ReleaseError, match="no older release is fit"):
        store.rollback(None, reason="test", who="ops")
    assert live_id(store) == only.release_id


def test_a_release_after_a_rollback_follows_what_is_live(store: ReleaseStore, publish: Publish) -> None:
    older = publish("older")
    publish("bad")
    store.rollback(older.release_id, reason="test", who="ops")
    assert publish("next", qc=None).previous == older.release_id
    assert store.restore("next", reason="QC failed").live == older.release_id


def test_qc_of_an_unknown_release_is_refused(store: ReleaseStore, publish: Publish) -> None:
    published = publish("night", qc=None)
    assert store.qc_passed(published.release_id) is None
    store.record_qc(published.release_id, passed=False, log="ml_scores_qc_1.json")
    store.record_qc(published.release_id, passed=True, log="ml_scores_qc_2.json")
    assert store.qc_passed(published.release_id) is True
    assert store.verify(published.release_id) == []  # the release itself stays as it was
    with pytest.raises(ReleaseError, match="there is no release nowhere"):
        store.record_qc("nowhere", passed=True, log=None)
