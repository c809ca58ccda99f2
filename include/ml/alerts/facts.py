"""The facts an alert tells, looked up when it is written and never assumed: what readers see, and what a run left."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from ml.clock import stamp
from ml.nightly import store_of
from ml.qc import QcError
from ml.qc.logs import Snapshot, read_log, read_snapshot, snapshots_since
from ml.release import ReleaseError, ReleaseStore
from ml.release.journal import Event as Step
from ml.release.journal import Record
from ml.release.manifest import created_at_of_id
from ml.rollback import through_airflow
from ml.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReaderView:
    """What readers see now: a release, none, or (with `problem`) something that could not be read.

    `rows` are claims; moments are UTC.
    """

    release_id: str | None = None
    data_date: date | None = None
    created_at: datetime | None = None
    rows: int | None = None
    problem: str | None = None


class Fate(Enum):
    """What became of the release a run made."""

    NONE = "none"  # the run published nothing
    ARCHIVED = "archived"  # kept, but a newer data date stays live
    TAKEN_BACK = "taken back"  # was live, and an earlier release is live again
    REPLACED = "replaced"  # was live, another release is now
    STAYS = "stays"  # is live and passed its QC
    UNCHECKED = "unchecked"  # is live and must not be: its QC failed or never came


@dataclass(frozen=True)
class Outcome:
    """What a run left: its release (None: it made none) and that release's fate. None as fate: it cannot be read."""

    fate: Fate | None
    release_id: str | None = None


def reader_view(settings: Settings) -> ReaderView:
    """Look up what readers see now; damage is part of the answer, not an error."""
    store = store_of(settings)
    try:
        live = store.live()
    except (ReleaseError, OSError) as error:
        return ReaderView(release_id=_id_at_least(store), problem=str(error))
    if live is None:
        return ReaderView()
    manifest = live.manifest
    return ReaderView(live.id, manifest.data_date, manifest.created_at, manifest.rows)


def outcome_of(settings: Settings, run_id: str, since: datetime | None = None) -> Outcome:
    """Look up in the release journal what a run published and what became of it.

    Args:
        settings: of the instance.
        run_id: the run.
        since: when its attempt began. A release from before counts only if it has been taken back since, or if readers
            see it unchecked; the rest was told of the attempt that made it. None: all attempts count.
    """
    store = store_of(settings)
    seen = _journal_and_live(store)
    if seen is None:
        return Outcome(None)
    journal, live = seen
    publication = _publication(journal, run_id)
    if publication is None or publication.release_id is None:
        return Outcome(Fate.NONE)
    release_id = publication.release_id
    if live == release_id and store.qc_passed(release_id) is not True:
        return Outcome(Fate.UNCHECKED, release_id)
    taken_back = [record.at for record in journal if record.event is Step.RESTORED and record.previous == release_id]
    if since and publication.at < since and all(moment < since for moment in taken_back):
        return Outcome(Fate.NONE)
    if live == release_id:
        return Outcome(Fate.STAYS, release_id)
    if publication.event is Step.ARCHIVED:
        return Outcome(Fate.ARCHIVED, release_id)
    if taken_back:
        return Outcome(Fate.TAKEN_BACK, release_id)
    # Killed before its switch, the release was never seen.
    return Outcome(Fate.REPLACED if publication.event is Step.SWITCHED else Fate.NONE, release_id)


def rollback_outcome(settings: Settings, run_id: str) -> Outcome:
    """Look up in the release journal whether a run of the rollback DAG has put its release back."""
    seen = _journal_and_live(store_of(settings))
    if seen is None:
        return Outcome(None)
    journal, live = seen
    who = through_airflow(run_id)
    own = [r.release_id for r in journal if r.event is Step.ROLLED_BACK and (r.who or "").endswith(who)]
    if not own:
        return Outcome(Fate.NONE)
    return Outcome(Fate.STAYS if own[-1] == live else Fate.REPLACED, own[-1])


def _journal_and_live(store: ReleaseStore) -> tuple[tuple[Record, ...], str | None] | None:
    """The release journal and the live release's id; None where they cannot be read."""
    try:
        return store.journal(), store.live_id()
    except (ReleaseError, OSError):
        log.exception("the release journal cannot be read")
        return None


def was_live_and_good(settings: Settings, data_date: date) -> bool:
    """Whether a release of a data date, or of a later one, was live and passed its QC; it may be so no longer.

    Then it was in time, and whoever put another one back did so knowingly.
    """
    store = store_of(settings)
    try:
        switched = {record.release_id for record in store.journal() if record.event is Step.SWITCHED}
        return any(
            release.id in switched and release.manifest.data_date >= data_date and store.qc_passed(release.id)
            for release in store.releases()
        )
    except (ReleaseError, OSError):
        log.exception("the releases cannot be read")
        return False


def ever_live(settings: Settings) -> bool:
    """Whether any release has ever been live, whatever is now."""
    try:
        return any(record.event is Step.SWITCHED for record in store_of(settings).journal())
    except (ReleaseError, OSError):
        log.exception("the journal cannot be read")
        return True


def qc_of(settings: Settings, release_id: str | None) -> Snapshot | None:
    """Return the log of a release's last QC; None when there is none, or it cannot be read.

    By its name in the journal; where QC did not come to record it, among the logs since the release was made. To look
    through those of a year would take longer than a callback has.
    """
    if release_id is None:
        return None
    try:
        name = store_of(settings).qc_log(release_id)
        if name is not None:
            return read_snapshot(settings.logs / name)
        since = stamp(created_at_of_id(release_id).replace(microsecond=0))
        return next(
            (log for log in snapshots_since(settings.logs, since) if log.summary.get("release_id") == release_id), None
        )
    except (ReleaseError, OSError, QcError):
        log.exception("the QC log of %s cannot be read", release_id)
        return None


def warnings_of(snapshot: Snapshot | None) -> tuple[str, ...]:
    """Return the warnings a QC log holds, in its own words."""
    if snapshot is None or not snapshot.summary.get("warned_expectations"):
        return ()
    try:
        return tuple(read_log(snapshot.log).get("warnings", ()))
    except QcError:
        log.exception("%s cannot be read", snapshot.log)
        return ()


def _publication(journal: tuple[Record, ...], run_id: str) -> Record | None:
    """The last record of a run's latest publication; one that was killed half-way has only its intent."""
    events = (Step.INTENT, Step.SWITCHED, Step.ARCHIVED)
    return next((r for r in reversed(journal) if r.event in events and r.run_id == run_id), None)


def _id_at_least(store: ReleaseStore) -> str | None:
    try:
        return store.live_id()
    except (ReleaseError, OSError):
        return None
