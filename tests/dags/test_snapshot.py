"""The serialised DAGs, as the scheduler gets them, against what is kept: a change in any of them is seen in a review.

After an intended change: `UPDATE_SNAPSHOTS=1 python -m pytest tests/dags/test_snapshot.py`, and look at the diff.
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
from tests.dags.conftest import airflow_environment

SNAPSHOTS = Path(__file__).with_name("snapshots")
SERIALISE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag(sys.argv[1])
print("DAGS", json.dumps({dag_id: DagSerialization.to_dict(dag)["dag"] for dag_id, dag in bag.dags.items()}))
"""
PLACES_AND_LOOKS = {
    "doc_md", "fileloc", "relative_fileloc", "_processor_dags_folder", "ui_color", "ui_fgcolor", "template_fields",
    "template_fields_renderers", "tooltip", "_task_module", "_operator_name",
}  # fmt: skip


def plain(value: Any) -> Any:
    """Leave out where files lie and what only the UI draws."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in sorted(value.items()) if key not in PLACES_AND_LOOKS}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def serialised(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SERIALISE, str(PROJECT_ROOT / "dags")],
        env=airflow_environment(home) | {"CLAIMS_INSTANCE_DIR": str(home / "instance")},
        cwd=home, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    dags: dict[str, Any] = json.loads(done.stdout.partition("DAGS ")[2])
    return {dag_id: plain(dag) for dag_id, dag in dags.items()}


def test_every_dag_is_as_it_was_kept(serialised: dict[str, Any]) -> None:
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        for dag_id, dag in serialised.items():
            (SNAPSHOTS / f"{dag_id}.json").write_text(json.dumps(dag, indent=1) + "\n")
    kept = {path.stem: json.loads(path.read_text()) for path in SNAPSHOTS.glob("*.json")}
    assert set(kept) == set(serialised)
    for dag_id, dag in serialised.items():
        assert dag == kept[dag_id], f"{dag_id} has changed"
