"""Power cuts in restore, recover and rollback, and while a QC verdict is recorded: what was decided stays decided."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ml.release import Candidate, ReleaseError, ReleaseStore
from ml.release.journal import Event
from tests.release.conftest import MakeCandidate, Publish
from tests.release.power import Call
from tests.release.power_loss.conftest import FIRST, SECOND, Found, Lab, live_and_whole


@dataclass(frozen=True)
class Back:
    """A failed night on top of `good`, and a way back."""

    candidate: Candidate
    good: str
    failed: str
    calls: tuple[Call, ...]

    def check(self, found: Found) -> None:
        """Never anything but the two; once back, the failed run is fenced, and stays so."""
        live = found.live(before=self.failed, after=self.good, calls=len(self.calls))
        if live == self.good:
            with pytest.raises(ReleaseError, match="declared dead"):
                found.store.publish(self.candidate, FIRST)
        if found.moment.returned and len(self.calls) > 1:
            assert found.store.qc_passed(self.failed) is False
        recovered = found.store.recover(current_run="the next one")
        assert (recovered.live, recovered.damage) == (self.good, ())
        assert not found.store.restore("night", reason="late callback").restored
        assert live_and_whole(found.store) == self.good
        with pytest.raises(ReleaseError, match="declared dead"):
            found.store.publish(self.candidate, FIRST)
        again = found.store.publish(self.candidate, SECOND)
        assert again.release_id != self.failed
        assert (live_and_whole(found.store), again.previous) == (again.release_id, self.good)


WAYS_BACK: dict[str, tuple[Call, ...]] = {
    "restore": (("restore", (FIRST,), {"reason": "QC failed"}),),
    "recover": (("recover", (), {"current_run": "the next one"}),),
}


@pytest.fixture
def back(request: pytest.FixtureRequest, store: ReleaseStore, publish: Publish, make_candidate: MakeCandidate) -> Back:
    publish("older")
    good = publish("good").release_id
    candidate = make_candidate(model="night")
    failed = store.publish(candidate, FIRST).release_id
    calls = WAYS_BACK["restore" if request.param == "qc and restore" else request.param]
    if request.param == "qc and restore":
        calls = (("record_qc", (failed,), {"passed": False, "log": None}), *calls)
    return Back(candidate, good, failed, calls)


@pytest.mark.parametrize("back", [*WAYS_BACK, "qc and restore"], indirect=True)
def test_stepping_back(lab: Lab, back: Back) -> None:
    lab.survive(lab.play(*back.calls).moments, back.check)


@pytest.mark.parametrize("back", WAYS_BACK, indirect=True)
@pytest.mark.parametrize("by", WAYS_BACK)
def test_stepping_back_killed_then_again(lab: Lab, back: Back, by: str) -> None:
    """The second one finds nothing to do, and what it says is done must be on disk."""
    for again in lab.killed_then(lab.play(*back.calls), *WAYS_BACK[by]):
        lab.survive(again.moments[-1:], back.check)


@pytest.mark.parametrize("killed", [False, True])
def test_a_fence_alone(lab: Lab, publish: Publish, make_candidate: MakeCandidate, killed: bool) -> None:
    """Nothing of the run is live; once restore has returned, its dead try is refused."""
    good = publish("good").release_id
    candidate = make_candidate(model="night")
    take = lab.play(*WAYS_BACK["restore"])

    def check(found: Found) -> None:
        found.live(before=good, after=good)
        if found.moment.returned:
            with pytest.raises(ReleaseError, match="declared dead"):
                found.store.publish(candidate, FIRST)
        assert found.store.publish(candidate, SECOND).previous == good

    if not killed:
        lab.survive(take.moments, check)
        return
    for again in lab.killed_then(take, *WAYS_BACK["restore"]):
        lab.survive(again.moments[-1:], check)


def test_stepping_back_to_nothing(lab: Lab, publish: Publish) -> None:
    only = publish("night", qc=None).release_id
    take = lab.play(*WAYS_BACK["restore"])

    def check(found: Found) -> None:
        found.live(before=only, after=None)
        assert found.store.recover(current_run="the next one").live is None
        assert live_and_whole(found.store) is None

    lab.survive(take.moments, check)


@pytest.mark.parametrize("killed", [False, True])
def test_rollback(lab: Lab, publish: Publish, killed: bool) -> None:
    """The operator's word is on disk before the switch is: recover leaves what he chose."""
    older, live = publish("older").release_id, publish("live").release_id
    call: Call = ("rollback", (older,), {"reason": "test", "who": "ops"})
    take = lab.play(call)

    def check(found: Found) -> None:
        now = found.live(before=live, after=older)
        assert now != older or found.knows(Event.ROLLED_BACK, older)
        recovered = found.store.recover(current_run="the next one")
        assert (recovered.restored, recovered.live, recovered.damage) == (False, now, ())
        found.store.rollback(older, reason="again", who="ops")
        assert live_and_whole(found.store) == older

    if not killed:
        lab.survive(take.moments, check)
        return
    for again in lab.killed_then(take, call):
        lab.survive(again.moments[-1:], check)


@pytest.mark.parametrize("passed", [True, False])
def test_a_qc_verdict(lab: Lab, publish: Publish, passed: bool) -> None:
    """Once the verdict was recorded, the next run's recover goes by it."""
    good, new = publish("good").release_id, publish("night", qc=None).release_id
    take = lab.play(("record_qc", (new,), {"passed": passed, "log": "log.json"}))

    def check(found: Found) -> None:
        found.live(before=new, after=new)
        verdict = found.store.qc_passed(new)
        assert verdict in ((passed,) if found.moment.returned else (None, passed))
        assert found.store.recover(current_run="the next one").live == (new if verdict else good)

    lab.survive(take.moments, check)


def test_a_verdict_whose_writer_was_killed_is_on_disk_when_somebody_went_by_it(lab: Lab, publish: Publish) -> None:
    publish("good")
    new = publish("night", qc=None).release_id
    take = lab.play(("record_qc", (new,), {"passed": True, "log": None}))

    def check(found: Found) -> None:
        found.live(before=new, after=new)
        assert found.store.qc_passed(new) is told  # "it passed its QC and stays"

    for again in lab.killed_then(take, *WAYS_BACK["restore"]):
        [restored] = again.outcomes
        told = None if restored.restored else True
        if told:
            lab.survive(again.moments[-1:], check)
