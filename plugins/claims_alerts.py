"""Alerts of the DAGs: callbacks that note what happened and tell people by e-mail and Slack; they never raise.

An alert is told by whoever comes first (the watcher task, the DAG's callback, the watchdog); the alert book sees to it
that there is one. Task callbacks only note the error, which nobody else gets to know.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from claims_risk import SCORING_DAG, WATCHER_TASK, data_date, running_in_airflow

if TYPE_CHECKING:
    from ml.alerts import AlertBook, RunKey, Story
    from ml.settings import Settings

log = logging.getLogger(__name__)

LOG_CHANNEL = "log"
"""Every alert also stands once in a log, whichever channels there are."""


def _harmless(callback: Callable[..., None]) -> Callable[..., None]:
    """An alert that cannot be sent must not change what happens to a run."""

    @functools.wraps(callback)
    def guarded(*arguments: Any, **options: Any) -> None:
        try:
            callback(*arguments, **options)
        except Exception:
            log.exception("%s failed; the run goes on without it", callback.__name__)

    return guarded


@_harmless
def note_begun(context: Any) -> None:
    """Note that a run has begun (callback of its first task), so that the watchdog looks after it."""
    from ml.alerts import Event, Kind

    _, book, run, day = _of(context)
    book.note(Event(kind=Kind.BEGUN, dag_id=run.dag_id, run_id=run.run_id, attempt=run.attempt, data_date=day))


@_harmless
def note_failure(context: Any) -> None:
    """Note which task failed and why (callback of every task); the error is known in the task's own process only."""
    from ml.alerts import Event, Kind
    from ml.alerts.story import in_short

    _, book, run, day = _of(context)
    error = context.get("exception")
    book.note(
        Event(
            kind=Kind.FAILED,
            dag_id=run.dag_id,
            run_id=run.run_id,
            attempt=run.attempt,
            data_date=day,
            task_id=_task_id(context),
            error=in_short(error) if error else None,
        )
    )


@_harmless
def tell_failure(context: Any) -> None:
    """Tell people that a run failed, once; callback of the DAGs, after the one that restores."""
    settings, book, run, day = _of(context)
    tell_failed_run(settings, book, run, day, _failed_task(context, run))


@_harmless
def tell_success(context: Any) -> None:
    """Note a good run (callback of the DAGs); tell people if it ends an incident, or if its QC warned."""
    settings, book, run, day = _of(context)
    tell_good_run(settings, book, run, day)


def tell_failed_run(
    settings: Settings, book: AlertBook, run: RunKey, day: date | None, task_id: str | None = None
) -> None:
    """Tell people that an attempt of a run failed, unless it was told.

    Args:
        settings: of the instance.
        book: its alert book.
        run: the failed attempt.
        day: its data date.
        task_id: what failed, when no task could note its failure itself.
    """
    from ml.alerts import Event, Kind, failure_story

    own = [event for event in book.events() if (event.dag_id, event.run_id, event.attempt) == _name(run)]
    if not any(event.kind is Kind.FAILED for event in own):
        failure = Event(kind=Kind.FAILED, dag_id=run.dag_id, run_id=run.run_id, attempt=run.attempt, data_date=day)
        book.note(failure.model_copy(update={"task_id": task_id}))
    story = failure_story(settings, book, run, day)
    if story:
        deliver(settings, book, story)
    if not any(event.kind is Kind.ENDED for event in own):
        book.note(Event(kind=Kind.ENDED, dag_id=run.dag_id, run_id=run.run_id, attempt=run.attempt, data_date=day))


def tell_good_run(settings: Settings, book: AlertBook, run: RunKey, day: date | None) -> None:
    """Note a good attempt of a run; tell people if it ends an incident, or if its QC warned."""
    from ml.alerts import Event, Kind, success_story
    from ml.alerts.facts import newest_snapshot, warnings_of

    warnings = warnings_of(newest_snapshot(settings, run_id=run.run_id)) if run.dag_id == SCORING_DAG else ()
    story = success_story(settings, book, run, day, warnings=warnings)
    book.note(Event(kind=Kind.SUCCEEDED, dag_id=run.dag_id, run_id=run.run_id, attempt=run.attempt, data_date=day))
    if story:
        deliver(settings, book, story)


def deliver(settings: Settings, book: AlertBook, story: Story) -> None:
    """Send an alert on every channel that is there and has not had it yet, all at once, each with its time limit."""
    from airflow.sdk.configuration import conf

    import claims_channels
    from ml.alerts import compose
    from ml.alerts.story import told
    from ml.clock import now

    alert = compose(story, base_url=conf.get("api", "base_url", fallback="http://localhost:8080"), now=now())
    if first := book.claim(story.key, LOG_CHANNEL):
        log.warning("%s", alert.text)
        book.settle(story.key, LOG_CHANNEL, sent=True)
    channels = claims_channels.available(settings, log_missing=first)
    mine = {name: send for name, send in channels.items() if book.claim(story.key, name)}
    outcomes = claims_channels.send_all(mine, alert)
    for name, sent in outcomes.items():
        book.settle(story.key, name, sent=sent)
    if any(outcomes.values()):
        book.note(told(story))


def watch(context: Any) -> None:
    """Close the gaps that callbacks leave: restore, tell of runs that ended without any, and of a missed deadline.

    Raises:
        ReleaseError: what a dead run left live cannot be taken back.
    """
    from ml import nightly
    from ml.alerts.story import runs_to_look_after
    from ml.clock import now
    from ml.settings import load_settings

    settings = load_settings()
    book = book_of(settings)
    try:
        nightly.recover(settings, None, running_in_airflow(context))
    finally:
        for run, day in runs_to_look_after(book, now()):
            _look_after(context, settings, book, run, day)
        _tell_deadline(settings, book)


@_harmless
def _look_after(context: Any, settings: Settings, book: AlertBook, run: RunKey, day: date | None) -> None:
    state = context["ti"].get_dagrun_state(run.dag_id, run.run_id)
    if state == "failed":
        tell_failed_run(settings, book, run, day, _failed_task(context, run))
    elif state == "success":
        tell_good_run(settings, book, run, day)


@_harmless
def _tell_deadline(settings: Settings, book: AlertBook) -> None:
    from ml.alerts import deadline_story
    from ml.clock import latest_due

    data_date = latest_due(settings.alert_deadline)
    if story := deadline_story(settings, book, data_date):
        deliver(settings, book, story)


def book_of(settings: Settings) -> AlertBook:
    """Return the alert book of an instance."""
    from ml.alerts import AlertBook

    return AlertBook(settings.instance_dir.absolute() / "alerts")


def run_key(context: Any) -> RunKey:
    """Return the attempt of a run that a context belongs to; a DAG callback may know no more than the run's id."""
    from ml.alerts import RunKey

    run = context.get("dag_run")
    dag_id = run.dag_id if run else context["dag"].dag_id
    run_id = run.run_id if run else context["run_id"]
    return RunKey(dag_id, run_id, (run.clear_number or 0) if run else 0)


def _of(context: Any) -> tuple[Settings, AlertBook, RunKey, date | None]:
    from ml.settings import load_settings

    settings = load_settings()
    day = data_date(context) if context.get("dag_run") else None
    return settings, book_of(settings), run_key(context), day


def _failed_task(context: Any, run: RunKey) -> str | None:
    """Ask Airflow which task of a run failed: one whose process was killed could not note it itself."""
    try:
        states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
    except Exception:  # no task instance in a bare callback, or no answer
        log.debug("Airflow does not say which task of %s failed", run.run_id, exc_info=True)
        return None
    return next((task for task, state in states.items() if state == "failed" and task != WATCHER_TASK), None)


def _task_id(context: Any) -> str | None:
    return getattr(context.get("ti") or context.get("task_instance"), "task_id", None)


def _name(run: RunKey) -> tuple[str, str | None, int]:
    return run.dag_id, run.run_id, run.attempt
