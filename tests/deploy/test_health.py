"""The health checks of Airflow's services in docker-compose.yaml, run for real: who is ill, and whom they end."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.deploy import deployment as deploy
from tests.deploy.containers import Container, check, container

PARTS = {
    "api-server": ("127.0.0.1", "metadatabase"),
    "scheduler": ("api-server", "scheduler"),
    "dag-processor": ("api-server", "dag_processor"),
    "triggerer": ("api-server", "triggerer"),
}
HEALED = [name for name in PARTS if name != "api-server"]
# Hears no SIGTERM, as a process that hangs; and has left an orphan to its first process.
DEAF = """
import pathlib, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.run(["sh", "-c", "sleep 60 &"])
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""
Health = dict[str, dict[str, str | None]]


def _health(status: str | None = "healthy", *, ill: str = "", silent: float = 0) -> Health:
    """What the API server says, with one part ill and silent for so many seconds."""
    now = datetime.now(UTC)
    answer: Health = {"metadatabase": {"status": "healthy"}}
    for _, part in PARTS.values():
        heard = now - timedelta(seconds=silent if part == ill else 0)
        state = status if part == ill else "healthy"
        answer[part] = {"status": state} | (
            {f"latest_{part}_heartbeat": heard.isoformat()} if part != "metadatabase" else {}
        )
    return answer


@contextmanager
def _api_server(answer: Callable[[], Health]) -> Iterator[int]:
    """Answer the monitor's address, and nothing else, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/v2/monitor/health" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answer()).encode())

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


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[Container]:
    """A service that hangs, started now."""
    ready = tmp_path / "ready"
    with container([sys.executable, "-c", DEAF, str(ready)], {}, tmp_path / "log") as running:
        deadline = time.monotonic() + 20
        while not (ready.exists() and len(running.init.children()) == 2) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield running


def test_arguments_name_the_service_itself() -> None:
    for service, (server, part) in PARTS.items():
        _, _, _, code, *arguments = deploy.services()[service]["healthcheck"]["test"]
        patience = ["180", "1"] if service in HEALED else []
        assert arguments == [server, part, *patience]
        assert ("kill()" in code) == (service in HEALED)


@pytest.mark.parametrize("service", PARTS)
def test_tells_well_from_ill(service: str, deaf: Container) -> None:
    part = PARTS[service][1]
    for status, expected in (("healthy", 0), ("unhealthy", 1), (None, 1)):
        with _api_server(partial(_health, status, ill=part)) as port:
            assert check(service, port, init=deaf.init.pid) == expected, status
    assert check(service, port, init=deaf.init.pid) != 0, "nobody answers any more"
    assert deaf.main.is_running()


@pytest.mark.parametrize("service", HEALED)
def test_ends_who_is_silent_for_long_so_that_the_restart_policy_starts_it_again(service: str, deaf: Container) -> None:
    part = PARTS[service][1]
    answer = _health("unhealthy", ill=part, silent=4000)
    main, orphan = sorted(deaf.init.children(), key=lambda child: float(child.create_time()))
    main.terminate()  # what `docker stop` would send; in vain
    with _api_server(lambda: answer) as port:
        assert check(service, port, init=deaf.init.pid, patience=0, pause=0.1) == 1
    assert deaf.init.wait(timeout=20) == 128 + 9, "an exit, which is what the policy looks at"
    assert not main.is_running()
    assert orphan.is_running(), "in a container it ends with its first process"
    orphan.kill()
    told = deaf.log.read_text()
    heartbeat = answer[part][f"latest_{part}_heartbeat"]
    assert told == f"health check: no heartbeat of {part} since {heartbeat}, ending it\n", "in the container's log"


def _of_a_store_that_is_away() -> Health:
    return _health("unhealthy", ill="triggerer", silent=4000) | {"metadatabase": {"status": "unhealthy"}}


@pytest.mark.parametrize(
    ("answer", "patience"),
    [
        (_of_a_store_that_is_away, 0),
        (lambda: _health("unhealthy", ill="triggerer", silent=40), 60),
        (lambda: _health("unhealthy", ill="triggerer", silent=4000), 60),  # the silence is that of the one before
        # Each look finds another heartbeat: a machine that has slept and wakes.
        (lambda: _health("unhealthy", ill="triggerer", silent=4000), 0),
    ],
    ids=["store away", "a while", "just started", "woken"],
)
def test_leaves_alone(answer: Callable[[], Health], patience: float, deaf: Container) -> None:
    with _api_server(answer) as port:
        assert check("triggerer", port, init=deaf.init.pid, patience=patience, pause=0.1) == 1
    assert deaf.main.status() == psutil.STATUS_SLEEPING
    assert deaf.log.read_text() == ""


def test_ends_before_it_is_cut_off() -> None:
    for name in PARTS:
        check_of: dict[str, Any] = deploy.services()[name]["healthcheck"]
        (look,) = [int(seconds) for seconds in re.findall(r"timeout=(\d+)\)", check_of["test"][3])]
        pauses = [int(seconds) for seconds in re.findall(r"sleep\((\d+)\)", check_of["test"][3])]
        assert look * (1 + len(pauses)) + sum(pauses) < int(check_of["timeout"].removesuffix("s")), name
