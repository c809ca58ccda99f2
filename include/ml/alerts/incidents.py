"""What the events of the alert book say of runs: which incidents are open, for how many nights, what is over.

An incident is a task that fails on one night or on several in a row; it ends with the first good run of the same or a
later data date. A scoring run that fails only because the ETL did belongs to the ETL's incident.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from enum import StrEnum

from ml.alerts.events import AlertBook, Event, Kind, RunKey

ETL_DAG = "claims_normalized"
SCORING_DAG = "claims_risk_scoring"
TRAINING_DAG = "train_risk_model"
ROLLBACK_DAG = "claims_scores_rollback"
"""Belongs to no night: each of its failures is an incident of its own."""
WAITING_TASK = "wait_for_etl"
SUMMARY_TASK = "qc_summary"
"""The one task that may be run again by itself: the release it follows is then of an earlier attempt."""
DEADLINE_TASK = "deadline"
"""Stands for a task in what is told about a missed deadline, which is nobody's failure."""
MAX_ERROR = 800
MAX_END = 300  # of these, kept of its end: errors begin with what is wrong and end with what to do
LOOK_AFTER_FOR = timedelta(days=7)  # a run that began earlier has gone from Airflow's metadata without an end
AT_WORK_FOR = timedelta(hours=2)  # how long a run that began late keeps the deadline's alert back

# Long numbers may be a participant's or a family's, out of a message of some library. What names a release, a model, an
# ETL run's folder or a moment is not.
_NUMBERS = re.compile(
    r"(risk-[0-9a-f]{12}|\d{8}(?:-\d{8})?T\d{6}Z[\w.-]*|\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:-\d{6})?-\d\d-\d\d-[0-9a-f]{8}\b"
    r"|\d{4}-\d\d-\d\dT[\d:.+]+)|\d{6,}"
)


class AlertKind(StrEnum):
    """Why somebody is told something."""

    FAILED = "failed"
    STILL = "still"  # the same failure on a later night
    RECOVERED = "recovered"
    WARNING = "warning"  # QC warnings, no failure
    DEADLINE = "deadline"  # no release of tonight's data date in time


def is_over(event: Event, events: list[Event]) -> bool:
    """Whether a good run has ended since what an alert tells of: then it is not sent again."""
    return any(
        other.kind is Kind.SUCCEEDED
        and other.dag_id == event.dag_id
        and other.at > event.at
        and not_after(event.data_date, other.data_date)
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
    """Return an error on one line, its middle shortened, without long numbers: a participant's could be among them."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = _NUMBERS.sub(lambda found: found.group(1) or "…", text)
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - MAX_END - 3] + " … " + text[-MAX_END:]


def failure_of(events: list[Event], run: RunKey) -> Event | None:
    """Return the first task of this attempt that failed: what follows it are consequences."""
    own = (e for e in events if e.kind is Kind.FAILED and (e.dag_id, e.run_id, e.attempt) == _name(run) and e.task_id)
    return next(own, None)


def begun_at(events: list[Event], run: RunKey) -> datetime | None:
    """Return when an attempt of a run began; None when that could not be noted."""
    return next((e.at for e in events if e.kind is Kind.BEGUN and (e.dag_id, e.run_id, e.attempt) == _name(run)), None)


def nights_of(events: list[Event], dag_id: str, task_id: str | None, last: date | None) -> set[date]:
    """Return the data dates in a row, up to the last one, on which this task has failed since it went well."""
    nights: set[date] = set()
    for event in events:
        if event.dag_id != dag_id or event.data_date is None:
            continue
        if event.kind is Kind.FAILED and event.task_id == task_id:
            nights.add(event.data_date)
        elif event.kind is Kind.SUCCEEDED:
            nights = {night for night in nights if night > event.data_date}
    return set() if last is None else in_a_row(nights | {last}, last)


def in_a_row(nights: set[date], last: date) -> set[date]:
    """Return the last of some dates with those right before it."""
    row = {last}
    while (before := min(row) - timedelta(days=1)) in nights:
        row.add(before)
    return row


def open_tales(events: list[Event], dag_id: str) -> list[Event]:
    """Return what was told of failures and missed deadlines of a DAG since it was last told that all is well again."""
    tales: list[Event] = []
    for event in events:
        if event.kind is not Kind.TOLD or event.dag_id != dag_id:
            continue
        if event.alert == AlertKind.RECOVERED:
            tales = [tale for tale in tales if not not_after(tale.data_date, event.data_date)]
        elif event.alert != AlertKind.WARNING:
            tales.append(event)
    return tales


def is_told(events: list[Event], data_date: date) -> bool:
    """Whether a failure of the night is told, be it the ETL's or scoring's."""
    tales = [*open_tales(events, ETL_DAG), *open_tales(events, SCORING_DAG)]
    return any(tale.data_date == data_date and tale.task_id != DEADLINE_TASK for tale in tales)


def etl_failed(events: list[Event], data_date: date | None) -> bool:
    """Whether the ETL of a data date failed, and has not succeeded since; noted in its task, before anybody waits."""
    own = [event.kind for event in events if event.dag_id == ETL_DAG and event.data_date == data_date]
    ends = [kind for kind in own if kind in (Kind.FAILED, Kind.SUCCEEDED)]
    return bool(ends) and ends[-1] is Kind.FAILED


def waiting_run_of(events: list[Event], dag_id: str, data_date: date | None) -> str | None:
    """Return the scoring run of an ETL's data date that failed for want of it and has not been run again."""
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


def at_work(events: list[Event], data_date: date, moment: datetime) -> bool:
    """Whether a scoring run of a data date, or of a later one, has begun lately and has no end yet."""
    at_work: dict[str | None, bool] = {}
    for event in events:
        if event.dag_id == SCORING_DAG and event.data_date and event.data_date >= data_date:
            at_work[event.run_id] = event.kind is Kind.BEGUN and moment - event.at < AT_WORK_FOR
    return any(at_work.values())


def not_after(earlier: date | None, later: date | None) -> bool:
    """Whether a date is not after another one; an unknown one is not."""
    return earlier is None or later is None or earlier <= later


def _name(run: RunKey) -> tuple[str, str | None, int]:
    return run.dag_id, run.run_id, run.attempt
