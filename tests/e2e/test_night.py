"""Nights in a real Airflow: two good ones, one whose scores QC refuses, one with a truncated export.

One stack and one instance for all, in the order of the file: each night starts from what the one before left.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import duckdb
import pytest
from rich.console import Console

from ml.nightly import store_of
from ml.sample.config import GeneratorConfig
from ml.settings import Settings
from ops.local_airflow import LocalAirflow
from ops.local_airflow.client import ApiError
from ops.local_airflow.drive import Progress, RunFailedError, run_night
from tests.alerts.sinks import Mailbox, Webhook, mail_server, wait_until, webhook
from tests.claims.conftest import claim, diagnosis, write_csv

pytestmark = pytest.mark.e2e
ROWS = 3_000
PERSONAL = "700123456789"
ROLLBACK = "claims_scores_rollback"


@dataclass
class Night:
    """The stack, its instance and what the nights so far have left."""

    airflow: LocalAirflow
    settings: Settings
    console: Console
    mails: Mailbox
    slack: Webhook
    sink: socket.socket
    live: list[str] = field(default_factory=list)

    def run(self) -> str:
        """Run ETL and scoring; return what was printed."""
        progress = Progress(self.airflow.client, self.console, self.airflow.check_alive, self.airflow.log_dir)
        with self.console.capture() as captured:
            try:
                run_night(self.airflow.client, progress, self.settings, own_stack=True)
            except RunFailedError as error:
                self.console.print(str(error))
        return captured.get()

    def alerts(self, timeout: float = 20) -> list[str]:
        """The alerts that came by mail since the last look, once Slack has the same."""
        wait_until(lambda: self.mails.mails, timeout, "no alert came")
        time.sleep(5)  # for one too many
        subjects = self.mails.subjects
        assert self.slack.texts == subjects
        self.mails.mails.clear()
        self.slack.messages.clear()
        return subjects

    def states(self, dag_id: str) -> dict[str, str | None]:
        """Task states of the newest run."""
        newest = self.airflow.client.runs(dag_id)[0]
        return {task.name: task.state for task in self.airflow.client.tasks(dag_id, newest.run_id)}

    def metrics(self) -> list[str]:
        """What has been sent to StatsD since the last look, without Airflow's prefix."""
        self.sink.settimeout(0.5)
        messages: list[str] = []
        with suppress(TimeoutError):
            while True:
                messages += self.sink.recv(65536).decode().splitlines()
        return [message.removeprefix("airflow.") for message in messages]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    from ml.sample.files import write
    from ml.sample.generate import generate

    root = tmp_path_factory.mktemp("night")
    settings = Settings(_env_file=None, CLAIMS_INSTANCE_DIR=str(root / "instance"))
    write(generate(GeneratorConfig(claims=ROWS, seed=11)), settings.raw, "csv", root / "labels" / "labels.parquet")
    console = Console(width=200)
    with mail_server() as mails, webhook() as slack, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        metrics = {"ON": "True", "HOST": "127.0.0.1", "PORT": str(sink.getsockname()[1])}
        environ = {f"AIRFLOW__METRICS__STATSD_{name}": value for name, value in metrics.items()} | {
            "AIRFLOW__METRICS__METRICS_ALLOW_LIST": r"claims\.publish,claims\.qc,ti\.finish",
            "AIRFLOW_CONN_SMTP_DEFAULT": mails.connection,
            "AIRFLOW_CONN_SLACK_DEFAULT": slack.connection,
            "CLAIMS_ALERT_EMAILS": "oncall@claims.invalid",
        }
        with LocalAirflow(root / "run", settings.instance_dir, env=environ) as airflow:
            airflow.wait_for_dags(
                ["claims_normalized", "claims_risk_scoring", "claims_scores_rollback", "train_risk_model"]
            )
            yield Night(airflow, settings, console, mails, slack, sink)


def table_and_parquet(settings: Settings) -> tuple[list[tuple], list[tuple]]:
    """All rows as both kinds of reader see them through the runbook's paths."""
    with duckdb.connect(str(settings.instance_dir / "analytics.duckdb"), read_only=True) as connection:
        table = connection.sql("FROM claims_ml_scores ORDER BY claim_id").fetchall()
    return table, duckdb.sql(f"FROM '{settings.data}/claims_ml_scores.parquet' ORDER BY claim_id").fetchall()


def backup(settings: Settings) -> list[tuple]:
    with duckdb.connect(str(settings.instance_dir / "analytics.duckdb"), read_only=True) as connection:
        return connection.sql("FROM claims_ml_scores_backup ORDER BY claim_id").fetchall()


def without_moment(rows: list[tuple]) -> list[tuple]:
    """The rows without scored_at, the last column."""
    return [row[:-1] for row in rows]


def test_first_night(night: Night) -> None:
    shown = night.run()
    release = store_of(night.settings).live()
    assert release is not None, shown
    night.live.append(release.id)
    table, parquet = table_and_parquet(night.settings)
    assert table == parquet
    assert len(table) == ROWS
    assert backup(night.settings) == []
    assert store_of(night.settings).verify(release.id) == []
    assert store_of(night.settings).qc_passed(release.id) is True
    assert set(night.states("claims_normalized").values()) == {"success"}
    training = {"train_model": "success", "judge_model": "success", "promote_model": "success"}
    assert night.states("train_risk_model") == training, "a fresh instance trains its model first"
    scoring = night.states("claims_risk_scoring")
    assert scoring.pop("restore_on_failure") == "skipped"
    assert set(scoring.values()) == {"success"}
    summary = json.loads((night.settings.logs / "ml_scores_qc_summary.json").read_text())
    assert summary["latest_snapshot"]["release_id"] == release.id
    assert summary["latest_snapshot"]["total_rows"] == ROWS
    sent = night.metrics()
    ours = [message for message in sent if message.startswith("claims.")]
    assert {f"claims.publish.rows:{ROWS}|g", "claims.publish.switched:1|g", "claims.qc.passed:1|g"} <= set(ours)
    assert len(ours) == 5, ours
    assert "ti.finish.claims_risk_scoring.backup_and_swap.success:1|c" in sent, "Airflow's own go there, too"


def test_second_night_same_scores_and_the_first_as_backup(night: Night) -> None:
    before, _ = table_and_parquet(night.settings)
    shown = night.run()
    release = store_of(night.settings).live()
    assert release is not None
    assert release.id not in night.live, shown
    assert release.manifest.previous == night.live[-1]
    night.live.append(release.id)
    table, parquet = table_and_parquet(night.settings)
    assert table == parquet
    assert without_moment(table) == without_moment(before), "the same claims, model and ruleset: the same scores"
    assert backup(night.settings) == before
    assert night.mails.mails == [], "nobody is told of a good night"


def roll_back(night: Night, *, answer: str | None = None, **form: object) -> str:
    """Trigger the rollback as the form does, answer its question if it asks, and return the run's final state."""
    client = night.airflow.client
    client.unpause(ROLLBACK)
    run = client.trigger(ROLLBACK, conf=form)
    if answer:
        deadline = time.monotonic() + 120
        while (question := client.question(run, "approve")) is None:
            assert time.monotonic() < deadline, night.states(ROLLBACK)
            time.sleep(1)
        assert question.startswith("```text\nLive now:"), "in a block, which keeps its lines"
        assert "\nPut back:" in question
        time.sleep(5)  # Airflow asks again when it is answered faster than any person can: before the asking task ended
        client.answer(run, "approve", answer)
    return client.wait(run, timeout=300).state


def test_a_rollback_from_the_form(night: Night) -> None:
    """Without a choice: the release before the live one. Who and why are kept, the QC summary follows."""
    assert roll_back(night, reason="wrong tariffs") == "success"
    release = store_of(night.settings).live()
    assert release is not None
    assert release.id == night.live[-2]
    last = store_of(night.settings).journal()[-1]
    assert (last.event, last.release_id, last.previous) == ("rolled_back", release.id, night.live[-1])
    assert last.reason == "wrong tariffs"
    assert str(last.who).startswith("admin (Airflow run ")
    summary = json.loads((night.settings.logs / "ml_scores_qc_summary.json").read_text())
    assert summary["live_release_id"] == summary["latest_snapshot"]["release_id"] == release.id
    assert night.states(ROLLBACK)["approve"] == "skipped"


def test_a_rollback_that_is_asked_about(night: Night) -> None:
    first, second = night.live
    form = {"reason": "tariffs were right", "release": second, "review": True}
    assert roll_back(night, **form, answer="Reject") == "success"
    assert night.states(ROLLBACK)["roll_back"] == "skipped"
    assert store_of(night.settings).live_id() == first
    assert roll_back(night, **form, answer="Approve") == "success"
    assert store_of(night.settings).live_id() == second


def test_a_rollback_to_a_damaged_release_is_refused(night: Night) -> None:
    first, second = night.live
    scores = night.settings.instance_dir / "releases" / first / "claims_ml_scores.parquet"
    content, mode = scores.read_bytes(), scores.stat().st_mode
    scores.chmod(0o644)
    scores.write_bytes(content[:-1])
    assert roll_back(night, reason="test", release=first) == "failed"
    assert night.states(ROLLBACK)["show_effect"] == "failed"
    assert store_of(night.settings).live_id() == second
    wait_until(lambda: night.mails.mails and night.slack.messages, 20, "nobody was told")
    (mail,) = night.mails.mails
    assert mail["Subject"] == night.slack.texts[0] == "[GAGAL] Rollback skor: show_effect"
    told = mail.get_body(("html",)).get_content()
    assert f"not rolled back to {first}" in told
    assert "belum dilakukan: run ini tidak mengubah rilis yang tayang" in told
    night.mails.mails.clear()  # one too many would be among the next ones
    night.slack.messages.clear()
    scores.write_bytes(content)
    scores.chmod(mode)


def test_a_bad_value_is_refused_at_the_trigger(night: Night) -> None:
    with pytest.raises(ApiError, match=r"400.*top_k: 0 is less than the minimum of 1"):
        night.airflow.client.trigger("claims_risk_scoring", conf={"top_k": 0})


def test_a_night_without_an_etl_run_fails_at_once_with_the_command_that_makes_one(night: Night) -> None:
    live, begun = store_of(night.settings).live_id(), time.monotonic()
    run = night.airflow.client.trigger("claims_risk_scoring", conf={"data_date": "2026-03-31"})
    assert night.airflow.client.wait(run, timeout=60).state == "failed"
    assert time.monotonic() - begun < 60
    assert night.states("claims_risk_scoring")["wait_for_etl"] == "failed"
    assert store_of(night.settings).live_id() == live
    wait_until(lambda: night.mails.mails, 20, "no alert came")
    html = night.mails.mails[0].get_body(("html",)).get_content()
    assert "airflow dags trigger claims_normalized --logical-date 2026-03-30T18:00:00" in html
    assert night.alerts() == ["[GAGAL] Skor risiko klaim, data 31 Maret 2026: wait_for_etl"]


def test_scores_that_qc_refuses_are_taken_back_by_themselves(night: Night) -> None:
    before = table_and_parquet(night.settings)
    for path in night.settings.raw.iterdir():
        path.unlink()
    # A broken export: one visit a thousand times.
    alike = [claim(number, PSTV01=f"{PERSONAL}{number}", PSTV02=f"{PERSONAL}{number}") for number in range(1000)]
    alike.append(claim(2000, PSTV01=f"{PERSONAL}2000", FKL47="-1"))
    write_csv(night.settings.raw / "2022_fkrtl.csv", alike)
    write_csv(night.settings.raw / "2022_diagnosissekunder.csv", [diagnosis(1)])

    shown = night.run()

    states = night.states("claims_risk_scoring")
    assert (states["backup_and_swap"], states["quality_check"]) == ("success", "failed"), shown
    assert states["restore_on_failure"] == "failed"
    assert "score_not_degenerate" in shown
    assert "claims.qc.passed:0|g" in night.metrics()
    release = store_of(night.settings).live()
    assert release is not None
    assert release.id == night.live[-1]
    assert table_and_parquet(night.settings) == before
    failed = [
        path for path in night.settings.logs.glob("ml_scores_qc_2*.json") if '"passed": false' in path.read_text()
    ]
    assert len(failed) == 1
    about_model, about_scores = night.alerts()  # the gate refuses a model of such claims, too
    assert "[GAGAL] Pelatihan model" in about_model
    assert "[GAGAL] Skor risiko klaim" in about_scores


def test_a_truncated_export_fails_the_etl_at_once_and_changes_nothing(night: Night) -> None:
    before = table_and_parquet(night.settings)
    path = night.settings.raw / "2022_fkrtl.csv"
    path.write_bytes(path.read_bytes()[:-200])
    shown = night.run()
    assert "2022_fkrtl.csv: ends in the middle of row 1,001" in shown
    assert "truncated" in shown
    assert night.states("claims_normalized")["check_contract"] == "failed"
    (alert,) = night.alerts()
    assert "[GAGAL] ETL klaim" in alert
    assert "check_contract" in alert
    assert table_and_parquet(night.settings) == before


def test_no_participant_number_left_the_raw_folder(night: Night) -> None:
    """Looks through everything the nights before have written: data, quarantine, logs of QC and of the tasks."""
    places = [night.settings.instance_dir, night.airflow.log_dir]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    outside = [path for path in files if night.settings.raw not in path.parents]
    assert any("quarantine" in str(path) for path in outside)
    assert [path for path in outside if PERSONAL.encode() in path.read_bytes()] == []
