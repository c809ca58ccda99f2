"""Scoring beside an ETL that really fails, retries or is cleared, and a whole night that starts by its schedules."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from ml.clock import etl_tick, now
from ml.nightly import store_of
from ml.release.manifest import data_date_of_id
from ml.settings import Settings
from ops.local_airflow import DagRun, LocalAirflow
from tests.e2e.conftest import ETL, SCORING, Operator, scoring_tick, tonight

pytestmark = [pytest.mark.e2e, pytest.mark.e2e_slow]

TIMEOUT = 400


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    """Without a file or folder, as long as it lasts."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        if path.exists():
            path.unlink()
        aside.rename(path)


def seconds_between(operator: Operator, etl: str, scoring: str) -> float:
    """From the end of the ETL's first failed task to the end of wait_for_etl."""
    [(seconds,)] = operator.sql(
        "SELECT extract(epoch FROM w.end_date - e.end_date) FROM task_instance w, task_instance e "
        "WHERE e.dag_id = %s AND e.run_id = %s AND e.state = 'failed' "
        "AND w.dag_id = %s AND w.run_id = %s AND w.task_id = 'wait_for_etl'",
        ETL, etl, SCORING, scoring,
    )  # fmt: skip
    return float(seconds)


def test_an_etl_that_fails_fails_scoring_within_a_minute_and_counts_when_it_is_cleared(operator: Operator) -> None:
    client, day = operator.airflow.client, date(2026, 1, 10)
    [diagnoses] = operator.settings.raw.glob("*diagnosissekunder*")
    with moved_away(diagnoses):
        operator.pause(ETL, True)
        etl = operator.etl_run(day)
        scoring = client.trigger(SCORING, scoring_tick(day))
        operator.until_task(scoring, "wait_for_etl", "deferred")
        operator.pause(ETL, False)
        assert client.wait(etl, timeout=TIMEOUT).state == "failed"
        assert client.wait(scoring, timeout=TIMEOUT).state == "failed"
    seconds = seconds_between(operator, etl.run_id, scoring.run_id)
    print(f"seconds from the ETL's failure to that of wait_for_etl: {seconds:.1f}")
    assert seconds < 60
    log = operator.log(scoring, "wait_for_etl")
    assert f"run {etl.run_id} of claims_normalized is" in log
    assert "check_contract failed" in log

    client.clear(ETL, etl.run_id)
    client.clear(SCORING, scoring.run_id)
    assert client.wait(etl, timeout=TIMEOUT).state == "success"
    assert client.wait(scoring, timeout=TIMEOUT).state == "success"
    assert operator.task(scoring, "wait_for_etl").try_number == 2


def test_a_task_of_the_etl_that_is_tried_again_is_waited_for(operator: Operator) -> None:
    client, day = operator.airflow.client, date(2026, 1, 11)
    folder = operator.settings.data / "claims_normalized"
    folder.mkdir(parents=True, exist_ok=True)
    with moved_away(folder):
        folder.write_text("in the way of publish_claims")
        etl = operator.etl_run(day)
        scoring = client.trigger(SCORING, scoring_tick(day))
        operator.until_task(etl, "publish_claims", "up_for_retry", timeout=TIMEOUT)
        operator.until_task(scoring, "wait_for_etl", "deferred")
    assert client.wait(etl, timeout=TIMEOUT).state == "success"
    assert client.wait(scoring, timeout=TIMEOUT).state == "success"
    assert operator.task(etl, "publish_claims").try_number == 2
    assert operator.task(scoring, "wait_for_etl").try_number == 1


def test_a_scheduled_night(operator: Operator, tmp_path: Path) -> None:
    """Both schedules make up for their latest tick at the start of a new stack, scoring perhaps first.

    From 01:00 to 02:00 WIB scoring's is still that of the day before, whose ETL run nobody makes: it says so at once,
    and does not wait while the night that comes is held up.
    """
    settings = Settings(_env_file=None, CLAIMS_INSTANCE_DIR=str(tmp_path / "instance"))
    shutil.copytree(operator.settings.raw, settings.raw)
    etl_day = tonight()
    scored_day = etl_day if scoring_tick(etl_day) <= now() else etl_day - timedelta(days=1)
    with LocalAirflow(tmp_path / "run", settings.instance_dir, schedule=True) as airflow:
        night = Operator(airflow, settings)

        def scheduled(dag_id: str, tick: datetime) -> DagRun:
            night.until(lambda: airflow.client.run_of(dag_id, tick), what=dag_id)
            run = airflow.client.run_of(dag_id, tick)
            assert run is not None
            assert run.run_id.startswith("scheduled__")
            return airflow.client.wait(run, timeout=TIMEOUT)

        assert scheduled(ETL, etl_tick(etl_day)).state == "success"
        run = scheduled(SCORING, scoring_tick(scored_day))
        log, live = night.log(run, "wait_for_etl"), store_of(settings).live_id()
        if scored_day < etl_day:
            assert run.state == "failed", log
            assert f"has no run for data date {scored_day}" in log
            assert live is None
        else:
            assert run.state == "success", log
            assert live is not None
            assert data_date_of_id(live) == scored_day
