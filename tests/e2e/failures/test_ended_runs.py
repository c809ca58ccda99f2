"""A run that is ended from outside while QC looks: by its timeout, or by a person who marks it or its task."""

from __future__ import annotations

import time

import pytest

from tests.e2e.failures.stage import SCORING, WATCHDOG, Stage

pytestmark = pytest.mark.e2e_slow


def sql(stage: Stage, statement: str) -> None:
    """Run a statement on the metadata."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(stage.airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(statement))


def test_dagrun_timeout(stage: Stage) -> None:
    """Six hours pass at once, in the metadata."""
    before = stage.live
    stage.order("quality_check", "slow", step="check_quality", seconds=120)
    run = stage.trigger()
    stage.met()
    assert stage.live != before
    moved = time.time()
    sql(stage, f"UPDATE dag_run SET start_date = start_date - interval '7 hours' WHERE run_id = '{run.run_id}'")
    assert stage.end(run) == "failed"
    stage.until(lambda: stage.live == before, 60, "not restored")
    restored = time.time()
    came = stage.one_alert(run, "[GAGAL]", "ditarik, rilis sebelumnya tayang lagi")
    stage.measured("dagrun timeout", restored=restored - moved, alert=came - moved)
    stage.follow(run)


def test_mark_task_failed(stage: Stage) -> None:
    before = stage.live
    stage.order("quality_check", "slow", step="check_quality", seconds=120)
    run = stage.trigger()
    stage.met()
    marked = time.time()
    path = f"/dags/{SCORING}/dagRuns/{run.run_id}/taskInstances/quality_check"
    stage.airflow.client._send("PATCH", path, json={"new_state": "failed"})
    stage.until(lambda: stage.live == before, 60, "not restored")
    restored = time.time()
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, "ditarik, rilis sebelumnya tayang lagi")
    stage.measured("mark task failed", restored=restored - marked, alert=came - marked)


def test_mark_task_success(stage: Stage) -> None:
    """Nobody has checked the release then: what comes after the task finds that it has left nothing."""
    before = stage.live
    stage.order("quality_check", "slow", step="check_quality", seconds=120)
    run = stage.trigger()
    stage.met()
    marked = time.time()
    path = f"/dags/{SCORING}/dagRuns/{run.run_id}/taskInstances/quality_check"
    stage.airflow.client._send("PATCH", path, json={"new_state": "success"})
    stage.until(lambda: stage.live == before, 60, "not restored")
    restored = time.time()
    assert stage.end(run) == "failed"
    says = ("quality_check left no result: it was marked as success", "ditarik, rilis sebelumnya tayang lagi")
    came = stage.one_alert(run, *says)
    stage.measured("mark task success", restored=restored - marked, alert=came - marked)
    stage.follow(run)


def test_mark_run_failed(stage: Stage) -> None:
    """Nothing fires; the watchdog (every five minutes) or the next run closes the gap."""
    before = stage.live
    stage.order("quality_check", "slow", step="check_quality", seconds=120)
    run = stage.trigger()
    stage.met()
    stage.airflow.client.mark(SCORING, run.run_id, "failed")
    time.sleep(10)
    assert stage.live != before, "Airflow runs nothing for it"
    assert stage.alerts(run) == []
    begun = time.time()
    assert stage.end(stage.trigger(WATCHDOG)) == "success"
    assert stage.live == before
    restored = time.time()
    came = stage.one_alert(run, "ditarik, rilis sebelumnya tayang lagi")
    assert stage.end(stage.trigger(WATCHDOG)) == "success"
    assert len(stage.alerts(run)) == 1, "it is told once"
    stage.measured("mark run failed, from the watchdog's start", restored=restored - begun, alert=came - begun)
    stage.follow(run)
