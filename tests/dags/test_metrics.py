"""What the scoring DAG's tasks send to StatsD or by OpenTelemetry, by Airflow's own clients, to servers of the test."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ml.settings import PROJECT_ROOT
from tests.dags.conftest import airflow_environment

# The tasks' own functions, with the night's steps replaced; the client is set up as Airflow's task runner does it.
CALL = """
import sys, time
from collections import defaultdict
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from ml import nightly
from ml.qc import QcResult
from ml.release import Published

dag = DagBag(sys.argv[1]).dags["claims_risk_scoring"]
stats.initialize(
    factory=stats_utils.get_stats_factory(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on")
)

def call(task_id, argument):
    function = dag.get_task(task_id).python_callable
    context = {"run_id": "run-1", "ti": SimpleNamespace(try_number=1), "params": {"top_k": 50}}
    context["outlet_events"] = defaultdict(SimpleNamespace)
    function.__globals__["get_current_context"] = lambda: context
    return function(argument)

def publish(settings, token, folder):
    time.sleep(0.2)
    return Published("release-1", Path("release-1"), switched, None, 1234, date(2026, 3, 10))

def quality_of(passed, warnings):
    def run(release, **given):
        return QcResult(passed, Path("log.json"), [] if passed else ["bad"], warnings, {})
    return run

release = SimpleNamespace(manifest=SimpleNamespace(data_date=date(2026, 3, 10)), path=Path("."), id="release-1")
nightly.publish = publish
nightly.store_of = lambda settings: SimpleNamespace(
    live=lambda: release, get=lambda release_id: release, record_qc=lambda *_, **__: None,
    withdrawn=lambda release_id: False,
)
published = {
    "folder": "here", "rows": 1234, "data_date": "2026-03-10", "release_id": "release-1", "switched": True
}
for switched in (True, False):
    call("backup_and_swap", published)
nightly.run_quality_check = quality_of(True, ["drift", "concentration"])
call("quality_check", published)
nightly.run_quality_check = quality_of(False, [])
try:
    call("quality_check", published)
except Exception as error:
    print(type(error).__name__)
"""


def run_tasks(home: Path, metrics: dict[str, str], **environ: str) -> str:
    """Publish twice (switched, archived only), check twice (passed, failed); return what is printed."""
    environment = airflow_environment(home) | {"CLAIMS_INSTANCE_DIR": str(home / "instance")} | environ
    options = {f"AIRFLOW__METRICS__{name}": value for name, value in metrics.items()}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CALL, str(PROJECT_ROOT / "dags")],
        env=environment | options, cwd=home, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def received(sink: socket.socket) -> list[str]:
    """Everything that has arrived at a socket."""
    sink.settimeout(0.2)
    messages: list[str] = []
    while True:
        try:
            messages += sink.recv(65536).decode().splitlines()
        except TimeoutError:
            return messages


@pytest.fixture
def sink() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        yield made


def test_publish_and_quality_are_sent_when_the_switch_is_on(sink: socket.socket, tmp_path: Path) -> None:
    port = sink.getsockname()[1]
    said = run_tasks(tmp_path, {"STATSD_ON": "True", "STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(port)})
    assert said.splitlines()[-1] == "AirflowFailException", "a failed QC is told, and still fails the task"
    sent = [line.removeprefix("airflow.") for line in received(sink) if line.startswith("airflow.claims.")]
    durations = [line for line in sent if line.startswith("claims.publish.duration:")]
    assert [line for line in sent if line not in durations] == [
        "claims.publish.rows:1234|g",
        "claims.publish.switched:1|g",
        "claims.publish.rows:1234|g",
        "claims.publish.switched:0|g",
        "claims.qc.passed:1|g",
        "claims.qc.warnings:2|g",
        "claims.qc.passed:0|g",
        "claims.qc.warnings:0|g",
    ]
    assert len(durations) == 2
    for line in durations:
        value, kind = line.partition(":")[2].split("|")
        assert kind == "ms" and 200 <= float(value) < 2000


@contextmanager
def collector() -> Iterator[tuple[str, dict[str, Any]]]:
    """An OpenTelemetry collector: its address, and by name the last value that has come (of timings how many)."""
    found: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = ExportMetricsServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            metrics = [one for part in sent.resource_metrics for scope in part.scope_metrics for one in scope.metrics]
            for metric in metrics:
                data = getattr(metric, str(metric.WhichOneof("data")))
                point = data.data_points[-1]
                is_timing = metric.unit == "ms"
                found[metric.name] = point.count if is_timing else getattr(point, point.WhichOneof("value"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", found
        server.shutdown()


@pytest.mark.e2e_slow
def test_publish_and_quality_are_sent_by_opentelemetry_as_well(tmp_path: Path) -> None:
    """With what Airflow brings along: docs/deployment.md says that no other package is needed."""
    with collector() as (address, found):
        said = run_tasks(tmp_path, {"OTEL_ON": "True"}, OTEL_EXPORTER_OTLP_ENDPOINT=address)
    assert said.splitlines()[-1] == "AirflowFailException"
    assert found == {
        "airflow.claims.publish.rows": 1234,
        "airflow.claims.publish.switched": 0,
        "airflow.claims.publish.duration": 2,
        "airflow.claims.qc.passed": 0,
        "airflow.claims.qc.warnings": 0,
    }


def test_nothing_is_sent_when_the_switch_is_off(sink: socket.socket, tmp_path: Path) -> None:
    run_tasks(tmp_path, {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(sink.getsockname()[1])})
    assert received(sink) == []


@pytest.mark.parametrize(
    "wrong",
    [pytest.param({"STATSD_HOST": "no-such-host.invalid"}, marks=pytest.mark.e2e_slow), {"STATSD_PORT": "none"}],
)
def test_a_metric_that_cannot_be_sent_fails_no_task(wrong: dict[str, str], tmp_path: Path) -> None:
    said = run_tasks(tmp_path, {"STATSD_ON": "True", "STATSD_HOST": "127.0.0.1"} | wrong)
    assert said.splitlines()[-1] == "AirflowFailException", "all four calls were made, only the failed QC fails"
