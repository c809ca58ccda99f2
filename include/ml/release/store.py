"""The release room's only door. Readers use `live` and no lock; everything else takes the room's lock by itself."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml import clock
from ml.release import publish, restore, verify
from ml.release.journal import Event, Record
from ml.release.manifest import Candidate, Published, Release, ReleaseError, Restored, RunToken
from ml.release.restore import IsRunning
from ml.release.room import Room

DEAD_RUN = "recover at the start of a run"


class ReleaseStore:
    """Releases of the scores under `<instance_dir>/releases`, of which `<instance_dir>/current` names the live one.

    Args:
        instance_dir: root of what the system writes; made when missing.
        lock_timeout: seconds to wait for another publisher before giving up with a `ReleaseError`.
        keep: how many of the newest releases are kept; besides them the live one, its three ancestors and the young.
        keep_days: age in days up to which every release is kept; at least one.
        memory_limit: memory DuckDB may use before it spills to disk, e.g. `2GB`.
        threads: threads DuckDB may use.
    """

    def __init__(
        self,
        instance_dir: Path,
        *,
        lock_timeout: float = 600,
        keep: int = 7,
        keep_days: float = 1,
        memory_limit: str = "2GB",
        threads: int = 2,
    ) -> None:
        if keep < 1:
            raise ReleaseError(f"keep={keep}: at least the newest release must be kept")
        if keep_days < 1:
            raise ReleaseError(f"keep_days={keep_days}: a backup is kept for at least one day")
        age = timedelta(days=keep_days)
        self._room = Room(instance_dir.absolute(), lock_timeout, keep, age, memory_limit, threads)

    def publish(self, candidate: Candidate, token: RunToken, *, now: datetime | None = None) -> Published:
        """Build a complete release from an audited candidate and make it the live one, in one step for readers.

        With a data date older than the live release's, the release is kept but not switched to. Called again by the
        same run with the same candidate, it returns what is already published. `now` is the release's creation time.

        Raises:
            ReleaseError: the run was declared dead, the candidate or the disk is not fit, the lock was not free. What
                readers see is then unchanged, unless the message is about the journal (docs/publishing.md, step 12).
        """
        moment = clock.now() if now is None else now
        if moment.tzinfo is None or candidate.scored_at.tzinfo is None:
            raise ReleaseError("`now` and `scored_at` must have a timezone, or they name no point in time")
        return publish.publish(self._room, candidate, token, moment.astimezone(UTC))

    def record_qc(self, release_id: str, *, passed: bool, log: str | None) -> None:
        """Note in the journal how the QC of a release went, and the name of its log; the last outcome counts.

        Raises:
            ReleaseError: there is no such release.
        """
        with self._room.locked():
            self._room.get(release_id)
            self._room.journal.append(Record(event=Event.QC, release_id=release_id, passed=passed, log=log))

    def qc_passed(self, release_id: str) -> bool | None:
        """Return the last QC outcome of a release; None when none was recorded."""
        return self._room.journal.read().qc_passed(release_id)

    def qc_log(self, release_id: str) -> str | None:
        """Return the name of the log of a release's last QC; None when none was recorded."""
        record = self._room.journal.read().qc(release_id)
        return record.log if record else None

    def withdrawn(self, release_id: str) -> bool:
        """Return whether readers were taken off a release: given up, QC failed, or an operator went back from it."""
        return self._room.journal.read().withdrawn(release_id)

    def restore(self, token_or_run_id: RunToken | str, *, reason: str) -> Restored:
        """Undo a failed run: if its release is still live, make the one before it live again, exactly.

        Whatever else is live stays, so that calling it twice, late, or for nothing is harmless. The run is fenced: this
        try and earlier ones can no longer publish. A run id alone means every try that has come to publish so far
        (none yet: nothing to fence); give the token of the publishing task where it is known. A damaged ancestor is
        passed over for an older good one; if there is none, no release is live afterwards.
        """
        return restore.restore(self._room, token_or_run_id, reason)

    def recover(
        self,
        *,
        current_run: str | None = None,
        is_running: IsRunning = lambda _run_id: False,
        give_up_damaged: bool = False,
        quick: bool = False,
    ) -> Restored:
        """Clear up at the start of a run: sweep crashed builds, and give up what a dead run left live.

        A live release is given up when its QC failed, or when its QC never passed and nobody will run it any more: its
        run is not `current_run`, is not `is_running`, and is not inside `running` in another process. One whose files
        are damaged is reported in `Restored.damage` and stays live, unless `give_up_damaged`: then the nearest verified
        ancestor becomes live. With `quick` a live file that nobody has written to since it was sealed is not hashed
        again (docs/adr/0006); what the live release gives way to is. An empty instance, or one with rubbish in it, is
        left as it is.
        """
        return restore.recover(
            self._room, current_run, DEAD_RUN, is_running, give_up_damaged=give_up_damaged, quick=quick
        )

    def running(self, run_id: str) -> AbstractContextManager[None]:
        """Keep `recover` in other processes from taking this run for dead while its QC is still to come.

        For a run that is one process. Airflow's runs are many; there `recover` is told by `is_running`.
        """
        return self._room.running(run_id)

    def rollback(self, to: str | None, *, reason: str, who: str, instead_of: str | None = None) -> Restored:
        """Make an operator's choice live (default: the nearest good release before the live one); it then stands.

        With `instead_of`, only if that is still the live release: the operator has looked at it and decided.

        Raises:
            ReleaseError: the choice does not verify or failed its QC (the message names the best alternative), or
                another release has become live meanwhile.
        """
        return restore.rollback(self._room, to, reason, who, instead_of=instead_of)

    def rollback_target(self, to: str | None) -> str:
        """Return the release that a rollback would make live, verified, without doing it.

        Raises:
            ReleaseError: as `rollback`.
        """
        return restore.rollback_target(self._room, self._room.journal.read(), self._room.live_id(), to)

    def live_id(self) -> str | None:
        """Return the id of the live release, whether or not it is whole; None when no release is live.

        Raises:
            ReleaseError: `current` is no link to a release.
        """
        return self._room.live_id()

    def live(self) -> Release | None:
        """Return the live release; None means "no release", an explicit state. Call once per request.

        Raises:
            ReleaseError: `current` leads to something damaged; recover puts a good release back.
        """
        live_id = self._room.live_id()
        return None if live_id is None else self._room.get(live_id)

    def get(self, release_id: str) -> Release:
        """Return a release by its id.

        Raises:
            ReleaseError: there is none, or its manifest is damaged.
        """
        return self._room.get(release_id)

    def releases(self) -> list[Release]:
        """Return all complete releases, oldest first."""
        return self._room.all()

    def ids(self) -> list[str]:
        """Return the id of every release that should be here, oldest first: whole, damaged or vanished."""
        return self._room.ids()

    def journal(self) -> tuple[Record, ...]:
        """Return what happened in the room, oldest first."""
        return self._room.journal.read().records

    def best_alternative(self, release_id: str | None = None) -> str | None:
        """Return the release to go back to instead of one (default: the live one).

        That is its nearest ancestor that is whole, was not given up and did not fail its QC; if there is none, the
        newest such release; None when no release is good.
        """
        history = self._room.journal.read()
        live = self._room.live_id()
        return verify.best_alternative(self._room, history, release_id or live, not_to=live)

    def verify(self, release_id: str) -> list[str]:
        """Recompute everything a release claims: hashes, counts, table against Parquet. Empty means good."""
        return verify.problems(self._room, self._room.journal.read(), release_id)
