"""SIGKILL after every step: readers always see one whole release, recover clears up, and a retry goes through.

The kill is a real one, in a process of its own. It shows what the order of the steps is worth, not what fsync is worth:
the page cache outlives a process (docs/publishing.md, "What is not proven").
"""

from __future__ import annotations

import json
import signal
from multiprocessing.queues import Queue
from pathlib import Path

import pytest

from ml.release import ReleaseError, ReleaseStore, RunToken
from ml.release.steps import Step
from tests.release import processes
from tests.release.conftest import MakeCandidate, Publish

PUBLISH = [step for step in Step if not step.startswith("back_")]
BACK = [Step.BACK_DECIDE, Step.BACK_SWITCH, Step.BACK_ACKNOWLEDGE]
SWITCHED = PUBLISH[PUBLISH.index(Step.SWITCH) :]
BUILT = PUBLISH[PUBLISH.index(Step.RENAME) :]
KILLED = -signal.SIGKILL


def whole_live_release(store: ReleaseStore) -> str:
    """The id of the live release, which a reader finds whole whatever has happened."""
    live = store.live()
    assert live is not None
    processes.assert_whole(live.database, live.scores, live.id, live.manifest.model_version)
    assert store.verify(live.id) == []
    return live.id


def leftovers(instance: Path) -> list[str]:
    return [
        path.name
        for path in [*instance.glob(".*"), *(instance / "releases").glob(".*")]
        if path.name != ".lock" and not path.name.startswith(".waiting-")
    ]


@pytest.mark.parametrize("step", PUBLISH)
def test_killed_while_publishing(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate, step: Step
) -> None:
    """Red when the switch comes before the rename, when the intent is not journalled, or when nothing is swept."""
    good = publish("good")
    candidate, token = make_candidate(model="night"), RunToken("night", 1)
    assert processes.run(processes.publish, instance, candidate, token, step) == KILLED

    live = whole_live_release(store)
    assert (live != good.release_id) == (step in SWITCHED)
    assert len(store.releases()) == (2 if step in BUILT else 1)

    recovered = store.recover(current_run="the next one")
    assert recovered.restored == (step in SWITCHED)
    assert whole_live_release(store) == good.release_id
    assert leftovers(instance) == []
    assert not store.recover(current_run="the next one").restored
    assert not store.restore(token, reason="a callback after all").restored

    with pytest.raises(ReleaseError, match="declared dead"):
        store.publish(candidate, token)
    published = store.publish(candidate, RunToken("night", 2))
    assert whole_live_release(store) == published.release_id
    assert published.previous == good.release_id


@pytest.mark.parametrize("step", [Step.BUILD, Step.SEAL, Step.RENAME, Step.INTENT, Step.SWITCH, Step.ACKNOWLEDGE])
def test_killed_while_publishing_and_tried_again_at_once(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate, step: Step
) -> None:
    """Red when a run does not recognise what it has switched itself: the backup would then be its own scores."""
    good = publish("good")
    candidate = make_candidate(model="night")
    assert processes.run(processes.publish, instance, candidate, RunToken("night", 1), step) == KILLED
    published = store.publish(candidate, RunToken("night", 2))
    assert whole_live_release(store) == published.release_id
    assert published.previous == good.release_id
    assert published.release_id.endswith("t01") == (step in SWITCHED)
    assert leftovers(instance) == []
    assert store.restore(RunToken("night", 2), reason="QC failed").live == good.release_id


@pytest.mark.parametrize("step", [Step.BUILD, Step.INTENT, Step.SWITCH])
def test_the_first_publish_ever_is_killed(
    store: ReleaseStore, instance: Path, make_candidate: MakeCandidate, step: Step
) -> None:
    candidate = make_candidate()
    assert processes.run(processes.publish, instance, candidate, RunToken("night", 1), step) == KILLED
    assert (store.live() is not None) == (step is Step.SWITCH)
    assert store.recover().live is None
    assert store.live() is None
    assert store.publish(candidate, RunToken("night", 2)).previous is None


@pytest.mark.parametrize("step", BACK)
@pytest.mark.parametrize("by", ["restore", "recover"])
def test_killed_while_stepping_back(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate, step: Step, by: str
) -> None:
    """Red when the switch comes before the fence is in the journal."""
    publish("older")
    good, failed = publish("good"), publish("failed", qc=None)
    if by == "restore":
        assert processes.run(processes.restore, instance, "failed", step) == KILLED
    else:
        assert processes.run(processes.recover, instance, step) == KILLED
    assert whole_live_release(store) == (failed if step is Step.BACK_DECIDE else good).release_id
    with pytest.raises(ReleaseError, match="declared dead"):
        store.publish(make_candidate(model="failed"), RunToken("failed", 1))

    again = store.restore("failed", reason="the next callback")
    assert again.restored == (step is Step.BACK_DECIDE)
    assert whole_live_release(store) == good.release_id
    assert not store.restore("failed", reason="and the next").restored
    assert not store.recover(current_run="tonight").restored
    assert whole_live_release(store) == good.release_id


def test_a_retry_does_not_take_over_what_was_given_up(
    store: ReleaseStore, instance: Path, make_candidate: MakeCandidate, publish: Publish
) -> None:
    """Killed between the fence and the switch, then tried again with the same candidate: given up stays given up."""
    good = publish("good")
    candidate = make_candidate(model="night")
    first = store.publish(candidate, RunToken("night", 1))
    assert processes.run(processes.restore, instance, RunToken("night", 1), Step.BACK_DECIDE) == KILLED
    second = store.publish(candidate, RunToken("night", 2))
    assert second.release_id != first.release_id
    assert store.restore("night", reason="QC failed").live == good.release_id


@pytest.mark.parametrize("step", [Step.BACK_DECIDE, Step.BACK_SWITCH])
def test_killed_while_rolling_back(store: ReleaseStore, instance: Path, publish: Publish, step: Step) -> None:
    older, live = publish("older"), publish("live")
    assert processes.run(processes.rollback, instance, older.release_id, step) == KILLED
    expected = live if step is Step.BACK_DECIDE else older
    assert whole_live_release(store) == expected.release_id
    assert not store.recover().restored
    store.rollback(older.release_id, reason="again", who="ops")
    assert whole_live_release(store) == older.release_id


def test_two_publishers_at_once(store: ReleaseStore, instance: Path, make_candidate: MakeCandidate) -> None:
    """Red without the lock: both would build on the same previous release."""
    start = processes.SPAWN.Barrier(2)
    publishers = [
        processes.SPAWN.Process(
            target=processes.compete,
            daemon=True,
            args=(instance, [make_candidate(model=f"{run}{number}") for number in range(4)], run, start),
        )
        for run in ("one", "two")
    ]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join(60)
        assert publisher.exitcode == 0
    assert leftovers(instance) == []
    releases = {release.id: release for release in store.releases()}
    assert len(releases) == 8
    # One line of descent from the live release to the first, through all of them.
    line, at = [], whole_live_release(store)
    while at is not None:
        line.append(at)
        assert store.verify(at) == []
        at = releases[at].manifest.previous
    assert len(line) == len(set(line)) == 8
    journal = [json.loads(text) for text in (instance / "releases" / "journal.jsonl").read_text().splitlines()]
    assert [record["event"] for record in journal] == ["intent", "switched"] * 8


def test_a_publisher_does_not_wait_for_ever(instance: Path, make_candidate: MakeCandidate) -> None:
    impatient = ReleaseStore(instance, lock_timeout=0.1)
    with ReleaseStore(instance)._room.locked(), pytest.raises(ReleaseError, match="was held by another process"):
        impatient.publish(make_candidate(), RunToken("night", 1))
    assert impatient.publish(make_candidate(), RunToken("night", 1)).switched


def test_readers_during_fifty_switches(store: ReleaseStore, instance: Path, publish: Publish) -> None:
    """Red when the link is removed before it is made again, or when it is switched before its release is complete."""
    older, good = publish("older"), publish("good")
    with Reader(instance) as one, Reader(instance) as two:
        published = set()
        for number in range(5):
            published.add(publish(f"night{number}", qc=None).release_id)
            one.wait_for_a_new_read()
            two.wait_for_a_new_read()
            assert store.restore(f"night{number}", reason="QC failed").live == good.release_id
        for _ in range(20):
            assert store.rollback(older.release_id, reason="test", who="ops").restored
            assert store.rollback(good.release_id, reason="test", who="ops").restored
    for seen in (one.seen, two.seen):
        assert isinstance(seen, set), seen
        assert seen >= published


class Reader:
    """A process that reads as fast as it can until the block ends; then `seen` has what it saw, or what went wrong."""

    def __init__(self, instance: Path) -> None:
        self._reads, self._stop = processes.SPAWN.Semaphore(0), processes.SPAWN.Event()
        self._queue: Queue[object] = processes.SPAWN.Queue()
        arguments = (instance, self._reads, self._stop, self._queue)
        self._process = processes.SPAWN.Process(target=processes.read, args=arguments, daemon=True)
        self.seen: object = None

    def __enter__(self) -> Reader:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.seen = self._queue.get(timeout=60)
        self._process.join(60)

    def wait_for_a_new_read(self) -> None:
        """Return when a read that began after this call has ended (the one under way began before it)."""
        while self._reads.acquire(block=False):
            pass
        assert self._reads.acquire(timeout=60)
        assert self._reads.acquire(timeout=60)
