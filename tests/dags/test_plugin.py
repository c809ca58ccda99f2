"""What the DAGs share: the data date of a run, and what a form offers and refuses.

In a process of its own, see conftest.
"""

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
from airflow.sdk.exceptions import AirflowFailException

TICK = datetime(2026, 3, 9, 19, 0, tzinfo=UTC)  # 02:00 WIB on the 10th
LATER = datetime(2026, 3, 15, 17, 30, tzinfo=UTC)  # 00:30 WIB on the 16th: the ETL of the 16th is not due yet
runs = SimpleNamespace(logical_date=TICK, run_after=LATER)

class TaskInstance:
    def __init__(self, count):
        self.count, self.asked = count, []
    def get_dr_count(self, **question):
        self.asked.append(question)
        return self.count

def refuse(conf):
    dag = SimpleNamespace(dag_id="claims_risk_scoring", params={"top_k": None, "force": False})
    try:
        claims_risk.refuse_unknown_params({"dag": dag, "dag_run": SimpleNamespace(conf=conf)})
    except AirflowFailException as failure:
        return str(failure)

def ask_airflow(count):
    ti = TaskInstance(count)
    return {"answer": claims_risk.running_in_airflow({"ti": ti})("scheduled__x"), "asked": ti.asked}

def by_params(params):
    return {"params": params, "logical_date": TICK, "dag_run": runs}

json.dump({
    "param": claims_risk.data_date(by_params({"data_date": "2026-01-31"})),
    "logical_date": claims_risk.data_date(by_params({"data_date": None})),
    "run_after": claims_risk.data_date({"logical_date": None, "dag_run": runs}),
    "known": [refuse(conf) for conf in (None, {}, {"top_k": 5, "force": True})],
    "unknown": refuse({"topk": 5, "top_k": 5}),
    "running": ask_airflow(1),
    "over": ask_airflow(0),
    "choices": claims_risk.release_choices(),
    "few choices": claims_risk.release_choices(1),
    "models": claims_risk.model_choices(),
    "rulesets": claims_risk.ruleset_choices(),
}, sys.stdout, default=str)
"""

RELEASES = ["20261124-20261123T190512Z-b-t01", "20261123-20261124T090000Z-a-t01"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home: Path = tmp_path_factory.mktemp("airflow")
    for name in (*RELEASES, ".building-20261126-x", "not-a-release"):
        (home / "instance" / "releases" / name).mkdir(parents=True)
    for name in ("risk-f00000000000", "risk-0a1b2c3d4e5f", ".building"):
        (home / "instance" / "models" / name).mkdir(parents=True)
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


def test_a_name_that_is_no_parameter_is_refused(answers: dict[str, Any]) -> None:
    """Airflow itself would score with the default top_k."""
    assert answers["known"] == [None, None, None]
    assert answers["unknown"] == "No parameter of claims_risk_scoring: topk. There are: force, top_k."


def test_a_run_is_at_work_as_long_as_airflow_says_so(answers: dict[str, Any]) -> None:
    assert (answers["running"]["answer"], answers["over"]["answer"]) == (True, False)
    assert answers["running"]["asked"] == [
        {"dag_id": "claims_risk_scoring", "run_ids": ["scheduled__x"], "states": ["queued", "running"]}
    ]


def test_the_form_offers_the_releases_newest_data_date_first(answers: dict[str, Any]) -> None:
    assert (answers["choices"], answers["few choices"]) == (RELEASES, RELEASES[:1])


def test_the_form_offers_the_models_and_the_rulesets_on_disk(answers: dict[str, Any]) -> None:
    assert answers["models"] == ["risk-0a1b2c3d4e5f", "risk-f00000000000"]
    assert answers["rulesets"] == ["RULESET_v2", "RULESET_v1"]
