"""What the DAGs share: the data date of a run, and the ETL run it waits for. In a process of its own, see conftest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ml.settings import PROJECT_ROOT
from tests.dags.conftest import airflow_environment

ASK = """
import json, sys
from datetime import UTC, date, datetime
from types import SimpleNamespace
import claims_risk
from airflow.exceptions import AirflowFailException

TICK = datetime(2026, 3, 9, 19, 0, tzinfo=UTC)  # 02:00 WIB on the 10th
LATER = datetime(2026, 3, 15, 17, 30, tzinfo=UTC)  # 00:30 WIB on the 16th: the ETL of the 16th is not due yet
runs = SimpleNamespace(logical_date=TICK, run_after=LATER)

class TaskInstance:
    def __init__(self, count):
        self.count, self.asked = count, []
    def get_dr_count(self, **question):
        self.asked.append(question)
        return self.count

def require(count, day):
    ti = TaskInstance(count)
    error = None
    try:
        claims_risk.require_etl_run({"ti": ti, "params": {"data_date": day}, "dag_run": runs})
    except AirflowFailException as failure:
        error = str(failure)
    return {"error": error, "asked": ti.asked}

def ask_airflow(count):
    ti = TaskInstance(count)
    return {"answer": claims_risk.running_in_airflow({"ti": ti})("scheduled__x"), "asked": ti.asked}

def by_params(params):
    return {"params": params, "logical_date": TICK, "dag_run": runs}

json.dump({
    "param": claims_risk.data_date(by_params({"data_date": "2026-01-31"})),
    "logical_date": claims_risk.data_date(by_params({"data_date": None})),
    "run_after": claims_risk.data_date({"logical_date": None, "dag_run": runs}),
    "tick of logical_date": claims_risk.etl_tick_of_run(TICK, **by_params({})),
    "tick of param": claims_risk.etl_tick_of_run(TICK, **by_params({"data_date": "2026-01-31"})),
    "no run": require(0, "2026-01-31"),
    "a run": require(1, "2026-01-31"),
    "future": require(1, "2206-01-31"),
    "running": ask_airflow(1),
    "over": ask_airflow(0),
    "choices": claims_risk.release_choices(),
    "few choices": claims_risk.release_choices(1),
}, sys.stdout, default=str)
"""

RELEASES = ["20261124-20261123T190512Z-b-t01", "20261123-20261124T090000Z-a-t01"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home: Path = tmp_path_factory.mktemp("airflow")
    for name in (*RELEASES, ".building-20261126-x", "not-a-release"):
        (home / "instance" / "releases" / name).mkdir(parents=True)
    instance = {"CLAIMS_INSTANCE_DIR": str(home / "instance")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK],
        env=airflow_environment(home) | instance | {"PYTHONPATH": str(PROJECT_ROOT / "plugins")},
        cwd=home, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout[done.stdout.index("{") :])


@pytest.mark.parametrize(
    ("source", "day"),
    [("param", "2026-01-31"), ("logical_date", "2026-03-10"), ("run_after", "2026-03-15")],
)
def test_the_data_date_is_the_parameter_or_of_the_logical_date_or_of_the_start(
    answers: dict[str, Any], source: str, day: str
) -> None:
    assert answers[source] == day


def test_a_run_waits_for_the_etl_of_its_own_data_date(answers: dict[str, Any]) -> None:
    assert answers["tick of logical_date"] == "2026-03-09 18:00:00+00:00"  # 01:00 WIB on the 10th
    assert answers["tick of param"] == "2026-01-30 18:00:00+00:00"


def test_a_missing_etl_run_is_told_at_once_with_the_command_that_makes_it(answers: dict[str, Any]) -> None:
    asked = [{"dag_id": "claims_normalized", "logical_dates": ["2026-01-30 18:00:00+00:00"]}]
    assert answers["no run"]["asked"] == asked
    assert "has no run for data date 2026-01-31" in answers["no run"]["error"]
    command = "airflow dags trigger claims_normalized --logical-date 2026-01-30T18:00:00+00:00"
    assert answers["no run"]["error"].endswith(command)
    assert answers["a run"] == {"error": None, "asked": asked}


def test_a_future_data_date_is_refused_before_anybody_waits(answers: dict[str, Any]) -> None:
    assert "2206-01-31 lies in the future" in answers["future"]["error"]
    assert answers["future"]["asked"] == []


def test_a_run_is_at_work_as_long_as_airflow_says_so(answers: dict[str, Any]) -> None:
    assert (answers["running"]["answer"], answers["over"]["answer"]) == (True, False)
    assert answers["running"]["asked"] == [
        {"dag_id": "claims_risk_scoring", "run_ids": ["scheduled__x"], "states": ["queued", "running"]}
    ]


def test_the_form_offers_the_releases_newest_data_date_first(answers: dict[str, Any]) -> None:
    assert (answers["choices"], answers["few choices"]) == (RELEASES, RELEASES[:1])
