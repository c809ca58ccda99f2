"""What an alert has to tell, and whether there is anything to tell: incidents, their nights, and their end.

An incident is a task that fails on one night or on several in a row; it ends with the first good run of the same or a
later data date. A scoring run that fails only because the ETL did belongs to the ETL's incident.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from ml.alerts.events import AlertBook, Event, Kind, RunKey
from ml.alerts.facts import Fate, Outcome, ReaderView, newest_snapshot, outcome_of, reader_view, was_live_and_good
from ml.qc.logs import Snapshot
from ml.settings import Settings

ETL_DAG = "claims_normalized"
SCORING_DAG = "claims_risk_scoring"
TRAINING_DAG = "train_risk_model"
WAITING_TASK = "wait_for_etl"
DEADLINE_TASK = "deadline"
"""Stands for a task in what is told about a missed deadline, which is nobody's failure."""
MAX_ERROR = 400
LOOK_AFTER_FOR = timedelta(days=7)  # a run that began earlier has gone from Airflow's metadata without an end
AT_WORK_FOR = timedelta(hours=2)  # how long a run that began late keeps the deadline's alert back

# Long numbers may be a participant's or a family's, out of a message of some library. What names a release, a model or
# a moment is not.
_NUMBERS = re.compile(r"(risk-[0-9a-f]{12}|\d{8}(?:-\d{8})?T\d{6}Z[\w.-]*|\d{4}-\d\d-\d\dT[\d:.+]+)|\d{6,}")


class AlertKind(StrEnum):
    """Why somebody is told something."""

    FAILED = "failed"
    STILL = "still"  # the same failure on a later night
    RECOVERED = "recovered"
    WARNING = "warning"  # QC warnings, no failure
    DEADLINE = "deadline"  # no release of tonight's data date in time


@dataclass(frozen=True)
class Story:
    """Everything an alert tells, as facts. `key` names the alert: with the same key it goes out once.

    `nights` counts the data dates of the incident, `since` is the first of them. `snapshot` is the QC log of the run,
    or that of what readers see when the run has none (`of_run` tells). `waiting_run` is the scoring run of that data
    date that has failed for want of this ETL and has to be run again.
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
        data_date: of the run.
    """
    events = book.events()
    failure = _failure_of(events, run)
    task_id = failure.task_id if failure else None
    if run.dag_id == SCORING_DAG and task_id == WAITING_TASK and _etl_failed(events, data_date):
        return None
    nights = _nights(events, run.dag_id, task_id, data_date)
    snapshot = newest_snapshot(settings, run_id=run.run_id) if run.dag_id == SCORING_DAG else None
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
        outcome=outcome_of(settings, run.run_id) if run.dag_id == SCORING_DAG else None,
        snapshot=snapshot or newest_snapshot(settings, release_id=readers.release_id),
        of_run=snapshot is not None,
        waiting_run=_waiting_run(events, run.dag_id, data_date),
    )


def success_story(
    settings: Settings, book: AlertBook, run: RunKey, data_date: date | None, *, warnings: tuple[str, ...] = ()
) -> Story | None:
    """Return what is to be told about a good run: that an incident is over, or QC's warnings; None for neither.

    Args:
        settings: of the instance.
        book: with what was told so far.
        run: the good attempt.
        data_date: of the run.
        warnings: of its QC.
    """
    events = book.events()
    outcome = outcome_of(settings, run.run_id) if run.dag_id == SCORING_DAG else None
    if outcome and outcome.fate not in (Fate.STAYS, Fate.ARCHIVED):
        return None  # nothing was published: that is no recovery, whatever state Airflow calls it
    ended = [event for event in _open_tales(events, run.dag_id) if _not_after(event.data_date, data_date)]
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
        snapshot=newest_snapshot(settings, release_id=readers.release_id),
        warnings=warnings if seen else (),
        waiting_run=_waiting_run(events, run.dag_id, data_date),
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
    if readers.problem is None and (
        readers.data_date is None
        or readers.data_date >= data_date
        or was_live_and_good(settings, data_date)
        or _is_told(events, data_date)
        or _at_work(events, data_date, moment)
    ):
        return None
    late = [event for event in _open_tales(events, SCORING_DAG) if event.task_id == DEADLINE_TASK]
    nights = {event.data_date for event in late if event.data_date} | {data_date}
    nights = _in_a_row({night for night in nights if night > (readers.data_date or date.min)}, data_date)
    return Story(
        kind=AlertKind.DEADLINE,
        key=f"damaged|{readers.release_id}" if readers.problem else f"deadline|{data_date}",
        dag_id=SCORING_DAG,
        run_id=None,
        attempt=0,
        data_date=data_date,
        task_id=DEADLINE_TASK,
        nights=len(nights),
        since=min(nights),
        readers=readers,
        snapshot=newest_snapshot(settings, release_id=readers.release_id),
    )


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


def is_over(event: Event, events: list[Event]) -> bool:
    """Whether a good run has ended since what an alert tells of: then it is not sent again."""
    return any(
        other.kind is Kind.SUCCEEDED
        and other.dag_id == event.dag_id
        and other.at > event.at
        and _not_after(event.data_date, other.data_date)
        for other in events
    )


def runs_to_look_after(book: AlertBook, moment: datetime) -> list[tuple[RunKey, date | None]]:
    """Return the runs (latest attempt, data date) that have begun within a week and of which no end is noted."""
    runs: dict[tuple[str, str], tuple[RunKey, date | None]] = {}
    for event in book.events():
        if event.run_id is None or moment - event.at > LOOK_AFTER_FOR:
            continue
        name = (event.dag_id, event.run_id)
        if event.kind in (Kind.BEGUN, Kind.FAILED):
            runs[name] = (RunKey(event.dag_id, event.run_id, event.attempt), event.data_date)
        elif event.kind in (Kind.SUCCEEDED, Kind.ENDED):
            runs.pop(name, None)
    return list(runs.values())


def in_short(error: object) -> str:
    """Return an error on one line, shortened, without long numbers: a participant's could be among them."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = _NUMBERS.sub(lambda found: found.group(1) or "…", text)
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"


def _failure_of(events: list[Event], run: RunKey) -> Event | None:
    """The first task of this attempt that failed: what follows it are consequences."""
    own = (e for e in events if e.kind is Kind.FAILED and (e.dag_id, e.run_id, e.attempt) == _name(run) and e.task_id)
    return next(own, None)


def _nights(events: list[Event], dag_id: str, task_id: str | None, last: date | None) -> set[date]:
    """The data dates in a row, up to the last one, on which this task has failed since it went well."""
    nights: set[date] = set()
    for event in events:
        if event.dag_id != dag_id or event.data_date is None:
            continue
        if event.kind is Kind.FAILED and event.task_id == task_id:
            nights.add(event.data_date)
        elif event.kind is Kind.SUCCEEDED:
            nights = {night for night in nights if night > event.data_date}
    return set() if last is None else _in_a_row(nights | {last}, last)


def _in_a_row(nights: set[date], last: date) -> set[date]:
    row = {last}
    while (before := min(row) - timedelta(days=1)) in nights:
        row.add(before)
    return row


def _open_tales(events: list[Event], dag_id: str) -> list[Event]:
    """What was told of failures and missed deadlines of a DAG since it was last told that all is well again."""
    tales: list[Event] = []
    for event in events:
        if event.kind is not Kind.TOLD or event.dag_id != dag_id:
            continue
        if event.alert == AlertKind.RECOVERED:
            tales = [tale for tale in tales if not _not_after(tale.data_date, event.data_date)]
        elif event.alert != AlertKind.WARNING:
            tales.append(event)
    return tales


def _is_told(events: list[Event], data_date: date) -> bool:
    """Whether a failure of the night is told, be it the ETL's or scoring's."""
    tales = [*_open_tales(events, ETL_DAG), *_open_tales(events, SCORING_DAG)]
    return any(tale.data_date == data_date and tale.task_id != DEADLINE_TASK for tale in tales)


def _etl_failed(events: list[Event], data_date: date | None) -> bool:
    """Whether the ETL of a data date failed, and has not succeeded since; noted in its task, before anybody waits."""
    own = [event.kind for event in events if event.dag_id == ETL_DAG and event.data_date == data_date]
    ends = [kind for kind in own if kind in (Kind.FAILED, Kind.SUCCEEDED)]
    return bool(ends) and ends[-1] is Kind.FAILED


def _waiting_run(events: list[Event], dag_id: str, data_date: date | None) -> str | None:
    """The scoring run of an ETL's data date that failed for want of it and has not been run again."""
    if dag_id != ETL_DAG:
        return None
    waiting = None
    for event in events:
        if event.dag_id != SCORING_DAG or event.data_date != data_date:
            continue
        if event.kind is Kind.FAILED and event.task_id == WAITING_TASK:
            waiting = event.run_id
        elif event.kind is Kind.SUCCEEDED:
            waiting = None
    return waiting


def _at_work(events: list[Event], data_date: date, moment: datetime) -> bool:
    """Whether a scoring run of a data date, or of a later one, has begun lately and has no end yet."""
    at_work: dict[str | None, bool] = {}
    for event in events:
        if event.dag_id == SCORING_DAG and event.data_date and event.data_date >= data_date:
            at_work[event.run_id] = event.kind is Kind.BEGUN and moment - event.at < AT_WORK_FOR
    return any(at_work.values())


def _not_after(earlier: date | None, later: date | None) -> bool:
    return earlier is None or later is None or earlier <= later


def _name(run: RunKey) -> tuple[str, str | None, int]:
    return run.dag_id, run.run_id, run.attempt
