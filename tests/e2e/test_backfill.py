"""Missed nights made up for by backfills, in a real Airflow: ETL, then scoring, each night with a release and a QC log.

In the order of the file; each test starts from what the one before left. A thread looks at what is live all the time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from ml.clock import etl_tick
from ml.nightly import store_of
from ml.release.manifest import data_date_of_id
from ops.local_airflow import DagRun
from tests.e2e.conftest import ETL, ROWS, SCORING, Operator, scoring_tick, tonight

pytestmark = [pytest.mark.e2e, pytest.mark.e2e_slow]

NIGHTS = [date(2026, 2, 27) + timedelta(days=number) for number in range(3)]  # over a month's end
TIMEOUT = 600


@dataclass
class Live:
    """Every data date that readers have seen, in their order."""

    operator: Operator
    seen: list[date] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        store = store_of(self.operator.settings)
        while not self.over.wait(0.02):
            release = store.live_id()
            day = data_date_of_id(release) if release else None
            if day and self.seen[-1:] != [day]:
                self.seen.append(day)


@pytest.fixture(scope="module")
def live(operator: Operator) -> Iterator[Live]:
    watched = Live(operator)
    thread = threading.Thread(target=watched.look)
    thread.start()
    yield watched
    watched.over.set()
    thread.join()


def run_of(operator: Operator, dag_id: str, day: date) -> DagRun:
    run = operator.airflow.client.run_of(dag_id, etl_tick(day) if dag_id == ETL else scoring_tick(day))
    assert run is not None, (dag_id, day)
    return run


def tries(operator: Operator, dag_id: str, task_id: str) -> dict[date, int]:
    """How often a task has run, night by night."""
    return {day: operator.task(run_of(operator, dag_id, day), task_id).try_number for day in NIGHTS}


def qc_dates(operator: Operator) -> list[date]:
    """The data dates of all QC logs, each as often as it has one."""
    logs = operator.settings.logs.glob("ml_scores_qc_2*.json")
    return sorted(date.fromisoformat(json.loads(log.read_text())["summary"]["data_date"]) for log in logs)


def releases(operator: Operator) -> list[date]:
    """The data dates of all releases; each verifies."""
    store = store_of(operator.settings)
    found = [path.name for path in (operator.settings.instance_dir / "releases").glob("[0-9]*-*")]
    assert [problem for release in found for problem in store.verify(release)] == []
    return sorted(store.get(release).manifest.data_date for release in found)


def all_succeed(operator: Operator, dag_id: str, days: list[date]) -> None:
    for day in days:
        run = operator.airflow.client.wait(run_of(operator, dag_id, day), timeout=TIMEOUT)
        assert run.state == "success", (dag_id, day, operator.airflow.client.tasks(dag_id, run.run_id))


def moments(operator: Operator, dag_id: str, task_id: str, column: str) -> dict[date, object]:
    """When a task began (start_date) or ended (end_date), night by night."""
    found = {}
    for day in NIGHTS:
        run = run_of(operator, dag_id, day)
        [(found[day],)] = operator.sql(
            f"SELECT {column} FROM task_instance WHERE dag_id = %s AND run_id = %s AND task_id = %s",
            dag_id, run.run_id, task_id,
        )  # fmt: skip
    return found


def backfill_by_cli(operator: Operator, dag_id: str, *arguments: str) -> None:
    """As the README says: whole days of Jakarta."""
    operator.cli(
        "backfill", "create", "--dag-id", dag_id, "--from-date", f"{NIGHTS[0]}T00:00+07:00",
        "--to-date", f"{NIGHTS[-1]}T23:59+07:00", *arguments,
    )  # fmt: skip


def test_three_missed_nights_by_the_command_line(operator: Operator, live: Live) -> None:
    """Both backfills at once: each night's scoring waits for its own ETL."""
    backfill_by_cli(operator, ETL)
    backfill_by_cli(operator, SCORING)
    all_succeed(operator, ETL, NIGHTS)
    all_succeed(operator, SCORING, NIGHTS)
    published, scored = (
        moments(operator, ETL, "publish_claims", "end_date"),
        moments(operator, SCORING, "score_claims", "start_date"),
    )
    assert all(published[day] < scored[day] for day in NIGHTS)
    assert releases(operator) == qc_dates(operator) == NIGHTS
    assert live.seen[-1] == NIGHTS[-1]
    assert live.seen == sorted(live.seen), "an older night went live over a newer one"


def test_a_failed_night_is_run_again_and_no_other(operator: Operator, live: Live) -> None:
    before = tries(operator, SCORING, "score_claims")
    operator.airflow.client.mark(SCORING, run_of(operator, SCORING, NIGHTS[1]).run_id, "failed")
    operator.backfill(SCORING, NIGHTS[0], NIGHTS[-1], reprocess_behavior="failed").raise_for_status()
    all_succeed(operator, SCORING, NIGHTS)
    after = tries(operator, SCORING, "score_claims")
    assert {day: after[day] - before[day] for day in NIGHTS} == {NIGHTS[0]: 0, NIGHTS[1]: 1, NIGHTS[2]: 0}
    assert releases(operator) == qc_dates(operator) == sorted([*NIGHTS, NIGHTS[1]])
    assert live.seen[-1] == NIGHTS[-1], "the older night is archived"


def test_completed_nights_are_all_run_again_beside_tonights_run(operator: Operator, live: Live) -> None:
    client, today = operator.airflow.client, tonight()
    qc_before = qc_dates(operator)
    before = tries(operator, ETL, "publish_claims") | {}
    client.trigger(ETL, etl_tick(today))
    operator.backfill(ETL, NIGHTS[0], NIGHTS[-1], reprocess_behavior="completed").raise_for_status()
    nightly = client.trigger(SCORING, scoring_tick(today))
    operator.backfill(SCORING, NIGHTS[0], NIGHTS[-1], reprocess_behavior="completed").raise_for_status()
    all_succeed(operator, ETL, [*NIGHTS, today])
    all_succeed(operator, SCORING, [*NIGHTS, today])
    assert client.run(SCORING, nightly.run_id).state == "success"
    after = tries(operator, ETL, "publish_claims")
    assert {after[day] - before[day] for day in NIGHTS} == {1}
    assert qc_dates(operator) == sorted([*qc_before, *NIGHTS, today])
    assert live.seen[-1] == today
    assert live.seen == sorted(live.seen), "an older night went live over a newer one"
    release = store_of(operator.settings).live()
    assert release is not None
    assert release.manifest.rows == ROWS
    assert (operator.settings.instance_dir / "data" / "claims_ml_scores.parquet").exists()
    assert not operator.airflow.client.import_errors()


def test_force_scores_claims_whose_etl_run_is_gone_and_goes_live_over_nothing_newer(
    operator: Operator, live: Live
) -> None:
    client, day = operator.airflow.client, NIGHTS[0]
    seen = list(live.seen)
    operator.api("DELETE", f"/dags/{ETL}/dagRuns/{run_of(operator, ETL, day).run_id}").raise_for_status()
    form = {"data_date": day.isoformat()}
    refused = client.wait(client.trigger(SCORING, conf=form), timeout=TIMEOUT)
    assert refused.state == "failed"
    assert "has no run for data date" in operator.log(refused, "wait_for_etl")
    count = len(releases(operator))
    forced = client.wait(client.trigger(SCORING, conf=form | {"force": True, "top_k": 7}), timeout=TIMEOUT)
    assert forced.state == "success"
    log = operator.log(forced, "wait_for_etl")
    assert f"WARNING force: scoring the claims of data date {day} as they are, without their ETL" in log
    assert len(releases(operator)) == count + 1
    assert live.seen == seen, "the older night is archived"
    newest = max(operator.settings.logs.glob("ml_scores_qc_2*.json"), key=lambda path: path.stat().st_mtime)
    summary = json.loads(newest.read_text())["summary"]
    assert (summary["data_date"], summary["top_k"]) == (day.isoformat(), 7)


def test_force_without_claims_fails_and_says_so(operator: Operator, live: Live) -> None:
    seen = list(live.seen)
    client = operator.airflow.client
    run = client.wait(client.trigger(SCORING, conf={"data_date": "2025-01-01", "force": True}), timeout=TIMEOUT)
    assert run.state == "failed"
    assert operator.task(run, "score_claims").state == "failed"
    assert "2025-01-01" in operator.log(run, "score_claims")
    assert live.seen == seen


@pytest.mark.parametrize(("dag_id", "task_id"), [(ETL, "check_contract"), (SCORING, "wait_for_etl")])
def test_a_backfill_with_a_data_date_is_refused_night_by_night(
    operator: Operator, live: Live, dag_id: str, task_id: str
) -> None:
    seen, day = list(live.seen), NIGHTS[0] - timedelta(days=1)
    operator.backfill(dag_id, day, day, dag_run_conf={"data_date": str(NIGHTS[0])}).raise_for_status()
    run = operator.airflow.client.wait(run_of(operator, dag_id, day), timeout=TIMEOUT)
    assert run.state == "failed"
    assert f"would be made for data date {NIGHTS[0]}. Leave data_date out" in operator.log(run, task_id)
    assert operator.task(run, task_id).try_number == 1, "another try would give the same"
    assert live.seen == seen
