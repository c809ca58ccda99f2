"""The channels: the providers' real hooks against real servers on loopback; in a process of its own, see conftest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ml.settings import PROJECT_ROOT
from tests.alerts.sinks import Mailbox, Webhook, free_port, mail_server, silence, wait_until, webhook
from tests.dags.conftest import airflow_environment

SEND = """
import json, logging, sys, time
from datetime import date
from types import SimpleNamespace
logging.basicConfig(stream=sys.stderr, level=logging.INFO, force=True)
import claims_alerts
from ml.alerts import Kind
from ml.settings import load_settings_leniently

run = SimpleNamespace(dag_id="claims_risk_scoring", run_id="run-1", clear_number=0, logical_date=None, run_after=None)
task = SimpleNamespace(task_id="score_claims", try_number=3)
context = {"dag_run": run, "ti": task, "params": {"data_date": "2026-11-25"}, "exception": ValueError("row 7 is bad")}
if "unreachable" in sys.argv:
    from airflow.sdk import BaseHook

    def refuse(conn_id):
        raise ConnectionError("no API server")

    BaseHook.get_connection = refuse
claims_alerts.note_begun(context)
claims_alerts.note_failure(context)
begun = time.monotonic()
for _ in range(int(sys.argv[1])):
    claims_alerts.tell_failure(context)
seconds = time.monotonic() - begun
settings = load_settings_leniently()
book = claims_alerts.book_of(settings)
if "bare" in sys.argv:
    claims_alerts.tell_failure({"dag": SimpleNamespace(dag_id="claims_normalized"), "run_id": "run-2"})
    run.dag_id, task.task_id = "claims_scores_rollback", "show_effect"
    claims_alerts.note_failure(context | {"exception": ValueError("it is damaged")})
    claims_alerts.tell_failure(context)
if "recovered" in sys.argv:
    from ml.alerts import RunKey
    claims_alerts.tell_good_run(settings, book, RunKey("claims_normalized", "run-2"), date(2026, 11, 25))
if "dies" in sys.argv:  # while it tells of the recovery
    from ml.alerts import RunKey
    def deliver(*_): raise KeyboardInterrupt
    claims_alerts.deliver = deliver
    try:
        claims_alerts.tell_good_run(settings, book, RunKey("claims_normalized", "run-2"), date(2026, 11, 25))
    except KeyboardInterrupt:
        pass
if "again" in sys.argv:
    claims_alerts.send_again(settings, book)  # as the watchdog does
print("RESULT", json.dumps({
    "seconds": seconds, "events": [[event.kind, event.dag_id, event.task_id, event.error] for event in book.events()],
}))
"""


def tell(home: Path, *more: str, times: int = 1, **environ: str) -> tuple[dict[str, Any], str]:
    """Let a run fail and tell it; return what the process found and its log."""
    own = {"CLAIMS_INSTANCE_DIR": str(home / "instance"), "PYTHONPATH": str(PROJECT_ROOT / "plugins")}
    logging = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SEND, str(times), *more],
        env=airflow_environment(home) | own | logging | environ,
        cwd=home, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("RESULT ")[2]), done.stdout + done.stderr


WATCH = """
import claims_alerts
from ml import nightly

nightly.recover = lambda settings, run_id, is_running, *, quick=False: print("RECOVER", run_id, quick)
claims_alerts.watch({})
"""


def test_a_recovery_whose_telling_dies_is_not_taken_for_told(tmp_path: Path) -> None:
    """The watchdog looks after runs without an end; noted before, this one would have been no longer among them."""
    found, _ = tell(tmp_path, "bare", "dies")
    assert "succeeded" not in {kind for kind, *_ in found["events"]}
    found, _ = tell(tmp_path, "bare", "recovered")
    assert "succeeded" in {kind for kind, *_ in found["events"]}


def test_the_watchdogs_recover_is_quick(tmp_path: Path) -> None:
    """Every five minutes it would hash hundreds of megabytes."""
    own = {"CLAIMS_INSTANCE_DIR": str(tmp_path / "instance"), "PYTHONPATH": str(PROJECT_ROOT / "plugins")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCH],
        env=airflow_environment(tmp_path) | own,
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "RECOVER None True" in done.stdout, done.stdout + done.stderr


DELETED = """
import sys
from types import SimpleNamespace
import claims_alerts
from ml import nightly
from ml.alerts import Event, Kind
from ml.alerts.incidents import runs_to_look_after
from ml.clock import now
from ml.settings import load_settings_leniently

class Airflow:
    def get_dr_count(self, *, dag_id, run_ids):
        return 0 if run_ids == ["deleted"] else 1
    def get_dagrun_state(self, dag_id, run_id):
        if run_id == "deleted":
            raise RuntimeError("API_SERVER_ERROR: 404")
        return "running"

nightly.recover = lambda *_arguments, **_named: None
book = claims_alerts.book_of(load_settings_leniently())
for run_id in ("deleted", "at-work"):
    book.note(Event(kind=Kind.BEGUN, dag_id="claims_risk_scoring", run_id=run_id, attempt=0))
claims_alerts.watch({"ti": Airflow()})
print("LEFT", [run.run_id for run, _ in runs_to_look_after(book, now())])
"""


def test_a_run_that_was_deleted_is_no_longer_looked_after(tmp_path: Path) -> None:
    """Airflow answers 404 for its state, which would be a traceback every five minutes for a week."""
    own = {"CLAIMS_INSTANCE_DIR": str(tmp_path / "instance"), "PYTHONPATH": str(PROJECT_ROOT / "plugins")}
    logging = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DELETED],
        env=airflow_environment(tmp_path) | own | logging,
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "LEFT ['at-work']" in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def channels(box: Mailbox, hook: Webhook) -> dict[str, str]:
    return {
        "AIRFLOW_CONN_SMTP_DEFAULT": box.connection,
        "AIRFLOW_CONN_SLACK_DEFAULT": hook.connection,
        "CLAIMS_ALERT_EMAILS": "oncall@claims.invalid, data@claims.invalid",
    }


def test_each_channel_gets_one_alert_however_often_it_is_told(tmp_path: Path) -> None:
    with mail_server() as box, webhook() as hook:
        result, log = tell(tmp_path, "bare", times=3, **channels(box, hook))
    subjects = [
        "[GAGAL] Skor risiko klaim, data 25 November 2026: score_claims",
        "[GAGAL] ETL klaim, data (tidak diketahui)",  # a callback that knows no more than the run's id
        "[GAGAL] Rollback skor: show_effect",
    ]
    assert box.subjects == subjects, log
    assert hook.texts == subjects
    assert box.mails[0]["To"] == "oncall@claims.invalid, data@claims.invalid"
    body = box.mails[0].get_body(("html",))
    assert body is not None
    assert "row 7 is bad" in body.get_content()
    assert [event[0] for event in result["events"]] == ["begun", *["failed", "told", "ended"] * 3]
    assert result["events"][1] == ["failed", "claims_risk_scoring", "score_claims", "row 7 is bad"]


def test_without_connections_there_is_a_line_in_the_log_and_no_error(tmp_path: Path) -> None:
    result, log = tell(tmp_path, "bare", "recovered", times=2, CLAIMS_ALERT_EMAILS="oncall@claims.invalid")
    told = [event[0] for event in result["events"]].count("told")
    assert told == 4, "three failures, and that the ETL's is over"
    assert log.count("there is no connection smtp_default: no e-mail is sent") == told
    assert log.count("there is no connection slack_default") == told
    assert log.count("[GAGAL] Skor risiko klaim") == 1, "the alert itself stands in the log"
    assert log.count("[PULIH] ETL klaim") == 1
    assert "Traceback" not in log


def test_a_channel_that_cannot_be_looked_up_is_not_taken_for_none(tmp_path: Path) -> None:
    """The API server is down: a night that nobody was told of must not count as told."""
    result, log = tell(tmp_path, "unreachable")
    assert "connection slack_default cannot be looked up" in log
    assert "there is no connection" not in log
    assert log.count("[GAGAL] Skor risiko klaim") == 1
    assert "told" not in [event[0] for event in result["events"]]


def test_without_recipients_no_mail_is_tried(tmp_path: Path) -> None:
    with mail_server() as box:
        _, log = tell(tmp_path, AIRFLOW_CONN_SMTP_DEFAULT=box.connection)
    assert box.mails == []
    assert "CLAIMS_ALERT_EMAILS is empty: no e-mail is sent" in log


@pytest.mark.parametrize("hanging", ["email", pytest.param("slack", marks=pytest.mark.e2e_slow)])
def test_a_channel_that_hangs_delays_the_other_not_at_all_and_the_run_little(tmp_path: Path, hanging: str) -> None:
    with mail_server() as box, webhook() as hook, silence() as port:
        box_port, hook_port = box.port, hook.port
        if hanging == "email":
            box.port = port
        else:
            hook.port = port
        result, log = tell(tmp_path, **channels(box, hook))
        box.port, hook.port = box_port, hook_port
    heard = {"email": len(box.mails), "slack": len(hook.messages)}
    assert heard == {"email": 1, "slack": 1} | {hanging: 0}, log
    assert 4 < result["seconds"] < 12, "5 s, and what the hooks need to load"
    assert f"could not be sent by {hanging}" in log


def test_a_channel_that_fails_is_tried_again_and_the_others_are_not(tmp_path: Path) -> None:
    with mail_server() as box, webhook() as hook:
        hook.failures = 1
        tell(tmp_path, **channels(box, hook))
        assert (len(box.mails), len(hook.messages)) == (1, 1)
        tell(tmp_path, "again", **channels(box, hook))
        assert (len(box.mails), len(hook.messages)) == (1, 2)
        tell(tmp_path, "again", **channels(box, hook))
        assert (len(box.mails), len(hook.messages)) == (1, 2)


@pytest.mark.e2e_slow
def test_a_slow_server_that_takes_the_alert_gets_it_once(tmp_path: Path) -> None:
    """It answers within the time limit each time it is spoken to, and too late altogether."""
    with mail_server(delay=4) as box, webhook() as hook:
        one = {"CLAIMS_ALERT_EMAILS": "oncall@claims.invalid"}
        result, log = tell(tmp_path, "again", times=3, **channels(box, hook) | one)
        wait_until(lambda: len(box.mails) >= 1, 30)
    assert len(box.mails) == 1, log
    assert "email has not taken the alert within 10 s" in log
    assert len(hook.messages) == 1
    assert result["seconds"] < 16


def test_a_mistyped_setting_silences_nobody(tmp_path: Path) -> None:
    with mail_server() as box, webhook() as hook:
        tell(tmp_path, CLAIMS_ALERT_DEADLINE="six", REFRESH_TOP_K="many", **channels(box, hook))
    assert (len(box.mails), len(hook.messages)) == (1, 1)


def test_nobody_at_the_other_end_is_told_in_the_log(tmp_path: Path) -> None:
    with webhook() as hook:
        box = Mailbox(port=free_port())
        _, log = tell(tmp_path, **channels(box, hook))
    assert "could not be sent by email" in log
    assert len(hook.messages) == 1
