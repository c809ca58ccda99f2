"""A run that waits for its ETL goes on by itself after PostgreSQL has restarted and after the triggerer hung."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from ml.sample.config import GeneratorConfig
from ml.settings import Settings
from ops.local_airflow import DagRun, LocalAirflow
from ops.local_airflow.heal import Healer
from tests.deploy import deployment as deploy
from tests.deploy.containers import check, container
from tests.e2e.conftest import ETL, ROWS, SCORING, Operator, tonight

pytestmark = pytest.mark.e2e_slow

OUTAGE_SECONDS = 8
PATIENCE_SECONDS = 20.0  # in place of the health check's own 180, for the test's sake


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A stack of its own, as it gets broken; the ETL is paused, so that runs wait for it."""
    from ml.sample.files import write
    from ml.sample.generate import generate

    root = tmp_path_factory.mktemp("healing")
    settings = Settings(_env_file=None, CLAIMS_INSTANCE_DIR=str(root / "instance"))
    write(generate(GeneratorConfig(claims=ROWS, seed=5)), settings.raw, "csv", root / "labels" / "labels.parquet")
    with LocalAirflow(root / "run", settings.instance_dir) as airflow:
        airflow.wait_for_dags([ETL, SCORING, "train_risk_model"])
        yield Operator(airflow, settings)


def wait_for(
    ready: Callable[[], object], what: str, meanwhile: Callable[[], object] = lambda: None, seconds: float = 300
) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, what
        meanwhile()
        time.sleep(0.5)


def waiting_run(operator: Operator, days_ago: int) -> DagRun:
    """A scoring run that waits for its ETL in the triggerer."""
    day = tonight() - timedelta(days=days_ago)
    operator.pause(ETL, True)
    operator.etl_run(day)
    run = operator.airflow.client.trigger(SCORING, conf={"data_date": str(day)})
    operator.until_task(run, "wait_for_etl", "deferred")
    pattern = f"logs/dag_id={SCORING}/run_id={run.run_id}/task_id=wait_for_etl/*.trigger.*.log"
    operator.until(lambda: list(operator.airflow.run_dir.glob(pattern)), what="the triggerer does not look")
    return run


def end_of(operator: Operator, run: DagRun, meanwhile: Callable[[], object]) -> str:
    """Let the ETL run; return how the run that waits for it ends."""
    operator.pause(ETL, False)
    client = operator.airflow.client
    wait_for(lambda: client.run(run.dag_id, run.run_id).finished, "the run waits for ever", meanwhile)
    return client.run(run.dag_id, run.run_id).state


def test_a_waiting_run_goes_on_after_postgresql_has_restarted(operator: Operator) -> None:
    airflow = operator.airflow
    run = waiting_run(operator, 1)
    healer = Healer(airflow, print, steady_seconds=0)  # for a container's restart policy and health check
    assert airflow._store is not None
    airflow._store.stop()
    time.sleep(OUTAGE_SECONDS)
    back = time.monotonic()
    healer.look()
    assert end_of(operator, run, healer.look) == "success"
    again = {part.name: f"{part.started - back:.1f} s" for part in airflow.components if part.started > back}
    print(f"success {time.monotonic() - back:.1f} s after the store was back, the ETL included; started again: {again}")
    assert operator.task(run, "wait_for_etl").try_number == 1, "it has waited all the time"
    wait_for(lambda: set(airflow.client.health().values()) == {"healthy"}, "not healthy again", healer.look)


def test_a_waiting_run_goes_on_after_postgresql_was_killed(operator: Operator) -> None:
    airflow = operator.airflow
    run = waiting_run(operator, 2)
    healer = Healer(airflow, print, steady_seconds=0)
    server = airflow._store and airflow._store._server()
    assert server
    server.kill()
    wait_for(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, "still there")
    healer.look()
    assert end_of(operator, run, healer.look) == "success"
    wait_for(lambda: set(airflow.client.health().values()) == {"healthy"}, "not healthy again", healer.look)


def test_the_health_check_of_compose_ends_a_triggerer_that_hangs(operator: Operator, tmp_path: Path) -> None:
    """The last one: the stack's own triggerer is replaced by one in the shape of a container."""
    airflow = operator.airflow
    (own,) = [part for part in airflow.components if part.name == "triggerer"]
    airflow._components.remove(own)
    own.process.terminate()
    own.process.wait()
    command = deploy.services()["triggerer"]["command"]
    environ = airflow.environment | {"PATH": f"{Path(sys.executable).parent}:{airflow.environment['PATH']}"}

    def checked(init: int) -> int:
        return check("triggerer", airflow.port, init=init, patience=PATIENCE_SECONDS)

    with container(command, environ, tmp_path / "triggerer.log") as hung:
        wait_for(lambda: checked(hung.init.pid) == 0, "the triggerer does not start")
        run = waiting_run(operator, 3)
        main = hung.main
        main.suspend()
        main.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        wait_for(lambda: hung.init.poll() is not None, "not ended", lambda: checked(hung.init.pid))
        ended = time.monotonic()
        assert hung.init.returncode == 128 + signal.SIGKILL
        told = re.search(r"health check: no heartbeat of triggerer since (\S+),", hung.log.read_text())
        assert told
        assert datetime.now(UTC) - datetime.fromisoformat(told[1]) > timedelta(seconds=PATIENCE_SECONDS)
    with container(command, environ, tmp_path / "triggerer.log") as again:  # the restart policy
        assert end_of(operator, run, lambda: checked(again.init.pid)) == "success"
        assert again.init.poll() is None, "the new one is left alone"
    print(f"ended after {ended - stopped:.1f} s, success {time.monotonic() - ended:.1f} s later, the ETL's included")
