"""`make run`: the ETL run and the scoring run through Airflow, task by task on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from ml.clock import data_date_of, etl_tick, now
from ml.settings import Settings
from ops.local_airflow.client import AirflowClient, DagRun, TaskState

ETL_DAG = "claims_normalized"
SCORING_DAG = "claims_risk_scoring"
TRAINING_DAG = "train_risk_model"
RUN_TIMEOUT_SECONDS = 3 * 3600
_COLOURS = {"success": "green", "failed": "red", "upstream_failed": "red", "up_for_retry": "yellow", "skipped": "dim"}


class RunFailedError(Exception):
    """A run did not succeed; what went wrong has been shown."""


@dataclass
class Progress:
    """Prints a line for each task that ends, and on a terminal a moving line of those that work."""

    client: AirflowClient
    console: Console
    check_alive: Callable[[], None]
    log_dir: Path
    _status: Status = field(init=False)
    _retries: Counter[str] = field(init=False)

    def follow(self, run: DagRun) -> None:
        """Show a run until it has ended.

        Raises:
            RunFailedError: it failed.
        """
        self._print(f"[bold]{run.dag_id}[/bold]  [dim]{escape(run.run_id)}[/dim]")
        self._retries = Counter()
        with self.console.status("queued") as self._status:
            ended = self.client.wait(run, timeout=RUN_TIMEOUT_SECONDS, on_change=self._changed, on_poll=self._polled)
        if ended.state != "success":
            raise RunFailedError(f"{run.dag_id} failed (run {run.run_id}). What was published before stays.")

    def _changed(self, task: TaskState) -> None:
        if task.state not in _COLOURS:
            return
        started = task.state in ("success", "failed", "up_for_retry") and task.seconds is not None
        took = f"{task.seconds:7.1f} s" if started else ""
        again = f"  (retry {self._retries[task.name]})" if self._retries[task.name] else ""
        self._print(f"  {escape(task.name):<28} [{_COLOURS[task.state]}]{task.state:<16}[/]{took}{again}")
        if task.state == "up_for_retry":
            self._retries[task.name] += 1
        if task.state in ("failed", "up_for_retry"):
            for line in self.client.log_tail(task):
                self._print(f"    [dim]|[/dim] {escape(line)}")
            self._print(f"    log: {escape(str(self._log_file(task)))}")

    def _log_file(self, task: TaskState) -> Path:
        """Where Airflow's default file name template puts the log."""
        folder = self.log_dir / f"dag_id={task.dag_id}" / f"run_id={task.run_id}" / f"task_id={task.task_id}"
        mapped = folder if task.map_index < 0 else folder / f"map_index={task.map_index}"
        file = mapped / f"attempt={task.try_number}.log"
        return file if file.exists() else self.log_dir

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True)

    def _polled(self, tasks: list[TaskState]) -> None:
        self.check_alive()
        working = [f"{task.name} {task.seconds:.0f} s" for task in tasks if task.state == "running" and task.seconds]
        waiting = [f"{task.name} {task.state}" for task in tasks if task.state in ("deferred", "up_for_retry")]
        self._status.update(escape(", ".join(working + waiting) or "queued"))


def run_night(client: AirflowClient, progress: Progress, settings: Settings, *, own_stack: bool) -> None:
    """Do what a night does: the ETL of the latest tick, then scoring; between them training, if there is no model for
    these raw files yet.

    Args:
        settings: of the instance that the stack works on.
        own_stack: whether this process started the stack. Then nothing in it can really be running yet, and what the
            metadata still call running was left by a stack that was stopped in its work.

    Raises:
        RunFailedError: a run failed.
    """
    for dag_id in (ETL_DAG, TRAINING_DAG, SCORING_DAG):
        if (client.dag(dag_id) or {}).get("is_paused"):
            progress.console.print(f"{dag_id} was paused; switching it on.")
            client.unpause(dag_id)
        if own_stack:
            _fail_leftovers(client, dag_id)
    tick = None
    while tick != etl_tick(data_date_of(now())):  # past 01:00 WIB scoring asks for the new night's ETL
        tick = etl_tick(data_date_of(now()))
        run = client.run_of(ETL_DAG, tick)
        if run is None:
            run = client.trigger(ETL_DAG, tick)
        elif run.finished:
            client.clear(ETL_DAG, run.run_id)
        progress.follow(run)
    # Imports all that the tasks need, seconds that fit beside their work.
    from ml.promotion.life import usable_default, why_train

    if reason := why_train(settings):
        progress.console.print(f"Training a model: {escape(reason)}.", highlight=False, soft_wrap=True)
        try:
            progress.follow(client.trigger(TRAINING_DAG))
        except RunFailedError:  # the gate may refuse it, and the night has another one
            default = usable_default(settings)
            if default is None:
                raise
            progress.console.print(f"No new model; scoring goes on with {default}.", highlight=False, soft_wrap=True)
    progress.follow(client.trigger(SCORING_DAG))


def _fail_leftovers(client: AirflowClient, dag_id: str) -> None:
    for run in client.runs(dag_id, state=["running", "queued"]):
        client.mark(dag_id, run.run_id, "failed")
