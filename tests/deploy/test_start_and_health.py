"""The two pieces of code inside docker-compose.yaml, run for real: the passwords of the UI and the health check."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.deploy import deployment as deploy

PARTS = {
    "api-server": ("127.0.0.1", "metadatabase"),
    "scheduler": ("api-server", "scheduler"),
    "dag-processor": ("api-server", "dag_processor"),
    "triggerer": ("api-server", "triggerer"),
}


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


@contextmanager
def _api_server(answer: dict[str, dict[str, str | None]]) -> Iterator[int]:
    """Answer the monitor's address, and nothing else, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/v2/monitor/health" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _check(service: str, port: int) -> int:
    kind, program, flag, code, server, part = deploy.services()[service]["healthcheck"]["test"]
    assert (kind, program, flag) == ("CMD", "python", "-c")
    assert (server, part) == PARTS[service]
    assert code.count(":8080/") == 1
    here = deploy.interpolate(code, {}).replace(":8080/", f":{port}/")
    return subprocess.run([sys.executable, "-c", here, "127.0.0.1", part], env={}, capture_output=True).returncode


@pytest.mark.parametrize("service", PARTS)
def test_health_check_tells_well_from_ill(service: str) -> None:
    part = PARTS[service][1]
    well: dict[str, dict[str, str | None]] = {other: {"status": "healthy"} for _, other in PARTS.values()}
    for status, expected in (("healthy", 0), ("unhealthy", 1), (None, 1)):
        with _api_server(well | {part: {"status": status}}) as port:
            assert _check(service, port) == expected, status
    assert _check(service, port) != 0, "nobody answers any more"


def test_health_check_ends_before_it_is_cut_off() -> None:
    for name in PARTS:
        assert deploy.services()[name]["healthcheck"]["timeout"] == "10s"
        assert "timeout=8)" in deploy.services()[name]["healthcheck"]["test"][3]
