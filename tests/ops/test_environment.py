"""The stack's environment and secrets: complete, private, stable, and not led astray by the caller's."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml.settings import Settings
from ops.local_airflow import commands
from ops.local_airflow.environment import airflow_environment
from ops.local_airflow.private_files import EXPORTS_FILE, PASSWORDS_FILE, load_or_create_secrets, write_exports
from ops.local_airflow.processes import MARK
from ops.local_airflow.state import forget_state


def environment(run_dir: Path, **changes: Any) -> dict[str, str]:
    arguments: dict[str, Any] = {
        "run_dir": run_dir,
        "instance_dir": run_dir / "instance",
        "dags_folder": run_dir / "dags",
        "port": 8123,
        "database_url": "postgresql+psycopg2://airflow@/postgres?host=/sock",
        "secrets": load_or_create_secrets(run_dir),
        "settings": Settings(),
        "schedule": True,
        "inherited": {"PATH": "/bin"},
    }
    return airflow_environment(**(arguments | changes))


def test_every_process_finds_database_api_and_dags(tmp_path: Path) -> None:
    made = environment(tmp_path)
    assert made["PATH"] == "/bin"
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://")
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert made["AIRFLOW__API__HOST"] == "127.0.0.1", "nobody else on the network"
    assert made["AIRFLOW__CORE__DAGS_FOLDER"] == str(tmp_path / "dags")
    assert made["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_warehouse_connection_has_the_limits_of_the_settings(tmp_path: Path) -> None:
    settings = Settings(CLAIMS_DUCKDB_MEMORY_LIMIT="3GB", CLAIMS_THREADS=5)
    assert json.loads(environment(tmp_path, settings=settings)["AIRFLOW_CONN_CLAIMS_WAREHOUSE"]) == {
        "conn_type": "duckdb",
        "host": str(tmp_path / "instance" / "warehouse.duckdb"),
        "extra": {"memory_limit": "3GB", "threads": 5},
    }


def test_the_schedule_can_be_off(tmp_path: Path) -> None:
    assert environment(tmp_path)["AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE"] == "True"
    assert environment(tmp_path, schedule=False)["AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE"] == "False"


def test_settings_of_other_installations_are_left_out(tmp_path: Path) -> None:
    inherited = {
        "AIRFLOW_CONFIG": "/etc/airflow.cfg",
        "AIRFLOW_HOME": "/opt/airflow",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "PGPORT": "6000",
        "PGOPTIONS": "-c x=y",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AIRFLOW_CONN_SLACK_ALERTS": "slackwebhook://",
    }
    made = environment(tmp_path, inherited=inherited)
    assert not {"AIRFLOW_CONFIG", "PGPORT", "PGOPTIONS", "PYTHONDONTWRITEBYTECODE"} & set(made)
    assert made["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert made["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert made["AIRFLOW_CONN_SLACK_ALERTS"] == "slackwebhook://", "alerts are configured by the caller"


def test_a_terminal_gets_what_commands_need_and_no_more(tmp_path: Path) -> None:
    odd = 'a\'b "$HOME" `id` \\'
    inherited = {"PATH": "/bin", "AIRFLOW_CONN_SMTP_DEFAULT": "smtp://secret", "RULESET_VERSION": odd, "EDITOR": "vi"}
    made = environment(tmp_path, inherited=inherited)
    write_exports(tmp_path, made)
    file = tmp_path / EXPORTS_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = subprocess.run(
        ["/bin/sh", "-c", f". {file} && env -0"], env={"PATH": "/bin"}, capture_output=True, text=True, check=True
    ).stdout
    got = dict(line.split("=", 1) for line in shown.split("\0") if line)
    names = [name for name in made if name.startswith(("AIRFLOW__", "CLAIMS_")) and name != MARK]
    assert {name: got.get(name) for name in names} == {name: made[name] for name in names}
    assert got["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert got["RULESET_VERSION"] == odd
    assert got["PATH"] == f"{Path(sys.executable).parent}:/bin"
    assert MARK not in got, "`make down` would end this terminal's programs"
    assert not {name for name in got if name.startswith(("AIRFLOW_CONN_", "EDITOR"))}
    forget_state(tmp_path)
    assert not file.exists()


def test_loopback_goes_past_a_proxy(tmp_path: Path) -> None:
    made = environment(tmp_path, inherited={"HTTP_PROXY": "http://proxy", "NO_PROXY": "intra.example"})
    assert made["NO_PROXY"] == made["no_proxy"] == "intra.example,127.0.0.1,localhost"


def test_secrets_are_random_private_and_stable(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    made = load_or_create_secrets(tmp_path)
    assert load_or_create_secrets(tmp_path) == made
    assert not set(vars(made).values()) & set(vars(load_or_create_secrets(tmp_path / "other")).values())
    assert len(base64.urlsafe_b64decode(made.fernet_key)) == 32
    for file in (tmp_path / "secrets.json", tmp_path / PASSWORDS_FILE):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads((tmp_path / PASSWORDS_FILE).read_text()) == {"admin": made.admin_password}


def test_secrets_of_an_earlier_version_get_what_they_lack(tmp_path: Path) -> None:
    made = load_or_create_secrets(tmp_path)
    kept = json.loads((tmp_path / "secrets.json").read_text())
    del kept["claims_api_secret"]
    (tmp_path / "secrets.json").write_text(json.dumps(kept))
    mended = load_or_create_secrets(tmp_path)
    assert len(mended.claims_api_secret) >= 32
    assert replace(mended, claims_api_secret=made.claims_api_secret) == made
    assert load_or_create_secrets(tmp_path) == mended


def test_damaged_secrets_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{}")
    with pytest.raises(ValueError, match="is damaged"):
        load_or_create_secrets(tmp_path)
    assert (tmp_path / "secrets.json").read_text() == "{}"


def test_secrets_of_the_caller_win(tmp_path: Path) -> None:
    own = load_or_create_secrets(tmp_path)
    made = environment(tmp_path)
    assert made["AIRFLOW__CORE__FERNET_KEY"] == own.fernet_key
    assert made["CLAIMS_PATIENT_KEY_SECRET"] == own.patient_key
    given = {"AIRFLOW__CORE__FERNET_KEY": "f", "CLAIMS_PATIENT_KEY_SECRET": "p" * 16}
    settings = Settings(CLAIMS_PATIENT_KEY_SECRET="p" * 16)
    made = environment(tmp_path, inherited=given, settings=settings)
    assert (made["AIRFLOW__CORE__FERNET_KEY"], made["CLAIMS_PATIENT_KEY_SECRET"]) == ("f", "p" * 16)


def test_relative_folders_are_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caller, here = tmp_path / "caller", tmp_path / "here"
    for folder in (caller / "raw", here / "raw", here / "only_here"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    environ = {"CLAIMS_CALLER_DIR": str(caller)}
    assert commands.resolve("raw", environ) == caller / "raw"
    assert commands.resolve("only_here", environ) == here / "only_here"
    assert commands.resolve("nowhere", environ) == caller / "nowhere"
    assert commands.resolve("raw", {}) == here / "raw"
    assert commands.resolve("/etc", environ) == Path("/etc")


def test_relative_folders_of_the_projects_settings_are_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make` is typed somewhere; the settings alone would take them from the project root."""
    import os

    for name in ("CLAIMS_INSTANCE_DIR", "CLAIMS_RAW_DIR"):
        monkeypatch.setenv(name, name.lower())
    monkeypatch.setenv("CLAIMS_CALLER_DIR", str(tmp_path))
    project = commands.project(os.environ)
    assert project.instance_dir == tmp_path / "claims_instance_dir"
    assert project.settings.raw == tmp_path / "claims_raw_dir"


def test_project_reads_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CLAIMS_RUN_DIR": "run",
        "CLAIMS_INSTANCE_DIR": "",
        "CLAIMS": "1_000",
        "AIRFLOW_PORT": "8081",
        "CLAIMS_CALLER_DIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    import os

    project = commands.project(os.environ)
    assert (project.run_dir, project.claims, project.port) == (tmp_path / "run", 1000, 8081)
    assert project.settings.raw_dir is None
    monkeypatch.setenv("AIRFLOW_PORT", "http")
    with pytest.raises(ValueError, match="AIRFLOW_PORT=http is not a port number"):
        commands.project(os.environ)
