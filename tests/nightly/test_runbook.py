"""docs/runbook.md, docs/panduan-auditor.md: every command without Airflow, word for word, on two good releases.

The `airflow` commands are run in tests/e2e/failures/test_operator.py, against a running Airflow.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ml.nightly import store_of
from ml.settings import PROJECT_ROOT, Settings
from tests.nightly.conftest import Night
from tests.nightly.test_nightly import Publish, check

PAGES = [PROJECT_ROOT / "docs" / name for name in ("runbook.md", "panduan-auditor.md")]
OLD_WORDS = [
    "python -m ml.pipelines.refresh_ml_scores --top-k 50",
    "python -m ml.pipelines.qc_summary --logs-dir instance/logs --output instance/logs/ml_scores_qc_summary.json",
    "ops/scripts/refresh_ml_scores.sh",
]


def commands(*begin: str) -> list[str]:
    """The pages' commands that begin with one of these words, in their order, each once."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), flags=re.DOTALL)]
    lines = [line for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.startswith(begin)))


def test_every_command_is_of_a_kind_that_is_run() -> None:
    assert len(commands("python ", "ops/", "airflow ")) == len(commands(""))


def test_the_old_words_still_stand_there() -> None:
    assert [line for line in OLD_WORDS if line not in commands("")] == []


@pytest.fixture
def place(settings: Settings, publish: Publish, tmp_path: Path) -> Path:
    """A folder in which `instance/...` and `ops/...` are what the runbook means."""
    for name in ("first", "second"):
        night: Night = publish(name, qc=True)
        check(settings, night)
    (tmp_path / "ops").symlink_to(PROJECT_ROOT / "ops")
    assert settings.instance_dir == tmp_path / "instance"
    return tmp_path


def test_every_command_without_airflow_works(settings: Settings, place: Path) -> None:
    environment = os.environ | {
        "CLAIMS_INSTANCE_DIR": str(settings.instance_dir),
        "CLAIMS_API_JWT_SECRET": "a-secret-for-tests-that-is-long-enough",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
    }
    before = store_of(settings).live_id()
    for line in commands("python ", "ops/"):
        done = subprocess.run(
            shlex.split(line), cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert store_of(settings).live_id() != before
    assert (place / "instance" / "logs" / "ml_scores_qc_summary.json").exists()
