"""docs/failures.md, row by row, in a real Airflow: what readers see, who restores, how soon, and the one alert.

One stack for all. Each test begins and ends with the same good release live, so they can run in any order; the last
column of the table is what they measure (`-rP` shows it, FAILURES_TABLE names a file that gets it).
"""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import time as time_of_day
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from rich.console import Console

from ml.clock import data_date_of, etl_tick, latest_due, now
from ml.nightly import store_of
from ml.sample.config import GeneratorConfig
from ml.settings import PROJECT_ROOT, Settings
from ops.local_airflow import LocalAirflow
from ops.local_airflow.client import DagRun
from ops.local_airflow.drive import Progress, run_night
from ops.local_airflow.heal import Healer
from ops.local_airflow.processes import Component, marked_processes
from tests.alerts.sinks import Mailbox, Webhook, mail_server, webhook
from tests.nightly.test_runbook import commands
from tests.release.test_full_disk import fill

pytestmark = pytest.mark.e2e_slow

ETL, SCORING, WATCHDOG = "claims_normalized", "claims_risk_scoring", "claims_watchdog"
ROLLBACK = "claims_scores_rollback"
HEARTBEAT_TIMEOUT = 20
DEADLINE = time_of_day(2, 1)
MEGABYTES = 400
NO_MODEL = "risk-000000000000"


@dataclass
class Stage:
    """The stack, what it writes to, and the servers that get its alerts."""

    airflow: LocalAirflow
    settings: Settings
    mails: Mailbox
    slack: Webhook
    root: Path
    late: list[str] = field(default_factory=list)

    # --- driving

    def trigger(self, dag_id: str = SCORING, **conf: Any) -> DagRun:
        return self.airflow.client.trigger(dag_id, conf=conf)

    def order(self, task: str, action: str, times: int = 1, **more: Any) -> None:
        """Let the next tries of a task meet a misfortune."""
        (self.root / "met.jsonl").unlink(missing_ok=True)
        (self.root / "faults.json").write_text(json.dumps({"task": task, "action": action, "times": times, **more}))

    def met(self, number: int = 1) -> dict[str, Any]:
        """Wait until that many tries have met it; return where the last one did."""
        path = self.root / "met.jsonl"
        self.until(lambda: path.exists() and len(path.read_text().splitlines()) >= number, 180, "no try met the fault")
        time.sleep(0.3)
        met: dict[str, Any] = json.loads(path.read_text().splitlines()[number - 1])
        return met

    def until(self, ready: Callable[[], Any], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            assert time.monotonic() < deadline, what
            time.sleep(0.2)

    def end(self, run: DagRun, timeout: float = 240) -> str:
        """Wait for the end of a run; return its state."""
        return self.airflow.client.wait(run, timeout=timeout).state

    def states(self, run: DagRun) -> dict[str, str | None]:
        return {task.name: task.state for task in self.airflow.client.tasks(run.dag_id, run.run_id)}

    def component(self, name: str) -> Component:
        return next(part for part in self.airflow.components if part.name == name)

    # --- looking

    @property
    def live(self) -> str | None:
        return store_of(self.settings).live_id()

    def alerts(self, run: DagRun | None = None) -> list[str]:
        """Subjects of the mails (about a run)."""
        mails = self.mails.mails
        if run is None:
            return [str(mail["Subject"]) for mail in mails]
        return [str(mail["Subject"]) for mail in mails if quote(run.run_id, safe="") in _html(mail)]

    @property
    def bad_news(self) -> int:
        """How many alerts of failures there are; earlier tests' ones may still be told to be over."""
        return len([subject for subject in self.alerts() if "GAGAL" in subject])

    def one_alert(self, run: DagRun, *says: str, timeout: float = 60) -> float:
        """Wait for the alert about a run, see that it stays the only one and says this; return when it came."""
        self.until(lambda: self.alerts(run), timeout, f"no alert about {run.run_id}; there are {self.alerts()}")
        came = time.time()
        time.sleep(8)  # the DAG's callback, the watcher and the like have come by then
        assert len(self.alerts(run)) == 1, self.alerts(run)
        (mail,) = [mail for mail in self.mails.mails if quote(run.run_id, safe="") in _html(mail)]
        for part in says:
            assert part in _html(mail) + str(mail["Subject"]), _html(mail)
        assert [text for text in self.slack.texts if text == str(mail["Subject"])]
        return came

    def cli(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run an `airflow` command in the environment of the stack."""
        arguments = [sys.executable, "-m", *shlex.split(command)]
        return subprocess.run(
            arguments, env=self.airflow.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def follow(self, run: DagRun) -> None:
        """Do what the alert says comes next, word for word; afterwards a new release is live."""
        before = self.live
        (mail,) = [mail for mail in self.mails.mails if quote(run.run_id, safe="") in _html(mail)]
        commands = re.findall(r"break-all\">([^<]*)</div>", _html(mail))
        assert commands
        for command in commands:
            done = self.cli(html.unescape(command))
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert self.end(run) == "success", self.states(run)
        assert self.live != before
        self.until(lambda: any("PULIH" in text for text in self.alerts(run)), 30, "no word that all is well")

    def measured(self, row: str, **seconds: float) -> None:
        """Keep what was measured for the table."""
        line = f"{row}: " + ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
        print(line)
        if path := os.environ.get("FAILURES_TABLE"):
            with Path(path).open("a") as file:
                file.write(line + "\n")


def _html(mail: Any) -> str:
    body = mail.get_body(("html",))
    return str(body.get_content()) if body else ""


def generated(settings: Settings, root: Path) -> None:
    from ml.sample.files import write
    from ml.sample.generate import generate

    for path in settings.raw.glob("*"):
        path.unlink()
    write(generate(GeneratorConfig(claims=1_500, seed=11)), settings.raw, "csv", root / "labels.parquet")


@pytest.fixture(scope="module")
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


def test_no_scores_by_the_deadline(stage: Stage) -> None:
    if not stage.late:
        pytest.skip("it is between 01:00 and 02:01 WIB: the night has begun, and nothing is late yet")
    late, well = stage.late
    assert "[TERLAMBAT] Skor risiko klaim" in late
    assert "[PULIH] Skor risiko klaim" in well
    html_of_late = _html(stage.mails.mails[0])
    assert "padahal batas waktunya sudah lewat" in html_of_late
    assert "airflow dags unpause claims_normalized" in html_of_late


def test_task_raises(stage: Stage) -> None:
    before = stage.live
    begun = time.time()
    run = stage.trigger(model_version=NO_MODEL)
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, "[GAGAL]", "score_claims", NO_MODEL, "belum menayangkan apa pun", "airflow dags clear")
    assert stage.live == before
    stage.measured("task raises", alert_after_trigger=came - begun)


def test_qc_fails(stage: Stage) -> None:
    before = stage.live
    stage.order("quality_check", "stop")
    run = stage.trigger()
    met = stage.met()
    release = stage.live
    assert release != before, "QC looks at what readers see"
    # Readers' own file is spoiled before QC looks at it.
    scores = stage.settings.instance_dir / "releases" / str(release) / "claims_ml_scores.parquet"
    content = scores.read_bytes()
    scores.chmod(0o644)
    scores.write_bytes(content[: len(content) // 2])
    os.kill(met["pid"], signal.SIGCONT)
    failed = time.time()
    assert stage.end(run) == "failed"
    stage.until(lambda: stage.live == before, 30, "not restored")
    came = stage.one_alert(run, "quality_check", "ditarik, rilis sebelumnya tayang lagi")
    stage.measured("QC fails", alert=came - failed)
    stage.follow(run)


@pytest.mark.parametrize(
    ("task", "fault", "says"),
    [
        ("backup_and_swap", {"action": "failpoint", "point": "after:build:kill"}, "belum menayangkan apa pun"),
        ("quality_check", {"action": "kill"}, "ditarik, rilis sebelumnya tayang lagi"),
    ],
)
def test_kill_9_of_a_task_in_every_try(stage: Stage, task: str, fault: dict[str, str], says: str) -> None:
    before = stage.live
    stage.order(task, times=3, **fault)
    run = stage.trigger()
    last = stage.met(3)["at"]
    stage.until(lambda: stage.live == before, 60, "not restored")
    restored = time.time()
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, "[GAGAL]", f": {task}", "berakhir tanpa pesan", says)
    assert stage.live == before
    assert stage.states(run)["restore_on_failure"] == "failed"
    stage.measured(f"kill -9 of {task}, three times", restored=restored - last, alert=came - last)


def test_kill_9_once_is_healed_by_the_retry(stage: Stage) -> None:
    before, alerts = stage.live, stage.bad_news
    stage.order("backup_and_swap", "failpoint", point="after:switch:kill")
    run = stage.trigger()
    killed = stage.met()["at"]
    assert stage.end(run) == "success"
    assert stage.live != before
    assert stage.bad_news == alerts, "nobody is woken by what heals itself"
    stage.measured("kill -9 of the task once", success=time.time() - killed)


def test_kill_9_of_the_supervisor_with_the_orphan_alive(stage: Stage) -> None:
    """The orphan goes on publishing when the next try has: it recognises that and changes nothing."""
    before = stage.live
    stage.order("backup_and_swap", "failpoint", point="before:lock:stop")
    run = stage.trigger()
    met = stage.met()
    stage.until(lambda: psutil.Process(met["pid"]).status() == psutil.STATUS_STOPPED, 30, "not at the lock")
    os.kill(met["supervisor"], signal.SIGKILL)
    killed = time.time()
    assert stage.end(run) == "success", stage.states(run)
    done = time.time()
    after = stage.live
    assert after != before
    with suppress(ProcessLookupError):
        os.kill(met["pid"], signal.SIGCONT)
    time.sleep(5)
    assert stage.live == after, "the orphan has changed nothing"
    assert store_of(stage.settings).verify(str(after)) == []
    stage.measured("kill -9 of the supervisor", success=done - killed, of_which_heartbeat=HEARTBEAT_TIMEOUT)


def test_out_of_memory(stage: Stage) -> None:
    before = stage.live
    stage.order("score_claims", "memory", times=3, megabytes=150)
    run = stage.trigger()
    last = stage.met(3)["at"]
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, ": score_claims", "belum menayangkan apa pun")
    assert stage.live == before
    stage.measured("out of memory", alert=came - last)


def test_execution_timeout(stage: Stage) -> None:
    before = stage.live
    stage.order("score_claims", "slow", times=3, step="score", seconds=60, timeout=3)
    run = stage.trigger()
    last = stage.met(3)["at"]
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, ": score_claims", "Timeout")
    assert stage.live == before
    stage.measured("execution timeout (3 s)", alert=came - last)


def test_dagrun_timeout(stage: Stage) -> None:
    """Six hours pass at once, in the metadata."""
    before = stage.live
    stage.order("quality_check", "slow", step="check_quality", seconds=120)
    run = stage.trigger()
    stage.met()
    assert stage.live != before
    moved = time.time()
    sql(stage, f"UPDATE dag_run SET start_date = start_date - interval '7 hours' WHERE run_id = '{run.run_id}'")
    assert stage.end(run) == "failed"
    stage.until(lambda: stage.live == before, 60, "not restored")
    restored = time.time()
    came = stage.one_alert(run, "[GAGAL]", "ditarik, rilis sebelumnya tayang lagi")
    stage.measured("dagrun timeout", restored=restored - moved, alert=came - moved)
    stage.follow(run)


def test_mark_task_failed(stage: Stage) -> None:
    before = stage.live
    stage.order("quality_check", "slow", step="check_quality", seconds=120)
    run = stage.trigger()
    stage.met()
    marked = time.time()
    path = f"/dags/{SCORING}/dagRuns/{run.run_id}/taskInstances/quality_check"
    stage.airflow.client._send("PATCH", path, json={"new_state": "failed"})
    stage.until(lambda: stage.live == before, 60, "not restored")
    restored = time.time()
    assert stage.end(run) == "failed"
    came = stage.one_alert(run, "ditarik, rilis sebelumnya tayang lagi")
    stage.measured("mark task failed", restored=restored - marked, alert=came - marked)


def test_mark_run_failed(stage: Stage) -> None:
    """Nothing fires; the watchdog (every five minutes) or the next run closes the gap."""
    before = stage.live
    stage.order("quality_check", "slow", step="check_quality", seconds=120)
    run = stage.trigger()
    stage.met()
    stage.airflow.client.mark(SCORING, run.run_id, "failed")
    time.sleep(10)
    assert stage.live != before, "Airflow runs nothing for it"
    assert stage.alerts(run) == []
    begun = time.time()
    assert stage.end(stage.trigger(WATCHDOG)) == "success"
    assert stage.live == before
    restored = time.time()
    came = stage.one_alert(run, "ditarik, rilis sebelumnya tayang lagi")
    assert stage.end(stage.trigger(WATCHDOG)) == "success"
    assert len(stage.alerts(run)) == 1, "it is told once"
    stage.measured("mark run failed, from the watchdog's start", restored=restored - begun, alert=came - begun)
    stage.follow(run)


def test_scheduler_killed_and_restarted(stage: Stage) -> None:
    before, alerts = stage.live, stage.bad_news
    stage.order("score_claims", "slow", step="score", seconds=10)
    run = stage.trigger()
    stage.met()
    scheduler = psutil.Process(stage.component("scheduler").process.pid)
    for process in [scheduler, *scheduler.children(recursive=True)]:
        with suppress(psutil.Error):
            process.kill()
    killed = time.time()
    time.sleep(3)
    stage.airflow.restart(stage.component("scheduler"))
    assert stage.end(run, 300) == "success"
    assert stage.live != before
    assert stage.bad_news == alerts
    stage.measured("scheduler and its tasks killed and restarted", success=time.time() - killed)


def test_api_server_down(stage: Stage) -> None:
    before, alerts = stage.live, stage.bad_news
    stage.order("score_claims", "slow", step="score", seconds=5)
    run = stage.trigger()
    stage.met()
    server = psutil.Process(stage.component("api-server").process.pid)
    for process in [*server.children(recursive=True), server]:
        with suppress(psutil.Error):
            process.kill()
    killed = time.time()
    time.sleep(12)
    stage.airflow.restart(stage.component("api-server"))
    stage.until(lambda: stage.airflow.client.health(), 90, "the API server is not back")
    stage.airflow.client.wake_execution_api()
    assert stage.end(run, 300) == "success", stage.states(run)
    assert stage.live != before
    assert stage.bad_news == alerts
    stage.measured("API server down for 12 s", success=time.time() - killed)


def test_metadata_store_restarted(stage: Stage) -> None:
    before, alerts = stage.live, stage.bad_news
    stage.order("score_claims", "slow", step="score", seconds=5)
    run = stage.trigger()
    stage.met()
    store = stage.airflow._store
    assert store is not None
    stopped = time.time()
    store.stop()
    time.sleep(3)
    healer = Healer(stage.airflow, print, steady_seconds=0)  # for a container's restart policy and health check

    def over() -> bool:
        healer.look()
        return stage.airflow.client.run(run.dag_id, run.run_id).finished

    stage.until(over, 300, "the run does not end")
    assert stage.end(run) == "success", stage.states(run)
    assert stage.live != before
    assert stage.bad_news == alerts
    stage.measured("metadata store restarted", success=time.time() - stopped)


def test_disk_full(stage: Stage) -> None:
    if not os.path.ismount(stage.settings.instance_dir.parent):
        pytest.skip("a tmpfs may not be mounted here")
    before = stage.live
    stage.order("backup_and_swap", "stop")
    run = stage.trigger()
    met = stage.met()
    ballast = fill(stage.settings.instance_dir.parent)
    try:
        os.kill(met["pid"], signal.SIGCONT)
        full = time.time()
        assert stage.end(run) == "failed"
        came = stage.one_alert(run, "[GAGAL]", "skor data")
        assert stage.live == before
    finally:
        ballast.unlink()
    stage.measured("disk full", alert=came - full)


def test_raw_files_missing_then_back(stage: Stage) -> None:
    """The ETL's failure is told once, scoring's consequence is not; the first good run tells that all is well."""
    before = stage.live
    kept = stage.settings.instance_dir / "kept"  # on the same volume
    stage.settings.raw.rename(kept)
    stage.settings.raw.mkdir()
    etl = stage.airflow.client.runs(ETL)[0]
    stage.airflow.client.clear(ETL, etl.run_id)
    begun = time.time()
    assert stage.end(etl) == "failed"
    came = stage.one_alert(etl, "ETL klaim", "check_contract", "no file matches")
    triggered = time.time()
    scoring = stage.trigger()
    assert stage.end(scoring) == "failed"
    waited = time.time()
    assert stage.states(scoring)["wait_for_etl"] == "failed"
    time.sleep(8)
    assert stage.alerts(scoring) == [], "it belongs to the ETL's incident"
    assert stage.live == before

    stage.settings.raw.rmdir()
    kept.rename(stage.settings.raw)
    stage.airflow.client.clear(ETL, etl.run_id)
    assert stage.end(etl) == "success"
    stage.until(lambda: "[PULIH] ETL klaim" in stage.alerts()[-1], 30, "no word that all is well")
    stage.measured("raw files missing", alert=came - begun, scoring_failed=waited - triggered)


def test_rollback_to_a_damaged_release(stage: Stage) -> None:
    """It is refused and told; nothing changes for readers, and no retry is made of it."""
    if len(store_of(stage.settings).releases()) < 2:
        assert stage.end(stage.trigger()) == "success"
    before = stage.live
    chosen = next(release for release in store_of(stage.settings).releases() if release.id != before)
    scores = chosen.path / "claims_ml_scores.parquet"
    content = scores.read_bytes()
    scores.chmod(0o644)
    scores.write_bytes(content[:-1])
    try:
        begun = time.time()
        run = stage.trigger(ROLLBACK, release=chosen.id, reason="test")
        assert stage.end(run) == "failed"
        came = stage.one_alert(run, "[GAGAL] Rollback skor: show_effect", "belum dilakukan", "releases rollback")
    finally:
        scores.write_bytes(content)
        scores.chmod(0o444)
    assert stage.live == before
    stage.measured("rollback to a damaged release", alert_after_trigger=came - begun)


def test_a_run_that_is_cleared_and_fails_again_is_told_again(stage: Stage) -> None:
    run = stage.trigger(model_version=NO_MODEL)
    assert stage.end(run) == "failed"
    stage.one_alert(run, "[GAGAL]")
    done = stage.cli(f"airflow dags clear {SCORING} --run-id {run.run_id} --yes")
    assert done.returncode == 0, done.stdout + done.stderr
    stage.until(lambda: len(stage.alerts(run)) == 2, 120, "it is not told again")


def test_a_good_run_after_failures_tells_that_all_is_well(stage: Stage) -> None:
    run = stage.trigger(model_version=NO_MODEL)
    assert stage.end(run) == "failed"
    stage.one_alert(run, "[GAGAL]")
    good = stage.trigger()
    assert stage.end(good) == "success"
    stage.until(lambda: any("[PULIH]" in text for text in stage.alerts(good)), 30, "no word that all is well")
    again = stage.trigger()
    assert stage.end(again) == "success"
    time.sleep(8)
    assert not [text for text in stage.alerts(again) if "[PULIH]" in text], "it is told once"


def sql(stage: Stage, statement: str) -> None:
    """Run a statement on the metadata."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(stage.airflow.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(statement))


def test_every_airflow_command_of_the_runbook_works(stage: Stage) -> None:
    run = stage.trigger(model_version=NO_MODEL)
    assert stage.end(run) == "failed"
    tick = etl_tick(data_date_of(now()))
    words = {
        "RUN_ID": run.run_id,
        "TICK": (tick - timedelta(days=30)).isoformat(),
        "FROM": (tick - timedelta(days=41)).isoformat(),
        "TO": (tick - timedelta(days=40)).isoformat(),
    }
    for line in commands("airflow "):
        done = stage.cli(shlex.join(words.get(word, word) for word in shlex.split(line)))
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
