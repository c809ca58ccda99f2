"""A task that raises, whose QC fails, that is killed, that has no memory or no time left."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psutil
import pytest

from ml.nightly import store_of
from tests.e2e.failures.stage import HEARTBEAT_TIMEOUT, NO_MODEL, Stage

pytestmark = pytest.mark.e2e_slow


def test_task_raises(stage: Stage) -> None:
    before = stage.live
    begun = time.time()
    run = stage.trigger(model_version=NO_MODEL)
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, "[GAGAL]", "score_claims", NO_MODEL, "belum menayangkan apa pun", "airflow dags clear")
    assert stage.live == before
    stage.measured("task raises", alert_after_trigger=came - begun)


def test_qc_fails(stage: Stage) -> None:
    before = stage.live
    stage.order("quality_check", "stop")
    run = stage.trigger()
    met = stage.met()
    release = stage.live
    assert release != before, "QC looks at what readers see"
    # Readers' own file is spoiled before QC looks at it.
    scores = stage.settings.instance_dir / "releases" / str(release) / "claims_ml_scores.parquet"
    content = scores.read_bytes()
    scores.chmod(0o644)
    scores.write_bytes(content[: len(content) // 2])
    os.kill(met["pid"], signal.SIGCONT)
    failed = time.time()
    assert stage.end(run) == "failed"
    stage.until(lambda: stage.live == before, 30, "not restored")
    came = stage.one_alert(run, "quality_check", "ditarik, rilis sebelumnya tayang lagi")
    stage.measured("QC fails", alert=came - failed)
    stage.follow(run)


@pytest.mark.parametrize(
    ("task", "fault", "says"),
    [
        ("backup_and_swap", {"action": "failpoint", "point": "after:build:kill"}, "belum menayangkan apa pun"),
        ("quality_check", {"action": "kill"}, "ditarik, rilis sebelumnya tayang lagi"),
    ],
)
def test_kill_9_of_a_task_in_every_try(stage: Stage, task: str, fault: dict[str, str], says: str) -> None:
    before = stage.live
    stage.order(task, times=3, **fault)
    run = stage.trigger()
    last = stage.met(3)["at"]
    stage.until(lambda: stage.live == before, 60, "not restored")
    restored = time.time()
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, "[GAGAL]", f": {task}", "berakhir tanpa pesan", says)
    assert stage.live == before
    assert stage.states(run)["restore_on_failure"] == "failed"
    stage.measured(f"kill -9 of {task}, three times", restored=restored - last, alert=came - last)


def test_kill_9_once_is_healed_by_the_retry(stage: Stage) -> None:
    before, alerts = stage.live, stage.bad_news
    stage.order("backup_and_swap", "failpoint", point="after:switch:kill")
    run = stage.trigger()
    killed = stage.met()["at"]
    assert stage.end(run) == "success"
    assert stage.live != before
    assert stage.bad_news == alerts, "nobody is woken by what heals itself"
    stage.measured("kill -9 of the task once", success=time.time() - killed)


def test_kill_9_of_the_supervisor_with_the_orphan_alive(stage: Stage) -> None:
    """The orphan goes on publishing when the next try has: it recognises that and changes nothing."""
    before = stage.live
    stage.order("backup_and_swap", "failpoint", point="before:lock:stop")
    run = stage.trigger()
    met = stage.met()
    stage.until(lambda: psutil.Process(met["pid"]).status() == psutil.STATUS_STOPPED, 30, "not at the lock")
    os.kill(met["supervisor"], signal.SIGKILL)
    killed = time.time()
    assert stage.end(run) == "success", stage.states(run)
    done = time.time()
    after = stage.live
    assert after != before
    with suppress(ProcessLookupError):
        os.kill(met["pid"], signal.SIGCONT)
    time.sleep(5)
    assert stage.live == after, "the orphan has changed nothing"
    assert store_of(stage.settings).verify(str(after)) == []
    stage.measured("kill -9 of the supervisor", success=done - killed, of_which_heartbeat=HEARTBEAT_TIMEOUT)


def test_out_of_memory(stage: Stage) -> None:
    before = stage.live
    stage.order("score_claims", "memory", times=3, megabytes=150)
    run = stage.trigger()
    last = stage.met(3)["at"]
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, ": score_claims", "belum menayangkan apa pun")
    assert stage.live == before
    stage.measured("out of memory", alert=came - last)


def test_execution_timeout(stage: Stage) -> None:
    before = stage.live
    stage.order("score_claims", "slow", times=3, step="score", seconds=60, timeout=3)
    run = stage.trigger()
    last = stage.met(3)["at"]
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, ": score_claims", "Timeout")
    assert stage.live == before
    stage.measured("execution timeout (3 s)", alert=came - last)
