"""What wait_for_etl makes of an ETL run's state and of its last task's. In a process of its own, see conftest."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from ml.settings import PROJECT_ROOT
from tests.dags.conftest import airflow_environment

ASK = """
import asyncio, json, sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from airflow.sdk import DagRunState
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType, TaskDeferred
from airflow.sdk.execution_time.comms import ErrorResponse
import claims_waiting as waiting
from claims_risk import CLAIMS

TICK = datetime(2026, 3, 9, 18, 0, tzinfo=UTC)

class Airflow:
    '''Answers as Airflow would; each look at the tasks takes the next of `tasks`, the last one for good.'''
    def __init__(self, run, *tasks):
        self.run, self.tasks, self.asked, self.others = run, list(tasks), [], []
    def get_task_states(self, **question):
        self.asked.append(question)
        tasks = self.tasks.pop(0) if len(self.tasks) > 1 else self.tasks[0]
        if isinstance(tasks, Exception):
            raise tasks
        return {"r1": tasks} if self.run else {}
    def get_dagrun_state(self, dag_id, run_id):
        return DagRunState(self.run)
    def get_dr_count(self, dag_id, run_ids=(), states=(), logical_dates=None):
        if states:
            return sum(run_id in self.good for run_id in run_ids)
        return self.others.count(logical_dates[0]) if logical_dates else len(self.others)
    def get_dag(self, dag_id):
        return SimpleNamespace(is_paused=self.paused)
    good, paused = ("r2",), False

class Events(list):
    '''The events of the claims, newest first.'''
    def after(self, since):
        return Events(event for event in self if event.timestamp >= since)
    def ascending(self, wanted):
        return self
    def limit(self, number):
        return self[:number]

def event(run_id="r2", day="2026-03-10", hour=2, dag_id="claims_normalized"):
    facts = {"data_date": day} if day else None
    moment = TICK + timedelta(hours=hour)
    return SimpleNamespace(source_dag_id=dag_id, source_run_id=run_id, extra=facts, timestamp=moment)

waiting._end_of = lambda run_id: ENDED
ENDED = TICK + timedelta(hours=1)

def last(state, **others):
    return others | {"publish_claims": state}

def look(run, *tasks):
    airflow = Airflow(run, *tasks)
    seen = waiting.look_at_etl(airflow, TICK)
    return {"verdict": seen.verdict, "message": seen.message, "asked": airflow.asked}

def sensor():
    return waiting.EtlSensor(task_id="wait", external_dag_id="e", external_task_id="t", timeout=5400, poke_interval=5)

def context(airflow, conf, waited=0, events=()):
    known = {"data_date": "2026-03-10", "force": False}
    dag = SimpleNamespace(dag_id="d", params=known)
    inlets = {CLAIMS: Events(events)}
    return {"ti": airflow, "dag": dag, "params": known | conf, "dag_run": run(conf, waited), "inlet_events": inlets}

def run(conf, waited):
    begun = None if waited is None else datetime.now(UTC) - timedelta(seconds=waited)
    return SimpleNamespace(conf=conf, start_date=begun, run_type=conf.pop("run_type", "manual"))

def outcome(call):
    try:
        return ["passed", call()]
    except TaskDeferred as deferred:
        path, arguments = deferred.trigger.serialize()
        return ["TaskDeferred", path, arguments, round(deferred.timeout.total_seconds(), -1)]
    except Exception as error:
        return [type(error).__name__, str(error)]

def execute(run, *tasks, waited=0, events=(), good=("r2",), paused=False, **conf):
    airflow = Airflow(run, *tasks)
    airflow.good, airflow.paused = good, paused
    return [*outcome(lambda: sensor().execute(context(airflow, conf, waited, events))), len(airflow.asked)]

def missing(*others, run_type="scheduled"):
    airflow = Airflow(None, {})
    airflow.others = [TICK + timedelta(days=days) for days in others]
    return outcome(lambda: sensor().execute(context(airflow, {"run_type": run_type})))

def deadline(run, *tasks, paused=False):
    arguments, airflow = {"error": "Trigger timeout"}, Airflow(run, *tasks)
    airflow.paused = paused
    return outcome(lambda: sensor().resume_execution("__fail__", arguments, context(airflow, {})))

def another(*events, run="failed", **more):
    tasks = {} if run is None else last("upstream_failed", check_contract="failed")
    return execute(run, tasks, events=events, **more)[0]

def meanwhile(verdict, events=()):
    seen = {"verdict": verdict, "message": "why", "run_id": "r1"}
    return outcome(lambda: sensor().execute_complete(context(Airflow(None), {}, events=events), seen))

async def trigger(airflow):
    import airflow.sdk.execution_time.task_runner as runner
    runner.RuntimeTaskInstance = airflow
    async for event in waiting.EtlTrigger(TICK, 0.01).run():
        return event.payload

no_answer = AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 503}))
runs = ["queued", "running", "success", "failed"]
states = [None, "scheduled", "queued", "running", "up_for_retry", "deferred", "restarting", "success", "failed",
          "upstream_failed", "skipped", "removed"]
result = {
    "matrix": {f"{run} {state}": look(run, last(state))["verdict"] for run in runs for state in states},
    "no task": [look(run, {})["verdict"] for run in runs],
    "told": look("failed", last("upstream_failed", check_contract="failed", other=None, done="success")),
    "look, missing": look(None, {}),
    "ends meanwhile": look("success", last("running"), last("success"))["verdict"],
    "pass": execute("success", last("success")),
    "fail": execute("failed", last("failed")),
    "wait": execute("running", last(None)),
    "wait again": execute("running", last(None), waited=4000),
    "wait too long": execute("running", last(None), waited=5400),
    "published too late": execute("success", last("success"), waited=5400),
    "no start": execute("running", last(None), waited=None),
    "none": execute(None, {}),
    "missing for want of an ETL": missing(1),
    "missing": {case: missing(*others, run_type=kind) for case, others, kind in [
        ("no ETL at all", (), "scheduled"), ("one before, too", (1, -1), "scheduled"), ("later", (1, 2), "scheduled"),
        ("by hand", (1,), "manual"), ("backfill", (1,), "backfill")]},
    "future": execute("success", last("success"), data_date="2206-01-31"),
    "unknown": execute("success", last("success"), topk=3),
    "backfill": execute("success", last("success"), run_type="backfill"),
    "backfill with a date": execute("success", last("success"), run_type="backfill", data_date="2026-03-10"),
    "force": execute(None, {}, force=True),
    "force in the future": execute(None, {}, force=True, data_date="2206-01-31"),
    "deadline": deadline("running", last(None, check_contract="running")),
    "deadline, yet published": deadline("success", last("success")),
    "deadline, yet failed": deadline("failed", last("failed")),
    "deadline, paused": deadline("running", last(None), paused=True),
    "fail, paused": execute("failed", last("failed"), paused=True),
    "none, paused": execute(None, {}, paused=True),
    "events": [meanwhile(verdict) for verdict in ("published", "failed", "missing")],
    "another": {
        "newer": another(event()),
        "newer, of a run that is missing": another(event(hour=0.1), run=None),
        "newer, seen by the trigger": meanwhile("failed", [event()])[0],
        "older than the failure": another(event(hour=0.5)),
        "of another date": another(event(day="2026-03-11")),
        "of no date": another(event(day=None)),
        "of another DAG": another(event(dag_id="other")),
        "not good any more": another(event(), good=()),
        "the last is not good any more": another(event(hour=3), event("r3"), good=("r3",)),
        "behind other dates'": another(*[event(day=f"2026-02-{day:02}") for day in range(1, 29)], event()),
        "while the other is pending": execute("running", last(None), events=[event()])[0],
    },
    "trigger": asyncio.run(asyncio.wait_for(trigger(Airflow("running", last(None), no_answer, last("success"))), 10)),
}
json.dump(result, sys.stdout, default=str)
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK],
        env=airflow_environment(home) | {"PYTHONPATH": str(PROJECT_ROOT / "plugins")},
        cwd=home, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout[done.stdout.index('{"matrix') :])


def test_only_a_published_run_counts_and_only_a_living_one_is_waited_for(seen: dict[str, Any]) -> None:
    """A retry is no failure; a skip is no success, whatever the run says; an ended run is not waited for."""
    hopeless = ("failed", "upstream_failed", "skipped", "removed")
    for case, verdict in seen["matrix"].items():
        run, task = case.split()
        expected = "pending"
        if task in hopeless or run in ("success", "failed"):
            expected = "failed"
        if task == "success" and run != "failed":
            expected = "published"
        assert verdict == expected, case
    assert seen["no task"] == ["pending", "pending", "failed", "failed"]


def test_a_run_that_ends_between_two_questions_is_asked_again(seen: dict[str, Any]) -> None:
    assert seen["ends meanwhile"] == "published"


def test_a_failure_names_the_run_its_tasks_and_what_to_do(seen: dict[str, Any]) -> None:
    message = seen["told"]["message"]
    assert "data date 2026-03-10" in message
    assert "run r1 of claims_normalized is failed (check_contract failed, publish_claims upstream_failed)" in message
    assert "clear that run" in message
    asked = {"dag_id": "claims_normalized", "logical_dates": ["2026-03-09 18:00:00+00:00"]}
    assert seen["told"]["asked"] == [asked, asked]


def test_a_missing_run_is_told_at_once_with_the_command_that_makes_it(seen: dict[str, Any]) -> None:
    kind, message, _ = seen["none"]
    assert kind == "AirflowFailException"
    assert "has no run for data date 2026-03-10" in message
    assert message.endswith("airflow dags trigger claims_normalized --logical-date 2026-03-09T18:00:00+00:00")
    assert seen["look, missing"]["verdict"] == "missing"


def test_a_night_of_before_the_first_etl_is_skipped(seen: dict[str, Any]) -> None:
    """Who starts between 01:00 and 02:00 WIB gets the ETL of today made up for and the scoring of yesterday."""
    kind, message = seen["missing for want of an ETL"]
    assert kind == "AirflowSkipException"
    assert message == "Data date 2026-03-10 is of before the first run of claims_normalized: nothing to score."
    for case, (kind, message) in seen["missing"].items():
        assert (case, kind) == (case, "AirflowFailException")
        assert "has no run for data date 2026-03-10" in message


def test_the_sensor_passes_fails_or_defers(seen: dict[str, Any]) -> None:
    assert seen["pass"] == ["passed", None, 2]
    assert seen["fail"][0] == "AirflowFailException", "another try would give the same"
    arguments = {"tick": "2026-03-09 18:00:00+00:00", "interval": 5.0}
    assert seen["wait"] == ["TaskDeferred", "claims_waiting.EtlTrigger", arguments, 5400.0, 1]
    assert [kind for kind, _ in seen["events"]] == ["passed", "AirflowFailException", "AirflowFailException"]


def test_another_good_run_of_the_same_data_date_counts_from_the_failure_on(seen: dict[str, Any]) -> None:
    """Somebody has put the raw files right and triggered the ETL with the form: that run has a tick of its own."""
    passed = {case for case, outcome in seen["another"].items() if outcome == "passed"}
    assert passed == {
        "newer", "newer, of a run that is missing", "newer, seen by the trigger", "behind other dates'"
    }  # fmt: skip
    assert seen["another"].pop("while the other is pending") == "TaskDeferred", "it is about to write other claims"
    failed = {outcome for case, outcome in seen["another"].items() if case not in passed}
    assert failed == {"AirflowFailException"}


def test_a_paused_etl_is_told_with_the_command_that_ends_it(seen: dict[str, Any]) -> None:
    for case in ("deadline, paused", "fail, paused", "none, paused"):
        said = seen[case][1]
        assert said.endswith("is paused, so that no run of it goes on: airflow dags unpause claims_normalized"), said
    assert "paused" not in seen["deadline"][1] + seen["fail"][1] + seen["none"][1]


def test_another_try_waits_for_what_is_left_of_the_deadline(seen: dict[str, Any]) -> None:
    assert [seen[case][3] for case in ("wait", "wait again", "no start")] == [5400, 1400, 5400]
    kind, message, _ = seen["wait too long"]
    assert kind == "AirflowSensorTimeout", "no retry"
    assert message.startswith("Waited 1.5 h (CLAIMS_ETL_DEADLINE_HOURS), no longer. The ETL of data date 2026-03-10")
    assert seen["published too late"][0] == "passed", "it is not waited for"


def test_what_is_wrong_with_the_run_itself_is_told_before_anybody_waits(seen: dict[str, Any]) -> None:
    assert "2206-01-31 lies in the future" in seen["future"][1]
    assert "No parameter of d: topk. There are: data_date, force." in seen["unknown"][1]
    assert "2206-01-31 lies in the future" in seen["force in the future"][1]
    assert seen["backfill"][0] == "passed"
    kind, message, looks = seen["backfill with a date"]
    assert (kind, looks) == ("AirflowFailException", 0)
    assert message.startswith(
        "Every night of this backfill would be made for data date 2026-03-10. Leave data_date out"
    )


def test_force_asks_for_no_etl(seen: dict[str, Any]) -> None:
    assert seen["force"] == ["passed", None, 0]


def test_the_deadline_says_for_what_and_how_long(seen: dict[str, Any]) -> None:
    kind, message = seen["deadline"]
    assert kind == "AirflowSensorTimeout", "no retry"
    assert message.startswith("Waited 1.5 h (CLAIMS_ETL_DEADLINE_HOURS), no longer. The ETL of data date 2026-03-10")
    assert "run r1 of claims_normalized is running (check_contract running)" in message
    assert "Do not clear that run" in message


def test_what_a_dead_triggerer_missed_counts_at_the_deadline(seen: dict[str, Any]) -> None:
    assert seen["deadline, yet published"][0] == "passed"
    assert seen["deadline, yet failed"][0] == "AirflowFailException"


def test_the_trigger_looks_until_it_is_clear_and_outlives_an_api_server(seen: dict[str, Any]) -> None:
    assert seen["trigger"]["verdict"] == "published"
