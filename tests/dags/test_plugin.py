"""What the DAGs share: the data date of a run, and what a form offers and refuses.

In a process of its own, see conftest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ml.settings import PROJECT_ROOT
from tests.dags.conftest import DAGS_FOLDER, airflow_environment

ASK = """
import json, sys
from datetime import UTC, date, datetime
from types import SimpleNamespace
import claims_risk
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException

bag = DagBag(sys.argv[1])

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

def first_task(dag_id, task_id, *arguments):
    dag = bag.dags[dag_id]
    task = dag.get_task(task_id)
    run = SimpleNamespace(run_id="run-1", run_type="manual", conf={"relase": "20261123-x"})
    context = {"dag": dag, "dag_run": run, "run_id": "run-1", "params": dag.params.dump()}
    if hasattr(task, "python_callable"):
        task.python_callable.__globals__["get_current_context"] = lambda: context
    try:
        task.python_callable(*arguments) if hasattr(task, "python_callable") else task.execute(context)
    except Exception as failure:
        return [type(failure).__name__, str(failure)]

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
    "with parameters": sorted(dag_id for dag_id, dag in bag.dags.items() if len(dag.params)),
    "first tasks": {
        "claims_normalized": first_task("claims_normalized", "check_contract", "2026-01-31"),
        "claims_risk_scoring": first_task("claims_risk_scoring", "wait_for_etl"),
        "claims_scores_rollback": first_task("claims_scores_rollback", "show_effect"),
        "train_risk_model": first_task("train_risk_model", "train_model"),
    },
    "running": ask_airflow(1),
    "over": ask_airflow(0),
    "choices": claims_risk.release_choices(),
    "few choices": claims_risk.release_choices(1),
    "models": claims_risk.model_choices(),
    "rulesets": claims_risk.ruleset_choices(),
}, sys.stdout, default=str)
"""

MODELS = ["risk-f00000000000", *(f"risk-{number:012x}" for number in range(40))]
"""Newest first. The default may be the oldest."""
RELEASES = ["20261124-20261123T190512Z-b-t01", "20261123-20261124T090000Z-a-t01"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home: Path = tmp_path_factory.mktemp("airflow")
    for name in (*RELEASES, ".building-20261126-x", "not-a-release"):
        (home / "instance" / "releases" / name).mkdir(parents=True)
    for age, name in enumerate((*MODELS, ".building")):
        model = home / "instance" / "models" / name
        model.mkdir(parents=True)
        os.utime(model, (1_000_000_000 - age, 1_000_000_000 - age))
    instance = {"CLAIMS_INSTANCE_DIR": str(home / "instance")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK, str(DAGS_FOLDER)],
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


@pytest.mark.parametrize(
    ("dag_id", "names"),
    [
        ("claims_normalized", "data_date"),
        ("claims_risk_scoring", "data_date, force, model_version, ruleset_version, top_k"),
        ("claims_scores_rollback", "reason, release, review"),
        ("train_risk_model", "data_date, promote, seed"),
    ],
)
def test_every_dag_refuses_a_slip_before_it_does_anything(answers: dict[str, Any], dag_id: str, names: str) -> None:
    """A rollback that is told `relase` would go back to another release than the one that was asked for."""
    said = f"No parameter of {dag_id}: relase. There are: {names}."
    assert answers["first tasks"][dag_id] == ["AirflowFailException", said]
    assert answers["with parameters"] == sorted(answers["first tasks"]), "another DAG takes parameters"


def test_a_run_is_at_work_as_long_as_airflow_says_so(answers: dict[str, Any]) -> None:
    assert (answers["running"]["answer"], answers["over"]["answer"]) == (True, False)
    assert answers["running"]["asked"] == [
        {"dag_id": "claims_risk_scoring", "run_ids": ["scheduled__x"], "states": ["queued", "running"]}
    ]


def test_the_form_offers_the_releases_newest_data_date_first(answers: dict[str, Any]) -> None:
    assert (answers["choices"], answers["few choices"]) == (RELEASES, RELEASES[:1])


def test_the_form_offers_the_models_and_the_rulesets_on_disk(answers: dict[str, Any]) -> None:
    assert answers["models"] == MODELS
    assert answers["rulesets"] == ["RULESET_v2", "RULESET_v1"]
