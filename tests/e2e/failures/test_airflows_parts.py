"""Scheduler, API server and metadata store go away and come back while a run goes on."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil
import pytest

from ops.local_airflow.heal import Healer
from ops.local_airflow.processes import marked_processes
from tests.e2e.failures.stage import Stage

pytestmark = pytest.mark.e2e_slow


@pytest.mark.parametrize("alone", [False, True], ids=["and its tasks", "alone"])
def test_scheduler_killed_and_restarted(stage: Stage, alone: bool) -> None:
    """Its workers and their tasks end with it in either case: orphans would hold what it had locked in the store."""
    before, alerts = stage.live, stage.bad_news
    stage.order("score_claims", "slow", step="score", seconds=10)
    run = stage.trigger()
    task = psutil.Process(stage.met()["pid"])
    scheduler = psutil.Process(stage.component("scheduler").process.pid)
    for process in [scheduler, *(() if alone else scheduler.children(recursive=True))]:
        with suppress(psutil.Error):
            process.kill()
    killed = time.time()
    time.sleep(3)
    assert (task in marked_processes(stage.airflow.run_dir)) == alone
    stage.airflow.restart(stage.component("scheduler"))
    assert task not in marked_processes(stage.airflow.run_dir)
    assert stage.end(run, 300) == "success"
    assert stage.live != before
    assert stage.bad_news == alerts
    stage.measured(
        f"scheduler {'alone' if alone else 'and its tasks'} killed and restarted", success=time.time() - killed
    )


def test_api_server_down(stage: Stage) -> None:
    before, alerts = stage.live, stage.bad_news
    stage.order("score_claims", "slow", step="score", seconds=5)
    run = stage.trigger()
    stage.met()
    server = psutil.Process(stage.component("api-server").process.pid)
    for process in [*server.children(recursive=True), server]:
        with suppress(psutil.Error):
            process.kill()
    killed = time.time()
    time.sleep(12)
    stage.airflow.restart(stage.component("api-server"))
    stage.until(lambda: stage.airflow.client.health(), 90, "the API server is not back")
    stage.airflow.client.wake_execution_api()
    assert stage.end(run, 300) == "success", stage.states(run)
    assert stage.live != before
    assert stage.bad_news == alerts
    stage.measured("API server down for 12 s", success=time.time() - killed)


def test_metadata_store_restarted(stage: Stage) -> None:
    before, alerts = stage.live, stage.bad_news
    stage.order("score_claims", "slow", step="score", seconds=5)
    run = stage.trigger()
    stage.met()
    store = stage.airflow._store
    assert store is not None
    stopped = time.time()
    store.stop()
    time.sleep(3)
    healer = Healer(stage.airflow, print, steady_seconds=0)  # for a container's restart policy and health check

    def over() -> bool:
        healer.look()
        return stage.airflow.client.run(run.dag_id, run.run_id).finished

    stage.until(over, 300, "the run does not end")
    assert stage.end(run) == "success", stage.states(run)
    assert stage.live != before
    assert stage.bad_news == alerts
    stage.measured("metadata store restarted", success=time.time() - stopped)
