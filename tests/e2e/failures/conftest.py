"""docs/failures.md, row by row, in a real Airflow: what readers see, who restores, how soon, and the one alert.

One stack for all modules here. Each test begins and ends with the same good release live, so they can run in any
order; the last column of the table is what they measure (`-rP` shows it, FAILURES_TABLE names a file that gets it).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import time as time_of_day
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from ml.clock import data_date_of, etl_tick, latest_due, now
from ml.nightly import store_of
from ml.sample.config import GeneratorConfig
from ml.settings import PROJECT_ROOT, Settings
from ops.local_airflow import LocalAirflow
from ops.local_airflow.drive import Progress, run_night
from ops.local_airflow.processes import marked_processes
from tests.alerts.sinks import mail_server, webhook
from tests.e2e.failures.stage import ETL, HEARTBEAT_TIMEOUT, ROLLBACK, SCORING, WATCHDOG, Stage

DEADLINE = time_of_day(2, 1)
MEGABYTES = 400


def generated(settings: Settings, root: Path) -> None:
    from ml.sample.files import write
    from ml.sample.generate import generate

    for path in settings.raw.glob("*"):
        path.unlink()
    write(generate(GeneratorConfig(claims=1_500, seed=11)), settings.raw, "csv", root / "labels.parquet")


@pytest.fixture(scope="package")
def stage_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("failures")
    (root / "plugins").mkdir()
    for plugin in (PROJECT_ROOT / "plugins").glob("*.py"):
        (root / "plugins" / plugin.name).symlink_to(plugin)
    shutil.copy(Path(__file__).with_name("faults.py"), root / "plugins" / "faults.py")
    volume = root / "volume"
    volume.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(volume)], capture_output=True, check=False
    )
    settings = Settings(_env_file=None, CLAIMS_INSTANCE_DIR=str(volume / "instance"))
    generated(settings, root)
    try:
        with mail_server() as mails, webhook() as slack:
            environ = {
                "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
                "AIRFLOW_CONN_SMTP_DEFAULT": mails.connection,
                "AIRFLOW_CONN_SLACK_DEFAULT": slack.connection,
                "CLAIMS_ALERT_EMAILS": "oncall@claims.invalid",
                "CLAIMS_ALERT_DEADLINE": f"{DEADLINE:%H.%M}",
                "CLAIMS_RETRY_DELAY_SECONDS": "2",
                "CLAIMS_LOCK_TIMEOUT_SECONDS": "5",
                "CLAIMS_KEEP_RELEASES": "4",
                "CLAIMS_TEST_FAULTS": str(root / "faults.json"),
            }
            with LocalAirflow(root / "run", settings.instance_dir, env=environ) as airflow:
                airflow.wait_for_dags([ETL, SCORING, WATCHDOG, ROLLBACK, "train_risk_model"])
                stage = Stage(airflow, settings, mails, slack, root)
                if late := latest_due(DEADLINE) == data_date_of(now()):  # not between 01:00 and 02:01 WIB
                    be_late(stage)
                progress = Progress(airflow.client, Console(width=200), airflow.check_alive, airflow.log_dir)
                run_night(airflow.client, progress, settings, own_stack=True)
                if late:
                    stage.until(lambda: len(mails.mails) > 1, 30, "no word that the night is in time again")
                    stage.late = stage.alerts()
                yield stage
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", str(volume)], check=True)


def be_late(stage: Stage) -> None:
    """Let yesterday's scores be live past today's deadline, although nothing has failed; the watchdog looks twice."""
    client = stage.airflow.client
    yesterday = data_date_of(now()) - timedelta(days=1)
    assert stage.end(client.trigger(ETL, etl_tick(yesterday))) == "success"
    assert stage.end(stage.trigger(data_date=str(yesterday))) == "success"
    for _ in range(2):
        assert stage.end(stage.trigger(WATCHDOG)) == "success"


@pytest.fixture
def stage(stage_of_all: Stage) -> Iterator[Stage]:
    """The stage with a good release live; what a test leaves behind is put right."""
    before = stage_of_all.live
    assert before is not None
    assert store_of(stage_of_all.settings).verify(before) == []
    yield stage_of_all
    (stage_of_all.root / "faults.json").unlink(missing_ok=True)
    for process in marked_processes(stage_of_all.airflow.run_dir):
        with suppress(psutil.Error):
            if process.status() == psutil.STATUS_STOPPED:
                process.kill()
    live = stage_of_all.live
    assert live is not None
    assert store_of(stage_of_all.settings).verify(live) == [], "whatever happens, readers see a whole release"
