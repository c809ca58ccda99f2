"""What an alert has to tell, as facts, and whether there is anything to tell; the events' part is in `incidents`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ml.alerts import incidents
from ml.alerts.events import AlertBook, Event, Kind, RunKey
from ml.alerts.facts import (
    Fate,
    Outcome,
    ReaderView,
    ever_live,
    outcome_of,
    qc_of,
    reader_view,
    rollback_outcome,
    was_live_and_good,
)
from ml.alerts.incidents import DEADLINE_TASK, ROLLBACK_DAG, SCORING_DAG, SUMMARY_TASK, WAITING_TASK, AlertKind
from ml.qc.logs import Snapshot
from ml.settings import Settings


@dataclass(frozen=True)
class Story:
    """Everything an alert tells, as facts. `key` names the alert: with the same key it goes out once.

    `nights` counts the data dates of the incident, `since` is the first of them. `snapshot` is the QC log of what the
    run made, or that of what readers see when there is none (`of_run` tells). `waiting_run` is the scoring run of that
    data date that has failed for want of this ETL and has to be run again.
    """

    kind: AlertKind
    key: str
    dag_id: str
    run_id: str | None
    attempt: int
    data_date: date | None
    readers: ReaderView
    task_id: str | None = None
    error: str | None = None
    nights: int = 1
    since: date | None = None
    outcome: Outcome | None = None
    snapshot: Snapshot | None = None
    of_run: bool = False
    warnings: tuple[str, ...] = ()
    waiting_run: str | None = None

    @property
    def urgent(self) -> bool:
        """Whether readers may see what they must not: it cannot wait for the morning."""
        fate_bad = self.outcome is not None and self.outcome.fate in (Fate.UNCHECKED, None)
        return self.readers.problem is not None or fate_bad


def failure_story(settings: Settings, book: AlertBook, run: RunKey, data_date: date | None) -> Story | None:
    """Return what is to be told about a failed run; None when the ETL's alert has told it.

    Args:
        settings: of the instance.
        book: with the failures of the run's tasks, as far as they could be noted.
        run: the failed attempt.
        data_date: of the run; None for a rollback, which belongs to no night.
    """
    events = book.events()
    failure = incidents.failure_of(events, run)
    task_id = failure.task_id if failure else None
    if run.dag_id == SCORING_DAG and task_id == WAITING_TASK and incidents.etl_failed(events, data_date):
        return None
    nights = incidents.nights_of(events, run.dag_id, task_id, data_date)
    outcome = _outcome(settings, run, None if task_id == SUMMARY_TASK else incidents.begun_at(events, run))
    # By the release and not by the run: the newest log of a run that was cleared may be of the attempt before.
    made = outcome.release_id if outcome and run.dag_id == SCORING_DAG else None
    snapshot = qc_of(settings, made)
    readers = reader_view(settings)
    return Story(
        kind=AlertKind.STILL if len(nights) > 1 else AlertKind.FAILED,
        key=f"failed|{run.dag_id}|{run.run_id}|{run.attempt}",
        dag_id=run.dag_id,
        run_id=run.run_id,
        attempt=run.attempt,
        data_date=data_date,
        task_id=task_id,
        error=failure.error if failure else None,
        nights=max(len(nights), 1),
        since=min(nights, default=None),
        readers=readers,
        outcome=outcome,
        snapshot=snapshot or qc_of(settings, readers.release_id),
        of_run=snapshot is not None,
        waiting_run=incidents.waiting_run_of(events, run.dag_id, data_date),
    )


def success_story(
    settings: Settings, book: AlertBook, run: RunKey, data_date: date | None, *, warnings: tuple[str, ...] = ()
) -> Story | None:
    """Return what is to be told about a good run: that an incident is over, or QC's warnings; None for neither.

    None for a rollback, too: whoever triggers it looks at it, and what failed before may have been done by a command.

    Args:
        settings: of the instance.
        book: with what was told so far.
        run: the good attempt.
        data_date: of the run.
        warnings: of its QC.
    """
    if run.dag_id == ROLLBACK_DAG:
        return None
    events = book.events()
    outcome = _outcome(settings, run)  # of all attempts: `qc_summary` alone may have been run again
    if outcome and outcome.fate not in (Fate.STAYS, Fate.ARCHIVED):
        return None  # nothing was published: that is no recovery, whatever state Airflow calls it
    ended = [
        event for event in incidents.open_tales(events, run.dag_id) if incidents.not_after(event.data_date, data_date)
    ]
    seen = outcome is None or outcome.fate is Fate.STAYS
    if not ended and not (warnings and seen):
        return None
    nights = {event.data_date for event in ended if event.data_date}
    readers = reader_view(settings)
    return Story(
        kind=AlertKind.RECOVERED if ended else AlertKind.WARNING,
        key=f"good|{run.dag_id}|{run.run_id}|{run.attempt}",
        dag_id=run.dag_id,
        run_id=run.run_id,
        attempt=run.attempt,
        data_date=data_date,
        task_id=ended[-1].task_id if ended else None,
        nights=max(len(nights), 1),
        since=min(nights, default=None),
        readers=readers,
        outcome=outcome,
        snapshot=qc_of(settings, readers.release_id),
        warnings=warnings if seen else (),
        waiting_run=incidents.waiting_run_of(events, run.dag_id, data_date),
    )


def deadline_story(settings: Settings, book: AlertBook, data_date: date, moment: datetime) -> Story | None:
    """Return what is to be told when the deadline of a data date has passed, or what is live cannot be read.

    None when its scores, or newer ones, are live or were until an operator took them back; when a failure of that night
    was told; when a run that began late is at work on it; and on an instance that has never had a release.

    Args:
        settings: of the instance.
        book: with what was told so far.
        data_date: whose deadline has passed.
        moment: now.
    """
    readers = reader_view(settings)
    events = book.events()
    in_time = readers.data_date >= data_date if readers.data_date else not ever_live(settings)
    if readers.problem is None and (
        in_time
        or was_live_and_good(settings, data_date)
        or incidents.is_told(events, data_date)
        or incidents.at_work(events, data_date, moment)
    ):
        return None
    late = [event for event in incidents.open_tales(events, SCORING_DAG) if event.task_id == DEADLINE_TASK]
    nights = {event.data_date for event in late if event.data_date} | {data_date}
    nights = incidents.in_a_row({night for night in nights if night > (readers.data_date or date.min)}, data_date)
    return Story(
        kind=AlertKind.DEADLINE,
        key=f"damaged|{readers.release_id}|{data_date}" if readers.problem else f"deadline|{data_date}",
        dag_id=SCORING_DAG,
        run_id=None,
        attempt=0,
        data_date=data_date,
        task_id=DEADLINE_TASK,
        nights=len(nights),
        since=min(nights),
        readers=readers,
        snapshot=qc_of(settings, readers.release_id),
    )


def _outcome(settings: Settings, run: RunKey, since: datetime | None = None) -> Outcome | None:
    """What a run that changes what readers see has left; for scoring, what it has since then."""
    if run.dag_id == SCORING_DAG:
        return outcome_of(settings, run.run_id, since)
    return rollback_outcome(settings, run.run_id) if run.dag_id == ROLLBACK_DAG else None


def told(story: Story) -> Event:
    """Return the event that says that a story has been told."""
    return Event(
        kind=Kind.TOLD,
        dag_id=story.dag_id,
        run_id=story.run_id,
        attempt=story.attempt,
        data_date=story.data_date,
        task_id=story.task_id,
        alert=story.kind.value,
        key=story.key,
    )
