"""The stack on which things fail: what drives it, looks at it and keeps what was measured for docs/failures.md."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ml.nightly import store_of
from ml.settings import Settings
from ops.local_airflow import LocalAirflow
from ops.local_airflow.client import DagRun
from ops.local_airflow.private_files import EXPORTS_FILE
from ops.local_airflow.processes import Component
from tests.alerts.sinks import Mailbox, Webhook

ETL, SCORING, WATCHDOG = "claims_normalized", "claims_risk_scoring", "claims_watchdog"
ROLLBACK = "claims_scores_rollback"
HEARTBEAT_TIMEOUT = 20
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
        """Run a command as on call: in a bare terminal that has sourced what the stack writes for it."""
        line = f". {shlex.quote(str(self.airflow.run_dir / EXPORTS_FILE))} && {command}"
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.root)}
        done = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, text=True, check=False, timeout=120)
        assert not (self.root / "airflow").exists(), "another Airflow was made"
        return done

    def log(self, run: DagRun, task_id: str) -> str:
        """The log of a task's latest try."""
        client = self.airflow.client
        (task,) = [task for task in client.tasks(run.dag_id, run.run_id) if task.task_id == task_id]
        return "\n".join(client.log_tail(task, lines=1000))

    def follow(self, run: DagRun, scoring: DagRun | None = None) -> None:
        """Do what the alert of a run says comes next, word for word; then a new release is live, that of `scoring`."""
        before = self.live
        (mail,) = [mail for mail in self.mails.mails if quote(run.run_id, safe="") in _html(mail)]
        commands = re.findall(r"break-all\">([^<]*)</div>", _html(mail))
        assert commands
        for command in commands:
            done = self.cli(html.unescape(command))
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        scoring = scoring or run
        assert self.end(scoring) == "success", self.states(scoring)
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
