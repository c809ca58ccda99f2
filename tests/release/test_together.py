"""Processes halted (SIGSTOP) where it hurts: restore while publishing, and tasks that outlive their run."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ml.release import ReleaseError, ReleaseStore, RunToken
from tests.release import processes
from tests.release.conftest import MakeCandidate, Publish

REFUSED = 1  # exit code of a process that ended with an exception


def live_id(store: ReleaseStore) -> str:
    """The id of the live release, which is whole."""
    live = store.live()
    assert live is not None
    processes.assert_whole(live.database, live.scores, live.id, live.manifest.model_version)
    return live.id


@pytest.mark.parametrize("point", ["after:lock", "before:build", "after:rename", "before:switch", "after:switch"])
def test_restore_while_publishing_waits_and_then_takes_it_back(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate, point: str
) -> None:
    """The callback of a run whose publishing task is still alive: it must not restore before that task switches."""
    good = publish("good")
    restored = []
    with processes.halted_at(point, instance, make_candidate(model="night"), RunToken("night", 1)) as publisher:
        with pytest.raises(ReleaseError, match="was held by another process"):
            ReleaseStore(instance, lock_timeout=0.2).restore("night", reason="impatient")
        callback = threading.Thread(target=lambda: restored.append(store.restore("night", reason="the run failed")))
        callback.start()
        assert publisher.go_on() == 0
        callback.join(30)
    assert (restored[0].restored, restored[0].live) == (True, good.release_id)
    assert live_id(store) == good.release_id
    assert "night" in str(restored[0].was)


def test_a_task_that_outlives_its_supervisor_cannot_switch(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate
) -> None:
    """Red without the fence: the supervisor is dead, its callback has run, the next night is live, and then the
    orphan wakes up."""
    publish("good")
    candidate = make_candidate(model="night")
    with processes.halted_at("before:lock", instance, candidate, RunToken("night", 1)) as orphan:
        assert not store.restore(RunToken("night", 1), reason="the supervisor was killed").restored
        newer = publish("newer")
        assert orphan.go_on() == REFUSED
    assert live_id(store) == newer.release_id
    # The run itself may be repaired: its next try is another one.
    assert store.publish(candidate, RunToken("night", 2)).switched


def test_nobody_waits_for_ever_for_a_publisher_that_hangs(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate
) -> None:
    """Readers do not notice; whoever writes says who is in the way; when it is killed, the next one clears up."""
    good = publish("good")
    impatient = ReleaseStore(instance, lock_timeout=0.1)
    with processes.halted_at("before:switch", instance, make_candidate(model="night"), RunToken("night", 1)):
        assert live_id(store) == good.release_id
        for attempt in (
            lambda: impatient.recover(),
            lambda: impatient.rollback(None, reason="test", who="ops"),
            lambda: impatient.record_qc(good.release_id, passed=True, log=None),
        ):
            with pytest.raises(ReleaseError, match=r"held by another process for 0\.1 s"):
                attempt()
    assert not store.recover().restored
    assert live_id(store) == good.release_id
    assert publish("newer").previous == good.release_id
