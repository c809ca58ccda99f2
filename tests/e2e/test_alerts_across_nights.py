"""What people read while the same thing goes wrong night after night, in a real Airflow, by real mail and webhook.

One stack, one data date after the other, in the order of the file: a good night, three without raw files, three whose
scores QC refuses, a good one, and one with dearer claims. Before each night and at the end the alerts are counted.
"""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from ml.alerts.message import MONTHS
from ml.nightly import store_of
from ml.sample.config import GeneratorConfig
from ml.settings import Settings
from ops.local_airflow import LocalAirflow
from tests.alerts.sinks import Mailbox, Webhook, mail_server, wait_until, webhook
from tests.claims.conftest import claim, diagnosis, write_csv
from tests.e2e.conftest import ETL, ROWS, SCORING, Operator, scoring_tick, tonight

pytestmark = pytest.mark.e2e_slow

LAST = 8  # the last night is tonight, so that nothing is late when the watchdog looks
PERSONAL = "700123456789"
AMOUNTS = ("FKL47", "FKL48")


@dataclass(frozen=True)
class Told:
    """An alert as it came by mail and on Slack."""

    subject: str
    mail: str
    slack: str

    def says(self, *parts: str) -> None:
        """See that both hold these words."""
        for part in parts:
            assert part in self.mail, self.mail
            assert part in self.slack, self.slack


@dataclass
class Nights:
    """The stack, the servers that get its alerts, and the raw files it had at first."""

    operator: Operator
    mails: Mailbox
    slack: Webhook
    good: Path

    def day(self, number: int) -> date:
        return tonight() - timedelta(days=LAST - number)

    def pass_(self, number: int, *, etl: str, scoring: str, alerts: int) -> list[Told]:
        """Let a night go by; return its alerts. Whatever the night before told too late or twice fails it."""
        client, day = self.operator.airflow.client, self.day(number)
        assert (self.mails.subjects, self.slack.texts) == ([], []), "there was one too many the night before"
        assert client.wait(self.operator.etl_run(day), timeout=240).state == etl
        run = client.trigger(SCORING, scoring_tick(day))
        assert client.wait(run, timeout=300).state == scoring, client.tasks(SCORING, run.run_id)
        wait_until(
            lambda: min(len(self.mails.mails), len(self.slack.messages)) >= alerts, 60, "no alert, or not on both"
        )
        return self.told()

    def told(self) -> list[Told]:
        """Take the alerts that have come."""
        mails, messages = list(self.mails.mails), list(self.slack.messages)
        self.mails.mails.clear()
        self.slack.messages.clear()
        alerts = []
        for mail, message in zip(mails, messages, strict=True):
            assert str(mail["Subject"]) == message["text"]
            body = mail.get_body(("html",))
            assert body is not None
            slack = json.dumps(message["blocks"], ensure_ascii=False)
            alerts.append(Told(message["text"], body.get_content(), slack))
            assert PERSONAL not in alerts[-1].mail + slack
        return alerts

    def raw(self, files: Path | None = None) -> None:
        """Put other files in place of the raw ones."""
        folder = self.operator.settings.raw
        for path in folder.iterdir():
            path.unlink()
        for path in files.glob("*.csv") if files else ():
            shutil.copy(path, folder)

    @property
    def live(self) -> date | None:
        release = store_of(self.operator.settings).live()
        return release.manifest.data_date if release else None


def said(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    from ml.sample.files import write
    from ml.sample.generate import generate

    root = tmp_path_factory.mktemp("nights")
    settings = Settings(_env_file=None, CLAIMS_INSTANCE_DIR=str(root / "instance"))
    write(generate(GeneratorConfig(claims=ROWS, seed=5)), root / "good", "csv", root / "labels.parquet")
    settings.raw.mkdir(parents=True)
    with mail_server() as mails, webhook() as slack:
        environ = {
            "AIRFLOW_CONN_SMTP_DEFAULT": mails.connection,
            "AIRFLOW_CONN_SLACK_DEFAULT": slack.connection,
            "CLAIMS_ALERT_EMAILS": "oncall@claims.invalid",
            "CLAIMS_RETRY_DELAY_SECONDS": "2",
        }
        with LocalAirflow(root / "run", settings.instance_dir, env=environ) as airflow:
            airflow.wait_for_dags([ETL, SCORING, "claims_watchdog"])
            yield Nights(Operator(airflow, settings), mails, slack, root / "good")


def test_nobody_is_told_of_a_good_night(nights: Nights) -> None:
    nights.raw(nights.good)
    assert nights.pass_(0, etl="success", scoring="success", alerts=0) == []
    assert nights.live == nights.day(0)


def test_raw_files_that_are_missing_three_nights_are_told_each_night_as_the_same(nights: Nights) -> None:
    nights.raw()
    for number, tag in ((1, "GAGAL"), (2, "MASIH GAGAL, malam ke-2"), (3, "MASIH GAGAL, malam ke-3")):
        (alert,) = nights.pass_(
            number, etl="failed", scoring="failed", alerts=1
        )  # scoring's failure is no second alert
        assert alert.subject == f"[{tag}] ETL klaim, data {said(nights.day(number))}: check_contract"
        alert.says("no file matches", f"skor data {said(nights.day(0))}, ", f"airflow dags clear {ETL} --run-id")
        assert (f"sejak data {said(nights.day(1))}" in alert.mail) == (number > 1)
        assert (f"sejak data {said(nights.day(1))}" in alert.slack) == (number > 1)
    assert nights.live == nights.day(0)


def test_what_ends_one_incident_may_begin_another(nights: Nights) -> None:
    """The files are back, but hold one visit a thousand times: the ETL is well again, and QC refuses the scores."""
    nights.raw()
    alike = [claim(number, PSTV01=f"{PERSONAL}{number}", PSTV02=f"{PERSONAL}{number}") for number in range(1000)]
    write_csv(nights.operator.settings.raw / "2022_fkrtl.csv", alike)
    write_csv(nights.operator.settings.raw / "2022_diagnosissekunder.csv", [diagnosis(1)])
    well, failed = nights.pass_(4, etl="success", scoring="failed", alerts=2)
    assert well.subject == f"[PULIH] ETL klaim, data {said(nights.day(4))}"
    well.says(f"sebelumnya gagal di check_contract (sejak data {said(nights.day(1))}, 3 malam)")
    assert failed.subject == f"[GAGAL] Skor risiko klaim, data {said(nights.day(4))}: quality_check"
    failed.says("score_not_degenerate", "ditarik, rilis sebelumnya tayang lagi", f"skor data {said(nights.day(0))}, ")


def test_scores_that_qc_refuses_three_nights_are_told_each_night_as_the_same(nights: Nights) -> None:
    for number in (5, 6):
        (alert,) = nights.pass_(number, etl="success", scoring="failed", alerts=1)
        day = said(nights.day(number))
        assert alert.subject == f"[MASIH GAGAL, malam ke-{number - 3}] Skor risiko klaim, data {day}: quality_check"
        alert.says(f"task quality_check, sejak data {said(nights.day(4))}", "ditarik, rilis sebelumnya tayang lagi")
        assert nights.live == nights.day(0)


def test_the_first_good_night_tells_that_it_is_over(nights: Nights) -> None:
    nights.raw(nights.good)
    (alert,) = nights.pass_(7, etl="success", scoring="success", alerts=1)
    assert alert.subject == f"[PULIH] Skor risiko klaim, data {said(nights.day(7))}"
    alert.says(
        f"sebelumnya gagal di quality_check (sejak data {said(nights.day(4))}, 3 malam)",
        f"skor data {said(nights.day(7))}, 1.500 klaim",
    )
    assert "airflow dags clear" not in alert.mail, "nothing is left to do"
    assert nights.live == nights.day(7)


def test_a_warning_is_told_quietly_and_is_no_failure(nights: Nights) -> None:
    """Every bill is three times as high, which brings other claims to the top: their mean is another one."""
    for path in nights.operator.settings.raw.glob("*fkrtl*"):
        make_dearer(path, times=3)
    (alert,) = nights.pass_(8, etl="success", scoring="success", alerts=1)
    assert alert.subject == f"[perhatian] Skor risiko klaim, data {said(nights.day(8))}"
    alert.says("berhasil dan rilisnya tayang, tetapi QC memberi peringatan", "amount_top_k_drift: observed")
    assert "GAGAL" not in alert.mail + alert.slack
    assert nights.live == nights.day(8)


def test_nothing_is_told_again_by_the_watchdog(nights: Nights) -> None:
    client = nights.operator.airflow.client
    assert client.wait(client.trigger("claims_watchdog"), timeout=120).state == "success"
    time.sleep(8)  # for one too many
    assert nights.told() == []


def make_dearer(path: Path, *, times: int) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for name in AMOUNTS:
            row[name] = str(int(float(row[name]) * times)) if row[name] else ""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
