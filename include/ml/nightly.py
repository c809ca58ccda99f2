"""The night, step by step: what the DAG's tasks and the refresh command both call, in the order of this file.

recover -> score -> audit -> publish -> check_quality -> summarise, and restore when anything fails.
Steps hand each other plain values that fit an XCom.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock

from ml.claims.etl import ClaimsFile, run_name_of
from ml.claims.find import claims_of
from ml.clock import now
from ml.model.artefact import RiskModel, default_model, load_model
from ml.model.training import why_scales_may_not_fit
from ml.promotion.life import train_default
from ml.qc import QcResult, run_quality_check, write_summary
from ml.qc.logs import SUMMARY_NAME, collect_logs
from ml.release import Candidate, Published, ReleaseError, ReleaseStore, Restored, RunToken
from ml.rules import load_ruleset
from ml.scoring.audit import audit_candidate, require_audited
from ml.scoring.score import load_candidate, score_claims
from ml.settings import Settings

log = logging.getLogger(__name__)

WORK_KEPT = timedelta(days=2)
WORK_OF_RUNS = ("etl/*", "scoring/*", "gate/scoring-*", "training-*", "evaluation/own-files-*", "qc-*")


class QualityError(RuntimeError):
    """QC found a critical failure in what had become live; the message names the expectations."""


class CandidateGoneError(RuntimeError):
    """The candidate of a run is not there any more; only scoring again can make one."""


def store_of(settings: Settings) -> ReleaseStore:
    """Return the instance's release store."""
    return ReleaseStore(
        settings.instance_dir.absolute(),
        lock_timeout=settings.lock_timeout_seconds,
        keep=settings.keep_releases,
        keep_days=settings.keep_days,
        memory_limit=settings.memory_limit,
        threads=settings.threads,
    )


def recover(
    settings: Settings,
    run_id: str | None,
    is_running: Callable[[str], bool] = lambda _run_id: False,
    *,
    quick: bool = False,
) -> Restored:
    """Put right what a run that died left behind: an unchecked live release, half-built files.

    Args:
        settings: where, and whether a damaged live release is left by itself.
        run_id: the run that begins; None when somebody recovers by hand.
        is_running: whether another run is still at work; the QC of its release is then still to come.
        quick: hash of the live release only what was written to since it was sealed, as for a look every few minutes.
    """
    _sweep_work(settings)
    recovered = store_of(settings).recover(
        current_run=run_id, is_running=is_running, give_up_damaged=settings.recover_from_damage, quick=quick
    )
    level = logging.ERROR if recovered.damage else logging.WARNING if recovered.restored else logging.INFO
    log.log(level, "%s", recovered.message)
    return recovered


@dataclass(frozen=True)
class Scored:
    """A candidate that waits for its audit."""

    folder: str
    data_date: str
    rows: int
    model_version: str
    ruleset_version: str


def score(
    settings: Settings,
    token: RunToken,
    *,
    data_date: date | None = None,
    model_version: str | None = None,
    ruleset_version: str | None = None,
) -> Scored:
    """Score the claims of a data date (default: the newest there is) into a candidate.

    Raises:
        DataDateError: the data date lies in the future.
        NoClaimsError: the ETL has made no claims_normalized for the data date.
        ModelError, RulesetError: the named model or ruleset cannot be used.
        GateRefusedError: there is no model yet, and the gate refuses the one that these claims make.
    """
    claims = claims_of(settings, data_date)
    ruleset = load_ruleset(ruleset_version or settings.ruleset_version)
    model = _model_for(settings, claims, model_version or settings.model_version, token.run_id)
    folder = settings.work / "scoring" / f"{run_name_of(token.run_id)}-{token.try_number}"
    log.info("scoring %s claims of %s with %s, %s", claims.rows, claims.data_date, model.version, ruleset.version)
    score_claims(settings, claims, model, ruleset, folder, now())
    return Scored(str(folder), str(claims.data_date), claims.rows, model.version, ruleset.version)


def audit(settings: Settings, folder: str) -> dict[str, int]:
    """Audit a candidate; see `ml.scoring.audit.audit_candidate`.

    Raises:
        CandidateGoneError: the candidate was removed.
        ChangedCandidateError: the ETL has rewritten the claims since they were scored.
        AuditError: an audit objects.
    """
    return audit_candidate(settings, _candidate(folder))


def publish(settings: Settings, token: RunToken, folder: str) -> Published:
    """Make a release of the candidate and switch readers to it, unless a newer data date is live.

    Raises:
        CandidateGoneError: the candidate was removed.
        AuditError: the candidate has not passed its audit.
        ReleaseError: see `ReleaseStore.publish`.
    """
    candidate = _candidate(folder)
    require_audited(candidate)
    published = store_of(settings).publish(candidate, token)
    log.info(
        "release %s (%s rows, data date %s) %s; before it: %s",
        published.release_id,
        published.rows,
        published.data_date,
        "is live" if published.switched else "is archived: a newer data date is live",
        published.previous,
    )
    return published


def check_quality(
    settings: Settings,
    *,
    release_id: str,
    run_id: str,
    expected_rows: int,
    top_k: int | None = None,
    tell: Callable[[QcResult], None] = lambda _result: None,
) -> Path:
    """Run QC on a release as readers see it, write its log, and record the verdict with the release.

    Args:
        settings: where, and the limits of the warnings.
        release_id: the release.
        run_id: the run that published it.
        expected_rows: claims that were scored, `Scored.rows`. Not counted here: the ETL may have run again since.
        top_k: length of the auditors' list; None means the setting (REFRESH_TOP_K).
        tell: called with what QC found, also when it failed.

    Returns:
        The QC log.

    Raises:
        QualityError: a critical expectation failed.
    """
    store = store_of(settings)
    live = store.live()
    release = store.get(release_id)
    if release.manifest.data_date >= (live.manifest.data_date if live else date.min) and (
        live is None or live.id != release_id
    ):
        raise QualityError(
            f"Release {release_id} of this run is not live any more, and checking it again does not bring it back: "
            "clear the whole run, not this task alone (without Airflow: refresh again)."
        )
    result = run_quality_check(
        release.path,
        release_id=release_id,
        top_k=top_k or settings.top_k,
        logs_dir=settings.logs,
        expected_rows=expected_rows,
        run_id=run_id,
        settings=settings,
        withdrawn=store.withdrawn,
    )
    store.record_qc(release_id, passed=result.passed, log=result.log.name)
    tell(result)
    for warning in result.warnings:
        log.warning("QC warning: %s", warning)
    if not result.passed:
        raise QualityError(f"QC of release {release_id} failed ({result.log}):\n  " + "\n  ".join(result.failures))
    return result.log


def summarise(settings: Settings, folder: str | None = None) -> dict[str, Any]:
    """Write the QC summary again; the run's candidate is not needed any more, nor are the oldest QC logs."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    collect_logs(settings.logs, now() - timedelta(days=settings.keep_qc_logs_days))
    try:
        live = store_of(settings).live()
    except ReleaseError:  # damaged; the next recover says so
        live = None
    summary = write_summary(settings.logs, settings.logs / SUMMARY_NAME, live_release_id=live.id if live else None)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    return summary


def restore(settings: Settings, run_id: str, try_number: int | None = None, *, reason: str) -> Restored:
    """Put back the release that was live before a failed run, if that run's release is live and has not passed QC.

    A release that passed its QC stays, whatever failed later (docs/adr/0005).

    Args:
        settings: where.
        run_id: the failed run.
        try_number: the publishing try that is known to have failed; None when another step of the run failed.
        reason: kept in the journal.
    """
    restored = store_of(settings).restore(RunToken(run_id, try_number) if try_number else run_id, reason=reason)
    log.log(logging.WARNING if restored.restored else logging.INFO, "%s", restored.message)
    return restored


def _candidate(folder: str) -> Candidate:
    try:
        return load_candidate(Path(folder))
    except FileNotFoundError:
        raise CandidateGoneError(
            f"The candidate of this run was removed after its success, or with what is over {WORK_KEPT.days} days old "
            f"({folder}): clear the run from score_claims."
        ) from None


def _model_for(settings: Settings, claims: ClaimsFile, wanted: str | None, run_id: str) -> RiskModel:
    """The wanted or the default model; the very first run of an instance trains one, which the gate judges, too."""
    default = default_model(settings.models)
    version = wanted or (default.version if default else None)
    if version is None:
        return _first_model(settings, claims, run_id)
    model = load_model(settings.models, version)
    if differing := why_scales_may_not_fit(model, claims):
        log.warning(
            "%s was trained under other definitions of its features (%s): its scales may not fit the claims. Train one "
            "anew: python -m ml.pipelines.train_model, or the DAG train_risk_model.",
            version,
            differing,
        )
    return model


def _first_model(settings: Settings, claims: ClaimsFile, run_id: str) -> RiskModel:
    """Train the first model, once: of the runs of a backfill that begin together, the others wait for it and use it."""
    settings.work.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.work / "first-model.lock"):
        if default := default_model(settings.models):
            return load_model(settings.models, default.version)
        log.warning("no model yet: training the first one on the claims of %s", claims.data_date)
        return train_default(settings, claims.data_date, who=run_id)


def _sweep_work(settings: Settings) -> None:
    """Drop what failed runs left in the work folder, once nobody can want it any more."""
    oldest = (now() - WORK_KEPT).timestamp()
    for folder in (path for kind in WORK_OF_RUNS for path in settings.work.glob(kind)):
        try:
            written = folder.stat().st_mtime
        except FileNotFoundError:  # its run has just ended and removed it
            continue
        if written < oldest:
            shutil.rmtree(folder, ignore_errors=True)
