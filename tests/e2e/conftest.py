"""One Airflow and one instance for the tests of waiting and of backfills, and what an operator does to its runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from ml.clock import data_date_of, etl_tick
from ml.sample.config import GeneratorConfig
from ml.settings import PROJECT_ROOT, Settings
from ops.local_airflow import DagRun, LocalAirflow, TaskState

ETL, SCORING = "claims_normalized", "claims_risk_scoring"
ROWS = 1_500
LAST_TASK = "publish_claims"


def scoring_tick(day: date) -> datetime:
    """02:00 WIB of a data date."""
    return etl_tick(day) + timedelta(hours=1)


def tonight() -> date:
    """The data date of a run that is triggered now."""
    return data_date_of(datetime.now(UTC))


@dataclass
class Operator:
    """Drives Airflow as a person does: by the API, the command line and, where neither can, the metadata."""

    airflow: LocalAirflow
    settings: Settings

    def api(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request to the API; the answer may be a refusal."""
        return self.airflow.client._send(method, path, allowed={400, 404, 409, 422}, **arguments)

    def cli(self, *arguments: str, code: int = 0) -> str:
        """Run an `airflow` command; return all it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments], env=self.airflow.environment, cwd=PROJECT_ROOT,
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement in Airflow's metadata: for states that only an accident makes."""
        url = self.airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
        connection = psycopg2.connect(url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def pause(self, dag_id: str, paused: bool) -> None:
        """A paused DAG's runs stay queued: an ETL that takes its time."""
        self.api("PATCH", f"/dags/{dag_id}", json={"is_paused": paused}).raise_for_status()

    def etl_run(self, day: date) -> DagRun:
        """Make the ETL run of a data date."""
        return self.airflow.client.trigger(ETL, etl_tick(day))

    def set_task(self, run: DagRun, task_id: str, state: str) -> None:
        """Mark a task, as the UI does."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}"
        self.api("PATCH", path, json={"new_state": state}).raise_for_status()

    def force_task(self, run: DagRun, task_id: str, state: str | None) -> None:
        """Give a task a state that nobody can mark."""
        self.sql(
            "UPDATE task_instance SET state = %s WHERE dag_id = %s AND run_id = %s AND task_id = %s",
            state, run.dag_id, run.run_id, task_id,
        )  # fmt: skip

    def force_run(self, run: DagRun, state: str) -> None:
        """Give a run a state without touching its tasks, as a scheduler that dies in between may."""
        self.sql("UPDATE dag_run SET state = %s WHERE dag_id = %s AND run_id = %s", state, run.dag_id, run.run_id)

    def backfill(self, dag_id: str, first: date, last: date, **body: Any) -> httpx.Response:
        """Ask for a backfill of data dates as the UI's form does; the answer may be a refusal."""
        moment = scoring_tick if dag_id == SCORING else etl_tick
        body = {"dag_id": dag_id, "from_date": moment(first).isoformat(), "to_date": moment(last).isoformat()} | body
        answers: list[httpx.Response] = []

        def answered() -> bool:
            answers.append(self.api("POST", "/backfills", json=body))
            return answers[-1].status_code != 409  # the one before counts as running for up to half a minute after it

        self.until(answered, what=body)
        return answers[-1]

    def scoring_run(self, day: date) -> DagRun:
        """The scoring run of a data date that a backfill has made."""
        run = self.airflow.client.run_of(SCORING, scoring_tick(day))
        assert run is not None, day
        return run

    def task(self, run: DagRun, task_id: str) -> TaskState:
        """A task as it stands now."""
        (found,) = [task for task in self.airflow.client.tasks(run.dag_id, run.run_id) if task.task_id == task_id]
        return found

    def log(self, run: DagRun, task_id: str) -> str:
        """The log of a task's latest try: from its last error on, when there is one."""
        return "\n".join(self.airflow.client.log_tail(self.task(run, task_id), lines=1000))

    def until(self, ready: Callable[[], object], timeout: float = 120, what: object = "") -> float:
        """Wait until something holds; return how many seconds it took."""
        begun = time.monotonic()
        while not ready():
            self.airflow.check_alive()
            assert time.monotonic() < begun + timeout, f"not within {timeout} s: {what}"
            time.sleep(0.5)
        return time.monotonic() - begun

    def until_task(self, run: DagRun, task_id: str, *states: str | None, timeout: float = 120) -> float:
        """Wait until a task is in one of these states; return how many seconds it took."""
        return self.until(lambda: self.task(run, task_id).state in states, timeout, (run.run_id, task_id, states))


@contextmanager
def operator_on(root: Path) -> Iterator[Operator]:
    """A stack whose nightly schedules are off; an instance with raw claims and nothing else."""
    from ml.sample.files import write
    from ml.sample.generate import generate

    settings = Settings(_env_file=None, CLAIMS_INSTANCE_DIR=str(root / "instance"))
    write(generate(GeneratorConfig(claims=ROWS, seed=5)), settings.raw, "csv", root / "labels" / "labels.parquet")
    with LocalAirflow(root / "run", settings.instance_dir) as airflow:
        airflow.wait_for_dags([ETL, SCORING])
        yield Operator(airflow, settings)


@pytest.fixture(scope="session")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The stack that the tests of waiting and of backfills share."""
    with operator_on(tmp_path_factory.mktemp("operator")) as operator:
        yield operator
