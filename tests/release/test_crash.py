"""SIGKILL before and after every step: readers see one whole release, recover clears up, a retry goes through.

The kill is a real one, in a process of its own. It shows what the order of the steps is worth, not what fsync is worth:
the page cache outlives a process (docs/publishing.md, "What is not proven").
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ml.release import ReleaseError, ReleaseStore, RunToken
from ml.release.steps import Step
from tests.release import processes
from tests.release.conftest import MakeCandidate, Publish

STEPS = list(Step)
PUBLISH = STEPS[: STEPS.index(Step.BACK_DECIDE)]
BACK = [step for step in STEPS if step.startswith("back_")]
COLLECT = [step for step in STEPS if step.startswith("collect_")]


def around(steps: list[Step]) -> list[str]:
    """The points before and after each step."""
    return [f"{moment}:{step}" for step in steps for moment in ("before", "after")]


def past(point: str, step: Step) -> bool:
    """Whether whoever dies at the point has done the step."""
    moment, _, name = point.partition(":")
    return STEPS.index(Step(name)) >= STEPS.index(step) + (moment == "before")


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
        if path.name not in (".lock", ".reserve") and not path.name.startswith(".waiting-")
    ]


@pytest.mark.parametrize("point", around(PUBLISH))
def test_killed_while_publishing(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate, point: str
) -> None:
    """Red when the switch comes before the rename, when the intent is not journalled, or when nothing is swept."""
    good = publish("good")
    candidate, token = make_candidate(model="night"), RunToken("night", 1)
    assert processes.run(processes.publish, instance, candidate, token, point) == KILLED
    switched = past(point, Step.SWITCH)

    live = whole_live_release(store)
    assert (live != good.release_id) == switched
    assert len(store.releases()) == (2 if past(point, Step.RENAME) else 1)

    recovered = store.recover(current_run="the next one")
    assert recovered.restored == switched
    assert whole_live_release(store) == good.release_id
    assert leftovers(instance) == []
    assert not store.recover(current_run="the next one").restored
    assert not store.restore(token, reason="a callback after all").restored

    with pytest.raises(ReleaseError, match="declared dead"):
        store.publish(candidate, token)
    published = store.publish(candidate, RunToken("night", 2))
    assert whole_live_release(store) == published.release_id
    assert published.previous == good.release_id


@pytest.mark.parametrize("point", around(PUBLISH))
def test_killed_while_publishing_and_tried_again_at_once(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate, point: str
) -> None:
    """Red when a run does not recognise what it has switched itself: the backup would then be its own scores."""
    good = publish("good")
    candidate = make_candidate(model="night")
    assert processes.run(processes.publish, instance, candidate, RunToken("night", 1), point) == KILLED
    published = store.publish(candidate, RunToken("night", 2))
    assert whole_live_release(store) == published.release_id
    assert published.previous == good.release_id
    assert published.release_id.endswith("t01") == past(point, Step.SWITCH)
    assert leftovers(instance) == []
    assert store.restore(RunToken("night", 2), reason="QC failed").live == good.release_id


@pytest.mark.parametrize("point", around(PUBLISH))
def test_the_first_publish_ever_is_killed(
    store: ReleaseStore, instance: Path, make_candidate: MakeCandidate, point: str
) -> None:
    candidate = make_candidate()
    assert processes.run(processes.publish, instance, candidate, RunToken("night", 1), point) == KILLED
    assert (store.live() is not None) == past(point, Step.SWITCH)
    assert store.recover().live is None
    assert store.live() is None
    assert store.publish(candidate, RunToken("night", 2)).previous is None


@pytest.mark.parametrize("point", around(COLLECT))
def test_killed_while_collecting(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate, point: str
) -> None:
    """Red when a release is deleted under its own name: a reader of the list would find half of it."""
    now = datetime.now(UTC)
    old = [publish(f"night{day}", now=now - timedelta(days=9 - day)).release_id for day in range(6)]
    candidate = make_candidate(model="tonight")
    assert processes.run(processes.publish, instance, candidate, RunToken("tonight", 1), point) == KILLED

    listed = [release.id for release in store.releases()]
    assert [store.verify(release_id) for release_id in listed] == [[]] * len(listed)
    assert (old[0] in listed) == (point == "before:collect_rename")
    assert set(old[1:]) < set(listed)
    whole_live_release(store)

    assert store.recover(current_run="the next one").live == old[-1]
    assert leftovers(instance) == []
    # The next publish ends what this one began.
    impatient = ReleaseStore(instance, keep=1, threads=1, memory_limit="500MB")
    published = impatient.publish(candidate, RunToken("tonight", 2))
    kept = {release.id for release in store.releases()}
    assert set(old) & kept == set(old[-3:])
    assert whole_live_release(store) == published.release_id


@pytest.mark.parametrize("point", around(BACK))
@pytest.mark.parametrize("by", ["restore", "recover"])
def test_killed_while_stepping_back(
    store: ReleaseStore, instance: Path, publish: Publish, make_candidate: MakeCandidate, point: str, by: str
) -> None:
    """Red when the switch comes before the fence is in the journal."""
    publish("older")
    good, failed = publish("good"), publish("failed", qc=None)
    if by == "restore":
        assert processes.run(processes.restore, instance, "failed", point) == KILLED
    else:
        assert processes.run(processes.recover, instance, point) == KILLED
    fenced, switched = past(point, Step.BACK_DECIDE), past(point, Step.BACK_SWITCH)
    assert whole_live_release(store) == (good if switched else failed).release_id
    if fenced:
        with pytest.raises(ReleaseError, match="declared dead"):
            store.publish(make_candidate(model="failed"), RunToken("failed", 1))

    again = store.restore("failed", reason="the next callback")
    assert again.restored == (not switched)
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
    point = f"after:{Step.BACK_DECIDE}"
    assert processes.run(processes.restore, instance, RunToken("night", 1), point) == KILLED
    second = store.publish(candidate, RunToken("night", 2))
    assert second.release_id != first.release_id
    assert store.restore("night", reason="QC failed").live == good.release_id


@pytest.mark.parametrize("point", around([Step.BACK_DECIDE, Step.BACK_SWITCH]))
def test_killed_while_rolling_back(store: ReleaseStore, instance: Path, publish: Publish, point: str) -> None:
    older, live = publish("older"), publish("live")
    assert processes.run(processes.rollback, instance, older.release_id, point) == KILLED
    expected = older if past(point, Step.BACK_SWITCH) else live
    assert whole_live_release(store) == expected.release_id
    assert not store.recover().restored
    store.rollback(older.release_id, reason="again", who="ops")
    assert whole_live_release(store) == older.release_id


def test_failpoints_are_not_even_loaded_unless_asked_for() -> None:
    """In the environment they work, and what they cannot understand is refused; without it the code is not there."""
    program = "import ml.release, sys; print('ml.release.failpoint' in sys.modules)"

    def start(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)

    assert start().stdout == "False\n"
    assert start(CLAIMS_RELEASE_FAILPOINT="before:switch").stdout == "True\n"
    assert "it must be <before|after>:<step>" in start(CLAIMS_RELEASE_FAILPOINT="switch").stderr


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
