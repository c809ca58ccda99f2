"""What a scoring run makes of its parameters and of its ETL, in a real Airflow.

The ETL's outcomes are made as operators and accidents make them: runs and tasks are marked, cleared and deleted by the
API. The ETL is paused meanwhile, so that a run stays as it is. All waits go on at the same time, as one backfill.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from ml.nightly import store_of
from ops.local_airflow import DagRun
from tests.e2e.conftest import ETL, LAST_TASK, SCORING, Operator, scoring_tick, tonight

pytestmark = [pytest.mark.e2e, pytest.mark.e2e_slow]  # test_night.py has the quick part

FIRST = date(2026, 4, 1)  # nights that no other test touches
CASES = (
    "no run", "failed before", "skipped, run green", "ended without a state", "published", "marked failed", "deleted",
    "skipped meanwhile", "retrying", "cleared", "too long",
)  # fmt: skip
WITHIN_SECONDS = 60


@dataclass
class Waits:
    """One night for each case: its ETL run, its scoring run, and the seconds from an outcome to the task's end."""

    operator: Operator
    etl: dict[str, DagRun] = field(default_factory=dict)
    scoring: dict[str, DagRun] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    live: str | None = None

    def state(self, case: str) -> str | None:
        return self.operator.task(self.scoring[case], "wait_for_etl").state

    def log(self, case: str) -> str:
        return self.operator.log(self.scoring[case], "wait_for_etl")


@pytest.fixture(scope="module")
def waits(operator: Operator) -> Iterator[Waits]:
    """All nights' runs: the ETL's as far as they have come, and the scoring runs, each passed, failed or deferred."""
    found = Waits(operator, live=store_of(operator.settings).live_id())
    operator.pause(ETL, True)
    days = {case: FIRST + timedelta(days=number) for number, case in enumerate(CASES)}
    found.etl = {case: operator.etl_run(day) for case, day in days.items() if case != "no run"}
    client = operator.airflow.client
    for case in ("failed before", "cleared"):
        client.mark(ETL, found.etl[case].run_id, "failed")
    client.clear(ETL, found.etl["cleared"].run_id)
    operator.set_task(found.etl["published"], LAST_TASK, "success")
    for case in ("published", "skipped, run green"):  # what has not run yet is skipped thereby
        client.mark(ETL, found.etl[case].run_id, "success")
    operator.force_run(found.etl["ended without a state"], "failed")
    operator.force_task(found.etl["retrying"], LAST_TASK, "up_for_retry")

    begun = time.monotonic()
    operator.backfill(SCORING, days[CASES[0]], days[CASES[-1]], max_active_runs=len(CASES)).raise_for_status()
    found.scoring = {case: operator.scoring_run(day) for case, day in days.items()}
    for run in found.scoring.values():
        operator.until_task(run, "wait_for_etl", "deferred", "success", "failed")
    found.took["all looked"] = time.monotonic() - begun
    yield found
    for dag_id in (SCORING, ETL):
        for run in client.runs(dag_id, state=["queued", "running"]):
            client.mark(dag_id, run.run_id, "failed")
    operator.pause(ETL, False)


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"top_k": 0}, "top_k: 0 is less than the minimum of 1"),
        ({"top_k": 10_001}, "top_k: 10001 is greater than the maximum of 10000"),
        ({"top_k": "x"}, "top_k: 'x' is not of type 'null', 'integer'"),
        ({"data_date": "2026-13-01"}, "data_date: '2026-13-01' is not a 'date'"),
        ({"data_date": "20261101"}, "data_date: '20261101' is not a 'date'"),
        ({"ruleset_version": "../RULESET_v2"}, "ruleset_version: '../RULESET_v2' is not one of"),
        ({"ruleset_version": "RULESET_v9"}, "ruleset_version: 'RULESET_v9' is not one of"),
        ({"model_version": "risk-1/2"}, "model_version: 'risk-1/2' does not match"),
        ({"force": "yes"}, "force: 'yes' is not of type 'boolean'"),
    ],
)
def test_a_bad_value_is_refused_at_the_trigger_with_the_reason(
    operator: Operator, conf: dict[str, object], reason: str
) -> None:
    answer = operator.api("POST", f"/dags/{SCORING}/dagRuns", json={"logical_date": None, "conf": conf})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"Invalid input for param {reason}")
    answer = operator.backfill(SCORING, FIRST, FIRST, dag_run_conf=conf)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"Invalid input for param {reason}")


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no run", "airflow dags trigger claims_normalized --logical-date 2026-03-31T18:00:00+00:00"),
        ("failed before", "is failed (publish_claims skipped)"),
        ("skipped, run green", "is success (publish_claims skipped)"),
        ("ended without a state", "is failed."),
    ],
)
def test_what_cannot_come_any_more_fails_at_the_first_look(waits: Waits, case: str, words: str) -> None:
    assert waits.state(case) == "failed", waits.log(case)
    assert words in waits.log(case)
    assert f"data date {FIRST + timedelta(days=CASES.index(case))}" in waits.log(case)
    assert waits.operator.task(waits.scoring[case], "wait_for_etl").try_number == 1, "another try would give the same"


def test_a_published_one_passes_at_the_first_look(waits: Waits) -> None:
    assert waits.state("published") == "success"
    assert "The claims of data date 2026-04-05 are published" in waits.log("published")


WAITING = ("marked failed", "deleted", "skipped meanwhile", "retrying", "cleared", "too long")


def test_who_waits_holds_no_worker_and_has_four_hours(waits: Waits) -> None:
    """More wait than there are workers (four): a wait that held one would keep the others from their first look."""
    assert [waits.state(case) for case in WAITING] == ["deferred"] * len(WAITING)
    assert len(WAITING) > int(waits.operator.airflow.environment["AIRFLOW__CORE__PARALLELISM"])
    pool = waits.operator.api("GET", "/pools/default_pool").json()
    assert pool["deferred_slots"] == len(WAITING)
    left = waits.operator.sql(
        "SELECT extract(epoch FROM trigger_timeout - now()) FROM task_instance "
        "WHERE dag_id = %s AND state = 'deferred'",
        SCORING,
    )
    assert all(4 * 3600 - 300 < float(seconds) <= 4 * 3600 for (seconds,) in left)


def test_what_goes_wrong_meanwhile_is_told_within_a_minute(waits: Waits) -> None:
    operator, client = waits.operator, waits.operator.airflow.client
    client.mark(ETL, waits.etl["marked failed"].run_id, "failed")
    operator.api("DELETE", f"/dags/{ETL}/dagRuns/{waits.etl['deleted'].run_id}").raise_for_status()
    operator.set_task(waits.etl["skipped meanwhile"], LAST_TASK, "skipped")
    for case in ("marked failed", "deleted", "skipped meanwhile"):
        waits.took[case] = operator.until_task(waits.scoring[case], "wait_for_etl", "failed", timeout=WITHIN_SECONDS)
    assert "is failed (publish_claims skipped)" in waits.log("marked failed")
    assert "has no run for data date" in waits.log("deleted")
    assert "publish_claims skipped" in waits.log("skipped meanwhile")
    print("seconds until the failure was told:", waits.took)


def test_a_retry_and_a_cleared_run_are_waited_for_and_count_when_they_succeed(waits: Waits) -> None:
    assert [waits.state(case) for case in ("retrying", "cleared")] == ["deferred", "deferred"]
    for case in ("retrying", "cleared"):
        waits.operator.set_task(waits.etl[case], LAST_TASK, "success")
    for case in ("retrying", "cleared"):
        waits.operator.until_task(waits.scoring[case], "wait_for_etl", "success", timeout=WITHIN_SECONDS)


def test_the_deadline_counts_from_the_start_of_the_run_and_anew_when_it_is_cleared(
    operator: Operator, waits: Waits
) -> None:
    """A task that is cleared in a running run is another try; a run that is cleared when it has ended is a new wait."""
    client, day = operator.airflow.client, FIRST - timedelta(days=1)
    operator.etl_run(day)
    run = client.trigger(SCORING, scoring_tick(day))
    operator.until_task(run, "wait_for_etl", "deferred")
    assert 3.9 < hours_left(operator, run) <= 4
    operator.sql("UPDATE dag_run SET start_date = start_date - interval '3 hours' WHERE run_id = %s", run.run_id)
    body = {"dry_run": False, "dag_run_id": run.run_id, "task_ids": ["wait_for_etl"], "only_failed": False}
    operator.api("POST", f"/dags/{SCORING}/clearTaskInstances", json=body).raise_for_status()
    operator.until(lambda: hours_left(operator, run) < 2, what="not waiting again")
    assert 0.9 < hours_left(operator, run) <= 1
    client.mark(SCORING, run.run_id, "failed")
    client.clear(SCORING, run.run_id)
    operator.until(lambda: hours_left(operator, run) < 9, what="not waiting anew")
    assert 3.9 < hours_left(operator, run) <= 4
    client.mark(SCORING, run.run_id, "failed")


def hours_left(operator: Operator, run: DagRun) -> float:
    """Of a task that waits; 9 when none does."""
    found = operator.sql(
        "SELECT extract(epoch FROM trigger_timeout - now()) / 3600 FROM task_instance "
        "WHERE run_id = %s AND state = 'deferred'",
        run.run_id,
    )
    return float(found[0][0]) if found else 9


def test_the_deadline_says_for_what_it_waited_and_how_long(waits: Waits) -> None:
    run = waits.scoring["too long"]
    waits.operator.sql(
        "UPDATE task_instance SET trigger_timeout = now() "
        "WHERE dag_id = %s AND run_id = %s AND task_id = 'wait_for_etl'",
        SCORING, run.run_id,
    )  # fmt: skip
    waits.operator.until_task(run, "wait_for_etl", "failed", timeout=WITHIN_SECONDS)
    assert "Waited 4 h (CLAIMS_ETL_DEADLINE_HOURS), no longer. The ETL of data date 2026-04-11" in waits.log("too long")
    assert "DAG claims_normalized is paused" in waits.log("too long"), "as the fixture has it"
    assert waits.operator.task(run, "wait_for_etl").try_number == 1


def test_a_failed_wait_publishes_nothing_and_the_run_fails(waits: Waits) -> None:
    client = waits.operator.airflow.client
    for case, run in waits.scoring.items():
        assert client.wait(run, timeout=120).state == "failed", case
        assert waits.operator.task(run, "backup_and_swap").state == "upstream_failed", case
    assert "no claims" in waits.operator.log(waits.scoring["published"], "score_claims").lower()
    assert store_of(waits.operator.settings).live_id() == waits.live


@pytest.mark.e2e_slow
def test_any_kind_of_manual_run_waits_for_the_etl_of_its_own_data_date(operator: Operator, waits: Waits) -> None:
    """API without a logical date, form, command line with and without one, a chosen data date."""
    client = operator.airflow.client
    logical = scoring_tick(date(2026, 1, 31))
    before = {run.run_id for run in client.runs(SCORING)}
    expected = {
        client.trigger(SCORING).run_id: tonight(),
        client.trigger(SCORING, logical - timedelta(hours=1, seconds=1)).run_id: date(2026, 1, 30),
        client.trigger(SCORING, conf={"data_date": "2024-02-29"}).run_id: date(2024, 2, 29),
    }
    operator.cli("dags", "trigger", SCORING, "--run-id", "cli-1")
    operator.cli("dags", "trigger", SCORING, "--run-id", "cli-2", "--logical-date", logical.isoformat())
    operator.cli("dags", "trigger", SCORING, "--run-id", "cli-3", "--conf", json.dumps({"topk": 5}))
    expected |= {"cli-1": tonight(), "cli-2": date(2026, 1, 31)}
    assert {run.run_id for run in client.runs(SCORING)} - before == {*expected, "cli-3"}
    for run_id, day in expected.items():
        run = client.wait(client.run(SCORING, run_id), timeout=180)
        log = operator.log(run, "wait_for_etl")
        assert f"data date {day} " in log, run_id  # tonight's ETL may have run in another test
        if day != tonight():
            assert f"{ETL} has no run for data date {day} " in log, run_id
    slip = client.wait(client.run(SCORING, "cli-3"), timeout=180)
    assert "No parameter of claims_risk_scoring: topk." in operator.log(slip, "wait_for_etl")
