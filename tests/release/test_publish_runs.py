"""Publish: what a run gets that comes again, late or with an older data date, and which tries may not publish."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml.release import ReleaseError, ReleaseStore, RunToken
from tests.release.conftest import DATE, NIGHT, MakeCandidate, Publish


def test_a_backfill_is_archived(store: ReleaseStore, publish: Publish) -> None:
    newest = publish("night")
    backfill = publish("backfill", day=DATE - timedelta(days=1))
    live = store.live()
    assert live is not None
    assert live.id == newest.release_id
    assert not backfill.switched
    assert store.verify(backfill.release_id) == []
    again = publish("same-date")
    assert again.switched
    assert again.previous == newest.release_id


def test_a_run_that_comes_again_gets_what_it_published(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    first = store.publish(candidate, NIGHT)
    assert store.publish(candidate, NIGHT) == first
    retry = RunToken(NIGHT.run_id, 2)
    assert store.publish(candidate, retry) == first
    assert len(store.releases()) == 1
    # The release is now the retry's: the first try comes too late for it, and when the retry fails, it goes.
    with pytest.raises(ReleaseError, match="comes too late"):
        store.publish(candidate, NIGHT)
    assert store.restore(retry, reason="test").restored
    old = make_candidate(day=DATE - timedelta(days=1))
    store.publish(make_candidate(model="other"), RunToken("other", 1))
    archived = store.publish(old, RunToken("backfill", 1))
    assert not archived.switched
    assert store.publish(old, RunToken("backfill", 1)) == archived
    assert store.publish(make_candidate(model="changed"), RunToken("other", 1)).release_id != archived.release_id


def test_another_run_with_the_same_candidate_is_another_release(
    store: ReleaseStore, make_candidate: MakeCandidate
) -> None:
    candidate = make_candidate()
    moment = datetime(2026, 11, 22, 19, 5, tzinfo=UTC)
    ids = [store.publish(candidate, RunToken(run, 1), now=moment).release_id for run in ("Night!", "night?", "night")]
    assert len(set(ids)) == 3
    assert ids == sorted(ids)


def test_a_dead_run_may_not_publish(store: ReleaseStore, instance: Path, make_candidate: MakeCandidate) -> None:
    candidate = make_candidate()
    store.restore(RunToken("night", 2), reason="the task was killed")
    for try_number in (1, 2):
        with pytest.raises(ReleaseError, match=r"declared dead.*the task was killed.*new try"):
            store.publish(candidate, RunToken("night", try_number))
    assert store.releases() == []
    assert store.publish(candidate, RunToken("night", 3)).switched
    with pytest.raises(ReleaseError, match="declared dead"):
        store.publish(candidate, RunToken("night", 2))


def test_an_outlived_try_may_not_publish_over_a_later_one(store: ReleaseStore, make_candidate: MakeCandidate) -> None:
    store.publish(make_candidate(), RunToken("night", 2))
    with pytest.raises(ReleaseError, match="try 2 has published, try 1 comes too late"):
        store.publish(make_candidate(model="other"), RunToken("night", 1))
