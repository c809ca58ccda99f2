"""Alerts of the DAGs: callbacks that note what happened and tell people by e-mail and Slack; they never raise.

An alert is told by whoever comes first (the watcher task, the DAG's callback, the watchdog); the alert book sees to it
that there is one. Task callbacks only note the error, which nobody else gets to know.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from claims_risk import ROLLBACK_DAG, SCORING_DAG, WATCHER_TASK, data_date, patient_for, running_in_airflow

if TYPE_CHECKING:
    from ml.alerts import Alert, AlertBook, Event, RunKey, Story
    from ml.settings import Settings

log = logging.getLogger(__name__)

LOG_CHANNEL = "log"
"""Every alert also stands once in a log, whichever channels there are."""
WATCHDOG_PATIENCE_SECONDS = 60


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
    """Note that an attempt of a run has begun (callback of every task), so that the watchdog looks after it."""
    from ml.alerts import Event, Kind

    _, book, run, day = _of(context)
    begun = (event for event in book.events() if event.kind is Kind.BEGUN)
    if not any((event.dag_id, event.run_id, event.attempt) == _name(run) for event in begun):
        book.note(Event(kind=Kind.BEGUN, dag_id=run.dag_id, run_id=run.run_id, attempt=run.attempt, data_date=day))


@_harmless
def note_failure(context: Any) -> None:
    """Note which task failed and why (callback of every task); the error is known in the task's own process only."""
    from ml.alerts import Event, Kind
    from ml.alerts.incidents import in_short

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
    facts = {"dag_id": run.dag_id, "run_id": run.run_id, "attempt": run.attempt, "data_date": day}
    if not any(event.kind is Kind.FAILED for event in own):
        book.note(Event.model_validate({"kind": Kind.FAILED, "task_id": task_id, **facts}))
    story = failure_story(settings, book, run, day)
    if story:
        deliver(settings, book, story)
    if not any(event.kind is Kind.ENDED for event in own):
        book.note(Event.model_validate({"kind": Kind.ENDED, **facts}))


def tell_good_run(settings: Settings, book: AlertBook, run: RunKey, day: date | None) -> None:
    """Note a good attempt of a run; tell people if it ends an incident, or if its QC warned."""
    from ml.alerts import Event, Kind, success_story
    from ml.alerts.facts import outcome_of, qc_of, warnings_of

    made = outcome_of(settings, run.run_id).release_id if run.dag_id == SCORING_DAG else None
    warnings = warnings_of(qc_of(settings, made))
    story = success_story(settings, book, run, day, warnings=warnings)
    if story:
        deliver(settings, book, story)
    # At the end: until then the watchdog looks after the run, should this process die.
    book.note(Event(kind=Kind.SUCCEEDED, dag_id=run.dag_id, run_id=run.run_id, attempt=run.attempt, data_date=day))


def deliver(settings: Settings, book: AlertBook, story: Story) -> None:
    """Put a story into words, into the log and into the outbox, and send it; not if that was done."""
    from airflow.sdk.configuration import conf

    from ml.alerts import compose
    from ml.alerts.story import told
    from ml.clock import now

    if not book.claim(story.key, LOG_CHANNEL):
        return
    base_url = conf.get("api", "base_url", fallback="http://localhost:8080")
    alert = compose(story, base_url=base_url, now=now())
    book.keep(story.key, {"alert": asdict(alert), "told": told(story).model_dump(mode="json")})
    log.warning("%s", alert.text)
    book.settle(story.key, LOG_CHANNEL, sent=True)
    _send(settings, book, alert, told(story), first=True)


def send_again(settings: Settings, book: AlertBook) -> None:
    """Send what lies in the outbox on the channels that have not taken it; what is over meanwhile is let go."""
    from ml.alerts import Alert, Event
    from ml.alerts.incidents import is_over

    for letter in book.kept():
        event = Event.model_validate(letter["told"])
        if event.alert == "recovered" or not is_over(event, book.events()):
            _send(settings, book, Alert(**letter["alert"]), event, first=False)


def _send(settings: Settings, book: AlertBook, alert: Alert, told: Event, *, first: bool) -> None:
    """Send on every channel that is there and may still be tried, all at once, each with its time limit."""
    import claims_channels

    key = str(told.key)
    channels = claims_channels.available(settings, log_missing=first)
    mine = {name: send for name, send in channels.senders.items() if book.claim(key, name)}
    outcomes = claims_channels.send_all(mine, alert)
    for name, outcome in outcomes.items():
        if outcome is not None:  # without an answer the right lapses by itself
            book.settle(key, name, sent=outcome)
    log_alone = channels.all_known and not channels.senders
    reached = log_alone or any(outcome is not False for outcome in outcomes.values())
    if reached and not any(event.key == key for event in book.events()):
        book.note(told)


def watch(context: Any) -> None:
    """Close the gaps that callbacks leave: restore, tell of runs that ended without any, and of a missed deadline.

    Raises:
        ReleaseError: what a dead run left live cannot be taken back.
    """
    from ml import nightly
    from ml.alerts.incidents import runs_to_look_after
    from ml.clock import now

    settings = patient_for(WATCHDOG_PATIENCE_SECONDS)
    book = book_of(settings)
    try:
        nightly.recover(settings, None, running_in_airflow(context), quick=True)
    finally:
        for run, day in runs_to_look_after(book, now()):
            _look_after(context, settings, book, run, day)
        _harmless(send_again)(settings, book)
        _tell_deadline(settings, book)


@_harmless
def _look_after(context: Any, settings: Settings, book: AlertBook, run: RunKey, day: date | None) -> None:
    from ml.alerts import Event, Kind

    if not context["ti"].get_dr_count(dag_id=run.dag_id, run_ids=[run.run_id]):
        log.warning("run %s of %s was deleted: no end of it will be told", run.run_id, run.dag_id)
        book.note(Event(kind=Kind.ENDED, dag_id=run.dag_id, run_id=run.run_id, attempt=run.attempt, data_date=day))
        return
    state = context["ti"].get_dagrun_state(run.dag_id, run.run_id)
    if state == "failed":
        tell_failed_run(settings, book, run, day, _failed_task(context, run))
    elif state == "success":
        tell_good_run(settings, book, run, day)


@_harmless
def _tell_deadline(settings: Settings, book: AlertBook) -> None:
    from ml.alerts import deadline_story
    from ml.clock import latest_due, now

    if story := deadline_story(settings, book, latest_due(settings.alert_deadline), now()):
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
    from ml.settings import load_settings_leniently

    settings = load_settings_leniently()
    run = run_key(context)
    of_a_night = context.get("dag_run") and run.dag_id != ROLLBACK_DAG
    return settings, book_of(settings), run, data_date(context) if of_a_night else None


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
