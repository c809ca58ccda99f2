"""An operator's way back to an earlier release: what it would change, doing it, and what readers see then."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from ml.clock import JAKARTA
from ml.compare import ComparisonError, compare_releases
from ml.nightly import store_of, summarise
from ml.qc import QcError
from ml.release import Release, ReleaseError, ReleaseStore, Restored
from ml.settings import Settings

log = logging.getLogger(__name__)

_VERDICTS = {True: "passed", False: "FAILED", None: "never checked"}


@dataclass(frozen=True)
class RollbackPlan:
    """A rollback before it is done: `live` is to be replaced by `target`; `effect` says in words what that changes."""

    live: str | None
    target: str
    effect: str


def plan_rollback(settings: Settings, to: str | None) -> RollbackPlan:
    """Verify the release an operator chose (default: the good one before the live one) and say what would change.

    Raises:
        ReleaseError: as `rollback`.
    """
    store = store_of(settings)
    live, target = store.live_id(), store.rollback_target(to)
    lines = [
        f"Live now:  {_line(store, live)}",
        f"Put back:  {_line(store, target)}",
        "Verified:  every file, hash and row of the release to put back",
        "",
        *_changes(settings, store, live, target),
    ]
    return RollbackPlan(live, target, "\n".join(lines))


def rollback(settings: Settings, to: str | None, *, reason: str, who: str, instead_of: str | None = None) -> Restored:
    """Put back the release an operator chose (default: the good one before the live one), and write the summary anew.

    Args:
        settings: where.
        to: the release to put back.
        reason: why; kept in the journal with `who` and the moment.
        who: the operator.
        instead_of: the release that was live when he decided; None: whichever is live.

    Raises:
        ReleaseError: the choice does not verify or failed its QC, there is none, or another release has become live
            meanwhile; nothing was changed.
    """
    restored = store_of(settings).rollback(to, reason=reason, who=who, instead_of=instead_of)
    log.warning("%s", restored.message)
    try:
        summarise(settings)
    except (OSError, QcError) as error:  # readers are where they should be; that must not look like a failed rollback
        log.exception("the QC summary could not be written anew")
        return replace(restored, message=f"{restored.message}. The QC summary could not be written anew: {error}")
    return restored


def through_airflow(run_id: str) -> str:
    """Return how the journal names the run of Airflow through which an operator acts: the end of `who`."""
    return f"(Airflow run {run_id})"


def describe_live(settings: Settings) -> str:
    """Say in a line what readers see now."""
    store = store_of(settings)
    return f"Live now:  {_line(store, store.live_id())}"


def _changes(settings: Settings, store: ReleaseStore, live: str | None, target: str) -> list[str]:
    """What auditors will notice; a live release too damaged to be compared keeps nobody from leaving it."""
    if live is None or live == target:
        return []
    try:
        changes = compare_releases(store.get(live), store.get(target), top_k=settings.top_k, settings=settings)
    except (ComparisonError, ReleaseError) as error:
        return [f"What changes cannot be said: {error}"]
    return ["What changes (A: live now, B: put back)", *changes.lines(top=5)]


def _line(store: ReleaseStore, release_id: str | None) -> str:
    if release_id is None:
        return "no release"
    try:
        return _facts(store.get(release_id), _VERDICTS[store.qc_passed(release_id)])
    except ReleaseError as error:
        return f"{release_id}, damaged: {error}"


def _facts(release: Release, verdict: str) -> str:
    manifest = release.manifest
    published = manifest.created_at.astimezone(JAKARTA)
    return (
        f"{release.id}: data date {manifest.data_date}, {manifest.rows:,} claims, {manifest.model_version}, "
        f"{manifest.ruleset_version}, QC {verdict}, published {published:%Y-%m-%d %H:%M} WIB"
    )
