"""`LocalAirflow`: metadata store, API server, scheduler, DAG processor and triggerer, started and stopped together."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import filelock
import psutil

from ml.settings import PROJECT_ROOT, load_settings
from ops.local_airflow.client import AirflowClient
from ops.local_airflow.environment import HOST, POOLS, airflow_environment
from ops.local_airflow.metadata_store import MetadataStore
from ops.local_airflow.private_files import ADMIN, load_or_create_secrets, write_exports
from ops.local_airflow.processes import MARK, Component, kill_session, spawn
from ops.local_airflow.state import (
    StackState,
    forget_state,
    free_port,
    make_run_dir,
    port_taken,
    read_state,
    stack_lock,
    sweep,
    write_state,
)

START_TIMEOUT_SECONDS = 180
DAGS_TIMEOUT_SECONDS = 120
IMPORT_ERROR_SECONDS = 10  # how long other files may still bring the DAGs once a file has failed to import
_COMPONENTS = {  # in the order of their start; the logs lie on this machine, so nobody serves them
    "api-server": ["api-server"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
}


class StackError(Exception):
    """The stack cannot start, or one of its processes ended; the message says which and shows its last output."""


class StackBusyError(StackError):
    """Another process runs the stack of this state directory."""


def ended_message(component: Component) -> str:
    """Say which process ended, and show its last output."""
    return (
        f"Airflow's {component.name} ended by itself (exit code {component.process.returncode}). "
        f"End of {component.log}:\n{component.tail()}"
    )


def _silent(message: str) -> None:
    del message


class LocalAirflow:
    """A running Airflow as a context manager.

    Args:
        run_dir: the stack's state (metadata, logs, secrets); made when missing. One stack a directory.
        instance_dir: the claims data the tasks work on (`CLAIMS_INSTANCE_DIR`).
        dags_folder: where the DAG files are.
        port: of the API server; 0 takes a free one.
        env: variables for the stack's processes, over the inherited ones and over Airflow's settings here.
        schedule: whether the nightly schedules start runs by themselves.
        mode: what the stack is for, told to whoever finds it running.
        say: called with one line of progress.
        before_airflow: called when PostgreSQL is up, before Airflow's processes start.
    """

    def __init__(
        self,
        run_dir: Path,
        instance_dir: Path,
        dags_folder: Path = PROJECT_ROOT / "dags",
        *,
        port: int = 0,
        env: Mapping[str, str] | None = None,
        schedule: bool = False,
        mode: str = "test",
        say: Callable[[str], None] = _silent,
        before_airflow: Callable[[], None] | None = None,
    ) -> None:
        self.run_dir = run_dir.absolute()
        self.instance_dir = instance_dir.absolute()
        self.dags_folder = dags_folder.absolute()
        self.log_dir = self.run_dir / "logs"
        self.port = port
        self.mode = mode
        self.username = ADMIN
        self.password = ""
        self.environment: dict[str, str] = {}
        self._extra = dict(env or {})
        self._schedule = schedule
        self._say = say
        self._before_airflow = before_airflow
        self._started_at = datetime.now(UTC)
        self._components: list[Component] = []
        self._lock = stack_lock(self.run_dir)
        self._store: MetadataStore | None = None
        self._client: AirflowClient | None = None

    def __enter__(self) -> LocalAirflow:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """Address of the API server and the UI."""
        return f"http://{HOST}:{self.port}"

    @property
    def client(self) -> AirflowClient:
        """The API, logged in as the administrator."""
        if self._client is None:
            self._client = AirflowClient(self.base_url, self.username, self.password)
        return self._client

    def start(self) -> None:
        """Start everything and wait until it is healthy; on any error or interrupt stop what was started.

        Raises:
            StackBusyError: the stack of this state directory is running already.
            StackError: a part does not start, or the port is taken.
        """
        make_run_dir(self.run_dir)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            state = read_state(self.run_dir)
            who = f"`make {state.mode}` (pid {state.pid}, {state.base_url})" if state else "A starting stack"
            raise StackBusyError(f"{who} is running already; `make down` stops it.") from None
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, tasks included. Harmless when nothing runs."""
        if not self._lock.is_locked:
            return
        if self._client is not None:
            self._client.close()
            self._client = None
        sweep(self.run_dir)
        for component in self._components:
            component.process.wait()
        self._components = []
        if self._store is not None:
            self._store.stop()
        forget_state(self.run_dir)
        self._lock.release()

    @property
    def components(self) -> tuple[Component, ...]:
        """Airflow's processes as they were started, also those that have ended."""
        return tuple(self._components)

    def restart(self, component: Component) -> None:
        """Start a component again that has ended or hangs; what is left of it is killed first, its tasks too.

        As in a container. A scheduler's workers outlive it, deaf to SIGTERM, and hold its session with the metadata
        store open: what it had locked there, the run it was looking at, would stay so for the next scheduler.
        """
        kill_session(self.run_dir, component)
        self._components.remove(component)
        self._components.append(self._spawn(component.name, _COMPONENTS[component.name]))

    def revive_store(self) -> bool:
        """Start PostgreSQL again if it has ended; return whether it had.

        Raises:
            StoreError: it does not start.
        """
        if self._store is None or self._store.running:
            return False
        self._start_store(self._store)
        return True

    def check_alive(self) -> None:
        """Raise when a component has ended by itself.

        Raises:
            StackError: with the last output of that component.
        """
        for component in self._components:
            if component.process.poll() is not None:
                raise StackError(ended_message(component))

    def wait_for_dags(self, dag_ids: Iterable[str]) -> None:
        """Wait until the DAG processor has read these DAGs since the start of the stack.

        Raises:
            StackError: it has not; with the import errors of the DAG files.
        """
        missing = list(dag_ids)
        deadline = time.monotonic() + DAGS_TIMEOUT_SECONDS
        errors_since: float | None = None
        while missing := [dag_id for dag_id in missing if not self._read_since_start(dag_id)]:
            self.check_alive()
            errors = self.client.import_errors()
            if errors:
                errors_since = errors_since or time.monotonic()
            broken_for = time.monotonic() - errors_since if errors_since else 0
            if time.monotonic() > deadline or broken_for > IMPORT_ERROR_SECONDS:
                told = "\n".join(f"{file}:\n{trace}" for file, trace in errors.items())
                raise StackError(f"No DAG {', '.join(missing)} in {self.dags_folder}.\n{told}".strip())
            time.sleep(0.3)

    def _start(self) -> None:
        sweep(self.run_dir, spare_ours=True)  # what a killed stack has left
        secrets = load_or_create_secrets(self.run_dir)
        self.password = secrets.admin_password
        self.port = free_port(HOST) if self.port == 0 else self.port
        if port_taken(HOST, self.port):
            raise StackError(
                f"Port {self.port} of {HOST} is taken by another program; choose one: AIRFLOW_PORT=8081 make up"
            )
        self._store = MetadataStore(self.run_dir, self.log_dir / "components")
        settings = load_settings()
        self.environment = airflow_environment(
            run_dir=self.run_dir,
            instance_dir=self.instance_dir,
            dags_folder=self.dags_folder,
            port=self.port,
            database_url=self._store.url,
            secrets=secrets,
            settings=settings,
            schedule=self._schedule,
            inherited=os.environ,
        )
        self.environment |= self._extra
        write_state(self.run_dir, self._state())
        write_exports(self.run_dir, self.environment)
        self._say("starting PostgreSQL")
        self._start_store(self._store)
        self._migrate(self._store)
        if self._before_airflow:
            self._before_airflow()
        self._say("starting Airflow")
        self._started_at = datetime.now(UTC)
        for name in [name for name in _COMPONENTS if name != "scheduler"]:
            self._components.append(self._spawn(name, _COMPONENTS[name]))
        # A task that starts before the API answers fails, so the scheduler comes after it. Meanwhile the API server
        # builds its side for tasks, which it puts off until the first request.
        self._wait_for("the API server", self.client.health)
        self._components.append(self._spawn("scheduler", _COMPONENTS["scheduler"]))
        self._wait_for("the API server's side for tasks", self.client.wake_execution_api)
        self._wait_for("Airflow", self._healthy)
        for name, slots in POOLS.items():
            self.client.ensure_pool(name, slots)

    def _start_store(self, store: MetadataStore) -> None:
        store.start({name: value for name, value in self.environment.items() if name != MARK})

    def _state(self) -> StackState:
        return StackState(
            pid=os.getpid(),
            created=psutil.Process().create_time(),
            mode=self.mode,
            base_url=self.base_url,
            instance_dir=str(self.instance_dir),
            raw_dir=self.environment.get("CLAIMS_RAW_DIR") or str(self.instance_dir / "raw"),
        )

    def _spawn(self, name: str, arguments: list[str]) -> Component:
        command = [sys.executable, "-m", "airflow", *arguments]
        return spawn(name, command, self.environment, self.log_dir / "components")

    def _migrate(self, store: MetadataStore) -> None:
        """Create or upgrade Airflow's tables, unless this version has done so (it takes seconds to find out)."""
        version = importlib.metadata.version("apache-airflow-core")
        if store.stamp.exists() and store.stamp.read_text() == version:
            return
        self._say("creating Airflow's tables")
        migration = self._spawn("db-migrate", ["db", "migrate"])
        if migration.process.wait() != 0:
            raise StackError(f"`airflow db migrate` failed. End of {migration.log}:\n{migration.tail()}")
        store.stamp.write_text(version)

    def _healthy(self) -> bool:
        return set(self.client.health().values()) == {"healthy"}

    def _wait_for(self, what: str, ready: Callable[[], object]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not ready():
            self.check_alive()
            if time.monotonic() > deadline:
                raise StackError(
                    f"{what} is not ready after {START_TIMEOUT_SECONDS} s: {self.client.health() or 'no answer'}. "
                    f"Its output lies in {self.log_dir / 'components'}."
                )
            time.sleep(0.2)

    def _read_since_start(self, dag_id: str) -> bool:
        dag = self.client.dag(dag_id)
        if dag is None or dag["is_stale"] or not dag["last_parsed_time"]:
            return False
        return datetime.fromisoformat(dag["last_parsed_time"]) > self._started_at
