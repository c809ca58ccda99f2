"""The stack itself: what a failed task shows, a component's death, and that nothing outlives `down`."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from ml.settings import PROJECT_ROOT
from ops.local_airflow import AirflowClient, LocalAirflow, StackBusyError, StackError
from ops.local_airflow.drive import Progress, RunFailedError
from ops.local_airflow.metadata_store import MetadataStore
from ops.local_airflow.processes import marked_processes
from ops.local_airflow.state import free_port, is_run_dir, read_state

pytestmark = pytest.mark.e2e

DAG = """
import os
from datetime import timedelta
from airflow.sdk import dag, task

@dag(dag_id="two_steps", schedule=None, default_args={"retries": 1, "retry_delay": timedelta(seconds=1)})
def two_steps():
    @task(pool="claims_etl")
    def first(**context):
        if context["dag_run"].conf.get("bad"):
            raise RuntimeError("row 17 of visits.csv: no claim id")
        print(os.environ["FROM_THE_TEST"])

    @task
    def second():
        pass

    first() >> second()

two_steps()
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    root = tmp_path_factory.mktemp("stack")
    (root / "dags").mkdir()
    (root / "dags" / "two_steps.py").write_text(DAG)
    (root / "dags" / "broken.py").write_text("from airflow.sdk import dag\nimport no_such_module\n")
    environ = {"FROM_THE_TEST": "word from the test"}
    with LocalAirflow(root / "run", root / "instance", root / "dags", env=environ) as airflow:
        airflow.wait_for_dags(["two_steps"])
        yield airflow
    assert marked_processes(airflow.run_dir) == []
    assert MetadataStore(airflow.run_dir, root).stop() is False


def progress(stack: LocalAirflow) -> tuple[Progress, Console]:
    console = Console(width=200, record=True, file=io.StringIO())
    return Progress(stack.client, console, stack.check_alive, stack.log_dir), console


def test_a_run_is_followed_task_by_task(stack: LocalAirflow) -> None:
    shown, console = progress(stack)
    run = stack.client.trigger("two_steps")
    shown.follow(run)
    lines = [line.split() for line in console.export_text().splitlines()]
    assert [line[:2] for line in lines[1:]] == [["first", "success"], ["second", "success"]]
    assert run.logical_date is None
    first, _ = stack.client.tasks("two_steps", run.run_id)
    assert "INFO word from the test" in stack.client.log_tail(first)


def test_a_failed_task_shows_its_error_and_where_the_log_is(stack: LocalAirflow) -> None:
    shown, console = progress(stack)
    with pytest.raises(RunFailedError, match="two_steps failed"):
        shown.follow(stack.client.trigger("two_steps", conf={"bad": True}))
    text = console.export_text()
    assert text.count("RuntimeError: row 17 of visits.csv: no claim id") == 2, "the first try and its retry"
    assert "upstream_failed" in text
    logs = [Path(line.split("log: ")[1]) for line in text.splitlines() if "log: " in line]
    assert [log.name for log in logs] == ["attempt=1.log", "attempt=2.log"]
    assert all("row 17" in log.read_text() for log in logs)


def test_a_second_stack_in_the_same_place_is_refused(stack: LocalAirflow) -> None:
    with pytest.raises(StackBusyError, match=r"is running already; `make down` stops it"):
        LocalAirflow(stack.run_dir, stack.instance_dir, stack.dags_folder).start()
    assert stack.client.health(), "and does no harm to the first"


def test_a_file_that_cannot_be_imported_is_shown(stack: LocalAirflow) -> None:
    with pytest.raises(StackError, match="No module named 'no_such_module'"):
        stack.wait_for_dags(["broken"])


def test_the_death_of_a_component_is_noticed(stack: LocalAirflow) -> None:  # the last one: it breaks the stack
    stack.check_alive()
    (processor,) = [part for part in stack._components if part.name == "dag-processor"]
    processor.process.kill()
    processor.process.wait()
    with pytest.raises(StackError, match=r"dag-processor ended by itself \(exit code -9\)"):
        stack.check_alive()


@pytest.mark.e2e_slow
def test_nothing_is_left_after_kill_9_and_down(tmp_path: Path) -> None:
    run_dir, port = tmp_path / "run", free_port("127.0.0.1")
    environ = os.environ | {
        "CLAIMS_RUN_DIR": str(run_dir),
        "CLAIMS_INSTANCE_DIR": str(tmp_path / "instance"),
        "CLAIMS": "500",
        "AIRFLOW_PORT": str(port),
    }

    def call(name: str) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-m", "ops.local_airflow", name]
        return subprocess.run(arguments, cwd=PROJECT_ROOT, env=environ, capture_output=True, text=True, timeout=120)

    log = tmp_path / "up.log"
    with log.open("w") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "ops.local_airflow", "up"], cwd=PROJECT_ROOT, env=environ, stdout=output
        )
    try:
        deadline = time.monotonic() + 150
        while "Stop it with Ctrl-C" not in log.read_text():
            assert up.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        shown = log.read_text()
        assert f"http://127.0.0.1:{port}" in shown
        password = shown.split("password")[1].split()[0]
        client = AirflowClient(f"http://127.0.0.1:{port}", "admin", password)
        # Both schedules are active: the latest ticks are made up for, and a task is at work when the axe falls.
        while not any("LocalExecutor: " in name and "<idle>" not in name for name in commands_of(run_dir)):
            assert time.monotonic() < deadline, client.runs("claims_normalized")
            time.sleep(0.2)
        client.close()
        assert "is running" in call("status").stdout

        family = psutil.Process(up.pid).children(recursive=True)  # not by the mark: that is what is tested
        up.send_signal(signal.SIGKILL)
        up.wait()
        left = [process for process in family if alive(process)]
        assert len(left) >= 12, "a kill -9 leaves them all: that is what `down` is for"
        assert call("status").returncode == 3

        down = call("down")
        assert (down.returncode, down.stdout) == (0, "Stopped.\n")
        assert marked_processes(run_dir) == []
        assert [process for process in left if alive(process)] == []
        assert postgres_of(run_dir) == []
        assert call("down").stdout == "Nothing is running.\n"
        assert read_state(run_dir) is None

        assert call("clean").returncode == 0
        assert not run_dir.exists()
        assert list((tmp_path / "instance" / "raw").glob("*fkrtl*")), "claims are the user's"
    finally:
        with suppress(ProcessLookupError):
            up.kill()
        up.wait()
        if is_run_dir(run_dir):
            call("clean")


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def commands_of(run_dir: Path) -> list[str]:
    found = []
    for process in marked_processes(run_dir):
        with suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return found


def postgres_of(run_dir: Path) -> list[psutil.Process]:
    data = str(MetadataStore(run_dir, run_dir).data)
    return [process for process in psutil.process_iter(["cmdline"]) if data in (process.info["cmdline"] or [])]
