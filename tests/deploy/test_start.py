"""The start of docker-compose.yaml's services: the code that writes the passwords of the UI, run for real."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import deployment as deploy


def _init_script() -> str:
    program, flags, script = deploy.services()["airflow-init"]["command"]
    assert (program, flags) == ("bash", "-euc")  # stops at the first failure
    return deploy.interpolate(script, {})


def _write_passwords(file: Path, users: str, **passwords: str) -> subprocess.CompletedProcess[str]:
    """Run the script up to the point where Airflow comes in."""
    script = _init_script().partition("airflow db migrate")[0]
    environ = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": users,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(file),
    }
    return subprocess.run(["bash", "-euc", script], env=environ | passwords, capture_output=True, text=True)


def test_passwords_are_written_for_their_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    done = _write_passwords(file, "admin:admin", AIRFLOW_UI_ADMIN_PASSWORD='twelve "chars" é')
    assert done.returncode == 0, done.stderr
    assert json.loads(file.read_text()) == {"admin": 'twelve "chars" é'}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "twelve" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == [file]


def test_new_passwords_replace_the_old(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    file.write_text('{"admin": "the old password", "gone": "the old password"}')
    passwords = {"AIRFLOW_UI_ADMIN_PASSWORD": "the new password", "AIRFLOW_UI_VIEWER_PASSWORD": "another password"}
    assert _write_passwords(file, "admin:admin,viewer:viewer", **passwords).returncode == 0
    assert json.loads(file.read_text()) == {"admin": "the new password", "viewer": "another password"}


@pytest.mark.parametrize("password", [None, "", "admin", "eleven char"])
def test_missing_and_short_passwords_are_refused(tmp_path: Path, password: str | None) -> None:
    given = {} if password is None else {"AIRFLOW_UI_ADMIN_PASSWORD": password}
    done = _write_passwords(tmp_path / "passwords.json", "admin:admin", **given)
    assert done.returncode == 1
    assert "AIRFLOW_UI_ADMIN_PASSWORD needs 12 characters or more" in done.stderr
    assert not list(tmp_path.iterdir())


def test_init_migrates_before_it_makes_pools() -> None:
    lines = _init_script().splitlines()
    steps = [line.split()[1] for line in lines if line.startswith("airflow ")]
    assert steps == ["db", "pools", "pools"]
    assert subprocess.run(["bash", "-n", "-c", _init_script()]).returncode == 0
