"""What the commands of the local Airflow do."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import psutil
from rich.console import Console

from ml.settings import PROJECT_ROOT, Settings, load_settings
from ops.local_airflow.client import AirflowClient
from ops.local_airflow.drive import ETL_DAG, SCORING_DAG, TRAINING_DAG, Progress, run_night
from ops.local_airflow.environment import UI_PORT
from ops.local_airflow.heal import Healer
from ops.local_airflow.metadata_store import MetadataStore
from ops.local_airflow.private_files import ADMIN, EXPORTS_FILE, load_or_create_secrets
from ops.local_airflow.processes import MARK
from ops.local_airflow.sample import Sample, plan_sample, wanted_claims
from ops.local_airflow.stack import START_TIMEOUT_SECONDS, LocalAirflow, StackBusyError, StackError
from ops.local_airflow.state import (
    StackState,
    drive_lock,
    forget_state,
    is_run_dir,
    make_run_dir,
    read_state,
    stack_lock,
    sweep,
)

STOP_TIMEOUT_SECONDS = 60
_FOLDERS = ("CLAIMS_RUN_DIR", "CLAIMS_INSTANCE_DIR", "CLAIMS_RAW_DIR")


@dataclass(frozen=True)
class Terminal:
    """Where progress goes, with the seconds since the start."""

    console: Console
    started: float

    def say(self, line: str) -> None:
        """Print a line of progress."""
        self.console.print(f"[dim]{time.monotonic() - self.started:6.1f} s[/dim]  {line}", soft_wrap=True)


@dataclass(frozen=True)
class Project:
    """The folders and wishes of this call, from the environment."""

    run_dir: Path
    settings: Settings
    claims: int | None
    port: int | None

    @property
    def instance_dir(self) -> Path:
        """Where the claims data are."""
        return self.settings.instance_dir.absolute()

    @property
    def child_environment(self) -> dict[str, str]:
        """Environment of programs that are started beside Airflow; marked, so that `down` finds them."""
        return {**os.environ, MARK: str(self.run_dir), "CLAIMS_INSTANCE_DIR": str(self.instance_dir)}


def project(environ: MutableMapping[str, str]) -> Project:
    """Read the environment; relative folders in it are taken from where the caller stands.

    Raises:
        SettingsError: a setting is wrong.
        SampleError: CLAIMS is not a number.
        ValueError: AIRFLOW_PORT is not a port.
    """
    for name in _FOLDERS:
        if not environ.get(name):
            environ.pop(name, None)
        else:
            environ[name] = str(resolve(environ[name], environ))
    port = environ.get("AIRFLOW_PORT") or None
    if port is not None and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"AIRFLOW_PORT={port} is not a port number (1 to 65535)")
    return Project(
        run_dir=Path(environ.get("CLAIMS_RUN_DIR") or PROJECT_ROOT / ".run"),
        settings=load_settings(),
        claims=wanted_claims(environ.get("CLAIMS")),
        port=int(port) if port else None,
    )


def resolve(text: str, environ: Mapping[str, str]) -> Path:
    """Return an absolute path. `make -C` moves this process, so the caller's own folder is tried first."""
    places = [Path(environ.get("CLAIMS_CALLER_DIR") or Path.cwd()), Path.cwd()]
    candidates = [place / Path(text).expanduser() for place in places]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0]).resolve()


def run(terminal: Terminal, project: Project) -> None:
    """ETL and scoring through Airflow, then the report; in a stack of its own, or in the one `up` has started."""
    make_run_dir(project.run_dir)
    lock = drive_lock(project.run_dir)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StackBusyError("Another `make run` is at work here; wait for it, or stop it with `make down`.") from None
    with lock, _sample(terminal, project) as maker:
        with _any_stack(terminal, project) as (client, own):
            maker.finish()
            terminal.say(f"running the night; to watch it: {client.base_url} (user {ADMIN})")
            alive = own.check_alive if own else _nothing
            progress = Progress(client, terminal.console, alive, project.run_dir / "logs")
            run_night(client, progress, project.settings, own_stack=own is not None)
            terminal.say("the report" + (", while Airflow stops" if own else ""))
            report = subprocess.Popen([sys.executable, "-m", "ml.pipelines.show_release"])
        if report.wait() != 0:
            raise StackError("The report failed.")


def up(terminal: Terminal, project: Project) -> None:
    """Run the whole Airflow, with all schedules, until a signal comes."""
    with (
        _sample(terminal, project) as maker,
        LocalAirflow(
            project.run_dir,
            project.instance_dir,
            port=project.port or UI_PORT,
            schedule=True,
            mode="up",
            say=terminal.say,
            # The scheduler makes up for the latest tick at once, so the claims must be there before it starts.
            before_airflow=maker.finish,
        ) as stack,
    ):
        console = terminal.console
        console.print(f"\nAirflow is up: [bold]{stack.base_url}[/bold]")
        console.print(f"  user      {stack.username}\n  password  {stack.password}", markup=False)
        sourced = shlex.quote(str(project.run_dir / EXPORTS_FILE))
        console.print(
            f"`airflow ...` in another terminal works on it after:  . {sourced}", markup=False, soft_wrap=True
        )
        console.print("Stop it with Ctrl-C, or with `make down` in another terminal.\n")
        try:
            stack.wait_for_dags((ETL_DAG, TRAINING_DAG, SCORING_DAG))
            for dag_id in (ETL_DAG, SCORING_DAG):
                stack.client.unpause(dag_id)
        except StackError as error:  # a DAG file can be mended while Airflow is up
            console.print(str(error), style="red", markup=False, soft_wrap=True)
        healer = Healer(stack, terminal.say)
        while True:
            healer.look()
            time.sleep(1)


def down(terminal: Terminal, project: Project) -> None:
    """Stop the stack: ask its owner, then end whatever is left."""
    if not is_run_dir(project.run_dir):
        terminal.console.print("Nothing is running.")
        return
    lock = stack_lock(project.run_dir)
    found = _ask_owner_to_stop(project.run_dir, lock)
    with lock:
        found += sweep(project.run_dir)
        forget_state(project.run_dir)
    terminal.console.print("Stopped." if found else "Nothing is running.")


def status(terminal: Terminal, project: Project) -> bool:
    """Print what runs; return whether something does."""
    state = read_state(project.run_dir)
    if state is None or state.owner() is None:
        terminal.console.print("Nothing is running.")
        return False
    client = _client_of(state, project)
    health = ", ".join(f"{name} {value}" for name, value in client.health().items()) or "starting"
    terminal.console.print(f"`make {state.mode}` is running (pid {state.pid}) at {state.base_url}: {health}")
    return True


def sample(terminal: Terminal, project: Project) -> None:
    """Generate the sample claims, unless they are there."""
    with _sample(terminal, project) as maker:
        maker.finish()


def clean(terminal: Terminal, project: Project) -> None:
    """Stop everything and remove the state directory, if it is one."""
    down(terminal, project)
    if is_run_dir(project.run_dir):
        MetadataStore(project.run_dir, project.run_dir).remove()
        shutil.rmtree(project.run_dir)


@contextmanager
def _sample(terminal: Terminal, project: Project) -> Iterator[Sample]:
    """Begin to generate claims when there are none; the caller calls `finish` before it needs them."""
    own_files = project.settings.raw_dir is not None
    plan = plan_sample(project.settings.raw, project.claims, own_files)
    terminal.say(plan.reason)
    sample = Sample(project.settings.raw, plan.claims, project.child_environment)
    try:
        yield sample
    finally:
        sample.cancel()


@contextmanager
def _any_stack(terminal: Terminal, project: Project) -> Iterator[tuple[AirflowClient, LocalAirflow | None]]:
    """A stack of our own, or the client of the one that runs already."""
    stack = LocalAirflow(project.run_dir, project.instance_dir, port=project.port or 0, mode="run", say=terminal.say)
    try:
        stack.start()
    except StackBusyError:
        yield _client_of_running(terminal, project), None
        return
    try:
        stack.wait_for_dags((ETL_DAG, TRAINING_DAG, SCORING_DAG))
        yield stack.client, stack
    finally:
        stack.stop()


def _client_of_running(terminal: Terminal, project: Project) -> AirflowClient:
    """The client of the running stack, once it is healthy.

    Raises:
        StackError: it works on other folders, or does not become healthy.
    """
    terminal.say("using the stack that is running already")
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        state = read_state(project.run_dir)
        if state:
            _same_folders(state, project)
            if state.owner() is None:
                break
            client = _client_of(state, project)
            if set(client.health().values()) == {"healthy"}:
                return client
        time.sleep(0.5)
    raise StackError("The running stack does not become healthy; stop it with `make down`.")


def _same_folders(state: StackState, project: Project) -> None:
    wanted = {
        "CLAIMS_INSTANCE_DIR": str(project.instance_dir),
        "CLAIMS_RAW_DIR": str(project.settings.raw),
    }
    running = {"CLAIMS_INSTANCE_DIR": state.instance_dir, "CLAIMS_RAW_DIR": state.raw_dir}
    for name, folder in wanted.items():
        if running[name] != folder:
            raise StackError(
                f"The running stack has {name}={running[name]}, this call {folder}. Stop it first: make down"
            )


def _client_of(state: StackState, project: Project) -> AirflowClient:
    return AirflowClient(state.base_url, ADMIN, load_or_create_secrets(project.run_dir).admin_password)


def _ask_owner_to_stop(run_dir: Path, lock: filelock.BaseFileLock) -> int:
    """Return with the lock held: at once when no owner lives, else when it has stopped or had to be killed.

    The return value is the number of owners, 0 or 1.
    """
    asked: psutil.Process | None = None
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while True:
        try:
            lock.acquire(timeout=0.2)
            return int(asked is not None)
        except filelock.Timeout:
            state = read_state(run_dir)
            owner = state.owner() if state else None
            if owner and asked is None:
                owner.terminate()
                asked = owner
            if owner and time.monotonic() > deadline:
                owner.kill()


def _nothing() -> None:
    """There is no component of our own to look after."""
