"""What the tasks of train_risk_model make of a refusal, of a form that wants no promotion, and of a missing ETL.

Beside them, in the same process, what the ETL makes of a backfill that is given a data date, the night's first task
of a wrong setting, and its others of a task before them that left nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ml.settings import PROJECT_ROOT
from tests.dags.conftest import airflow_environment

CALL = """
import json, sys
from types import SimpleNamespace
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
dag = bag.dags["train_risk_model"]

def outcome(task_id, *arguments, promote=True, run_type="manual", seed=None):
    function = dag.get_task(task_id).python_callable
    params = {"data_date": None, "seed": seed, "promote": promote}
    run = SimpleNamespace(run_id="run-1", run_type=run_type, conf=None)
    function.__globals__["get_current_context"] = lambda: {"params": params, "dag_run": run, "dag": dag}
    try:
        return [function(*arguments)]
    except Exception as error:
        return [type(error).__name__, str(error)]

def etl_of_a_backfill(day):
    etl = bag.dags["claims_normalized"]
    function = etl.get_task("check_contract").python_callable
    run = SimpleNamespace(run_type="backfill", conf={"data_date": day})
    function.__globals__["get_current_context"] = lambda: {"dag_run": run, "run_id": "run-1", "dag": etl}
    try:
        function("2206-01-31")
    except Exception as error:
        return [type(error).__name__, str(error)]

def recover_with(error):
    function = bag.dags["claims_risk_scoring"].get_task("recover").python_callable
    function.__globals__["get_current_context"] = lambda: {"run_id": "run-1"}
    settings.load_settings, before = raising(error), settings.load_settings
    try:
        function()
    except Exception as failure:
        return [type(failure).__name__, str(failure)]
    finally:
        settings.load_settings = before

def qc_with(top_k):
    from collections import defaultdict
    from ml import nightly
    function = bag.dags["claims_risk_scoring"].get_task("quality_check").python_callable
    events = defaultdict(SimpleNamespace)
    context = {"run_id": "run-1", "params": {"top_k": top_k}, "outlet_events": events}
    function.__globals__["get_current_context"] = lambda: context
    check, nightly.check_quality = nightly.check_quality, lambda _settings, **named: repr(named["top_k"])
    published = dict.fromkeys(("release_id", "data_date", "rows", "switched"))
    try:
        return function(published)["qc_log"]
    finally:
        nightly.check_quality = check

def after_nothing(task_id):
    try:
        return [bag.dags["claims_risk_scoring"].get_task(task_id).python_callable(None)]
    except Exception as error:
        return [type(error).__name__, str(error)]

def raising(error):
    def fail(*_arguments, **_named):
        raise error
    return fail

def refuse(settings, version, *, who):
    report = SimpleNamespace(version=version, refusals=("it is bad",), against="risk-before")
    raise life.GateRefusedError(report)

results = {
    "no claims": outcome("train_model"),
    "no claims yet": outcome("train_model", run_type="scheduled"),
}
from ml import settings
from ml.model.artefact import ModelError
from ml.promotion import life
results["a wrong setting"] = recover_with(settings.SettingsError("CLAIMS_MIN_PEERS: is no number"))
train, life.train_candidate = life.train_candidate, raising(ModelError("too few claims"))
results["claims that train no model"] = outcome("train_model")
life.train_candidate = lambda settings, day, *, seed, who: SimpleNamespace(version=repr(seed))
results["seeds"] = [*outcome("train_model", seed=5.0), *outcome("train_model", seed=0)]
life.train_candidate = train
followers = ("audit_candidate", "backup_and_swap", "quality_check", "qc_summary")
results |= {f"after nothing {task_id}": after_nothing(task_id) for task_id in followers}
results["top_k"] = [qc_with(top_k) for top_k in (7.0, None)]
adopted = []
life.adopt = lambda settings, version, *, who: adopted.append([version, who])
life.require_passed = lambda settings, version, *, who: None
results |= {
    "passed": outcome("judge_model", "risk-1"),
    "candidate": outcome("promote_model", "risk-1", promote=False),
    "adopted before": list(adopted),
    "promoted": outcome("promote_model", "risk-1"),
    "adopted after": list(adopted),
}
life.require_passed = refuse
results["refused"] = outcome("judge_model", "risk-1")
results["etl of a backfill"] = etl_of_a_backfill("2206-01-31")
results["etl of a backfill without a date"] = etl_of_a_backfill(None)
json.dump(results, sys.stdout)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    home = tmp_path_factory.mktemp("airflow")
    environment = airflow_environment(home) | {"CLAIMS_INSTANCE_DIR": str(home / "instance")}
    arguments = [sys.executable, "-W", "ignore", "-c", CALL, str(Path(PROJECT_ROOT) / "dags")]
    done = subprocess.run(
        arguments, env=environment, cwd=home, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout[done.stdout.index('{"') :])


def test_a_refusal_fails_for_good_and_says_why(outcomes: dict[str, list[object]]) -> None:
    kind, said = outcomes["refused"]
    assert kind == "AirflowFailException", "another try would give the same"
    assert "The gate refuses risk-1: it is bad. The default stays risk-before." in str(said)
    assert outcomes["passed"] == ["risk-1"]


@pytest.mark.parametrize(
    ("case", "words"),
    [("a wrong setting", "CLAIMS_MIN_PEERS: is no number"), ("claims that train no model", "too few claims")],
)
def test_what_another_try_cannot_heal_fails_for_good(outcomes: dict[str, list[object]], case: str, words: str) -> None:
    assert outcomes[case] == ["AirflowFailException", words]


@pytest.mark.parametrize(
    ("task_id", "before"),
    [
        ("audit_candidate", "score_claims"),
        ("backup_and_swap", "audit_candidate"),
        ("quality_check", "backup_and_swap"),
        ("qc_summary", "quality_check"),
    ],
)
def test_what_follows_a_task_that_was_marked_success_too_soon_says_so(
    outcomes: dict[str, list[object]], task_id: str, before: str
) -> None:
    kind, said = outcomes[f"after nothing {task_id}"]
    assert kind == "AirflowFailException", "another try would give the same"
    assert str(said).startswith(f"{before} left no result: it was marked as success before it had ended")
    assert "Clear the whole run" in str(said)


def test_a_whole_number_with_a_point_is_a_whole_number(outcomes: dict[str, list[object]]) -> None:
    """To JSON Schema 5.0 is an integer; scikit-learn refuses it as a seed."""
    assert outcomes["seeds"] == ["5", "0"]
    assert outcomes["top_k"] == ["7", "None"]


def test_a_candidate_only_skips_the_promotion(outcomes: dict[str, list[object]]) -> None:
    assert outcomes["candidate"][0] == "AirflowSkipException"
    assert outcomes["adopted before"] == []
    assert (outcomes["promoted"], outcomes["adopted after"]) == (["risk-1"], [["risk-1", "run-1"]])


def test_without_claims_a_scheduled_run_is_skipped_and_a_manual_one_fails(outcomes: dict[str, list[object]]) -> None:
    assert outcomes["no claims"][0] == "AirflowFailException"
    assert outcomes["no claims yet"][0] == "AirflowSkipException"
    assert "Run the ETL first" in str(outcomes["no claims yet"][1])


def test_a_data_date_in_a_backfill_of_the_etl_is_refused(outcomes: dict[str, list[object]]) -> None:
    kind, said = outcomes["etl of a backfill"]
    assert kind == "AirflowFailException"
    assert "Every night of this backfill would be made for data date 2206-01-31" in str(said)
    assert "lies in the future" in str(outcomes["etl of a backfill without a date"][1]), "it gets further"
