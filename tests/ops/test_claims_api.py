"""`make api`: prints a call that works as it stands, on an instance that has no release yet, too."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from ml.settings import PROJECT_ROOT
from ops.local_airflow.state import free_port


def test_the_printed_call_is_let_in(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    environment = os.environ | {
        "CLAIMS_RUN_DIR": str(tmp_path / "run"),
        "CLAIMS_INSTANCE_DIR": str(tmp_path / "instance"),
        "CLAIMS_API_PORT": str(port),
        "COLUMNS": "80",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ops.local_airflow", "api"],
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        call = re.search(r"curl .*\n.*", log.read_text())
        assert call
        _, _, header, url = shlex.split(call[0].replace("\\\n", " "))
        answer = httpx.get(url, headers=dict([header.split(": ", 1)]))
        assert answer.status_code == 503, answer.text
        assert "No release is live yet" in answer.json()["detail"]
        assert httpx.get(url).status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130, -signal.SIGINT)
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 503
    except httpx.TransportError:
        return False
