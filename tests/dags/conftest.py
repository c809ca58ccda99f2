"""The DAGs as Airflow parses them, in a process of its own: Airflow reads its environment at import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml.settings import PROJECT_ROOT

ParsedWith = Callable[..., dict[str, Any]]

PARSE = """
import json, sys
from types import SimpleNamespace
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
heavy = [name for name in ("sklearn", "pandas", "great_expectations", "pyarrow", "duckdb") if name in sys.modules]
def names(callbacks):
    return [callback.__name__ for callback in (callbacks if isinstance(callbacks, list) else [callbacks]) if callback]
def task(task):
    return {
        "upstream": sorted(task.upstream_task_ids), "trigger_rule": task.trigger_rule.value, "pool": task.pool,
        "retries": task.retries, "retry_delay": task.retry_delay.total_seconds(), "kind": type(task).__name__,
        "kinds": [kind.__name__ for kind in type(task).__mro__],
        "waits_for": [getattr(task, "external_dag_id", None), getattr(task, "external_task_id", None)],
        "deferrable": getattr(task, "deferrable", None), "timeout": getattr(task, "timeout", None),
        "inlets": [asset.name for asset in task.inlets], "outlets": [asset.name for asset in task.outlets],
        "on_failure": names(task.on_failure_callback), "on_execute": names(task.on_execute_callback),
        "execution_timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
    }
def weights(dag):
    from airflow.serialization.serialized_objects import DagSerialization
    read = DagSerialization.from_dict(DagSerialization.to_dict(dag))  # as the scheduler does
    return {task.task_id: task.weight_rule.get_weight(SimpleNamespace(task=task)) for task in read.tasks}
def dag(dag):
    return {
        "weights": weights(dag),
        "schedule": str(dag.schedule), "timezone": str(dag.timezone), "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs, "doc": dag.doc_md or "", "tags": sorted(dag.tags),
        "dagrun_timeout": dag.dagrun_timeout and dag.dagrun_timeout.total_seconds(),
        "owner": dag.owner, "on_failure": names(dag.on_failure_callback), "on_success": names(dag.on_success_callback),
        "params": dag.params.dump(), "schemas": {name: param.schema for name, param in dag.params.items()},
        "tasks": {item.task_id: task(item) for item in dag.tasks},
    }
json.dump({"errors": bag.import_errors, "heavy": heavy, "dags": {i: dag(d) for i, d in bag.dags.items()}}, sys.stdout)
"""


def airflow_environment(home: Path) -> dict[str, str]:
    """The environment of an Airflow that has nothing but our plugins, and none of the caller's settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CLAIMS_"))}
    return environment | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
    }


def parse(home: Path, dags: Path = PROJECT_ROOT / "dags", **environ: str) -> dict[str, Any]:
    """Parse the DAG files in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE, str(dags)],
        env=airflow_environment(home) | environ, cwd=home, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout[done.stdout.index("{") :])


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(tmp_path_factory.mktemp("airflow"))


@pytest.fixture
def parsed_with(tmp_path: Path) -> ParsedWith:
    """Parse claims_risk_scoring under other settings."""

    def parsed(**environ: str) -> dict[str, Any]:
        file = PROJECT_ROOT / "dags" / "claims_risk_scoring.py"
        return parse(tmp_path, file, **environ)["dags"]["claims_risk_scoring"]

    return parsed


@pytest.fixture(scope="session")
def dags(parsed: dict[str, Any]) -> dict[str, Any]:
    return parsed["dags"]


DAGS_FOLDER = Path(PROJECT_ROOT / "dags")
