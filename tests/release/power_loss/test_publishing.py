"""Power cuts while publishing, also after a kill and a retry: old or new is live, and the next try goes through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from ml.release import Candidate, Published, ReleaseError, ReleaseStore, RunToken
from ml.release.journal import RESERVED, Event
from tests.release.conftest import DATE, MakeCandidate, Publish
from tests.release.power import Call
from tests.release.power_loss.conftest import FIRST, SECOND, Found, Lab, live_and_whole, open_store

# The quick one first: the mutation check stops at the first red.
PUBLISH = (
    "over",
    pytest.param("first", marks=pytest.mark.slow),
    pytest.param("archived", marks=pytest.mark.slow),
    pytest.param("collect", marks=pytest.mark.slow),
)


@dataclass(frozen=True)
class Night:
    """A candidate on its way over `before`, and the release it becomes or would become."""

    candidate: Candidate
    before: str | None
    archived: bool = False

    def publish(self, token: RunToken) -> Call:
        return "publish", (self.candidate, token), {}

    def look(self, found: Found, published: Published) -> str | None:
        """Old or new before it has returned, only what was promised afterwards."""
        new = self.before if self.archived else published.release_id
        live = found.live(before=self.before, after=new)
        if live == published.release_id:
            assert found.knows(Event.INTENT, live)
        if found.moment.returned:
            assert published.release_id in found.store.ids()
            assert found.store.get(published.release_id).id == published.release_id
            for link in ("analytics.duckdb", "data/claims_ml_scores.parquet"):
                assert (found.instance / link).exists()
        return live

    def look_and_retry(self, found: Found, published: Published) -> None:
        """Whatever is found, the run's next try goes through, before and after another run has recovered."""
        live = self.look(found, published)
        # The same run tries again at once, on what is there.
        at_once = open_store(found.another())
        self._retry(at_once)
        restored = at_once.restore(SECOND, reason="QC failed")
        assert restored.live == live_and_whole(at_once) == self.before

        # Another run clears up first: the dead run's QC never passed.
        recovered = found.store.recover(current_run="the next one")
        assert (recovered.live, recovered.damage) == (self.before, ())
        assert live_and_whole(found.store) == self.before
        assert not found.store.recover(current_run="the next one").restored
        if live == published.release_id:
            with pytest.raises(ReleaseError, match="declared dead"):
                found.store.publish(self.candidate, FIRST)
        self._retry(found.store)

    def _retry(self, store: ReleaseStore) -> None:
        again = store.publish(self.candidate, SECOND)
        assert (again.switched, again.previous) == (not self.archived, self.before)
        assert live_and_whole(store) == (self.before if self.archived else again.release_id)
        assert store.verify(again.release_id) == []


@pytest.fixture
def night(request: pytest.FixtureRequest, publish: Publish, make_candidate: MakeCandidate) -> Night:
    """A night that publishes for the first time, over another release, an archived one, or one that collects."""
    if request.param == "first":
        return Night(make_candidate(model="night"), None)
    now = datetime.now(UTC)
    if request.param == "collect":
        for days in range(9, 5, -1):
            publish(f"night{days}", now=now - timedelta(days=days))
    good = publish("good", now=now - timedelta(days=5)).release_id
    archived = request.param == "archived"
    return Night(make_candidate(model="night", day=DATE - timedelta(days=archived)), good, archived)


@pytest.mark.parametrize("night", PUBLISH, indirect=True)
def test_publish(lab: Lab, night: Night) -> None:
    take = lab.play(night.publish(FIRST))
    lab.survive(take.moments, partial(night.look_and_retry, published=take.outcomes[0]))


@pytest.mark.parametrize("night", PUBLISH, indirect=True)
def test_publish_killed_then_tried_again(lab: Lab, night: Night) -> None:
    """Only a process died at first; the next one may not build on what it sees but what is not on disk yet."""
    for again in lab.killed_then(lab.play(night.publish(FIRST)), night.publish(SECOND)):

        def check(found: Found, published: Published = again.outcomes[0]) -> None:
            night.look(found, published)
            assert found.store.recover(current_run="the next one").live == night.before

        lab.survive(again.moments[-1:], check, seeds=0)


def test_the_journals_reserve_is_whole_again_after_the_next_publish(lab: Lab, make_candidate: MakeCandidate) -> None:
    """A power cut may leave its name without its content; an empty file keeps no room free."""
    candidate = make_candidate(model="night")
    take = lab.play(("publish", (candidate, FIRST), {}))

    def check(found: Found) -> None:
        found.store.recover(current_run="the next one")
        found.store.publish(candidate, SECOND)
        assert (found.instance / "releases" / ".reserve").stat().st_size == RESERVED

    lab.survive(take.moments[-1:], check)
