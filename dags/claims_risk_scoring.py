"""
### claims_risk_scoring: a risk score for every claim, published safely (02:00 WIB)

**Output.** A release in `instance/releases/`: table `claims_ml_scores` in `instance/analytics.duckdb` and the same rows
in `instance/data/claims_ml_scores.parquet`; `claims_ml_scores_backup` holds what was live before. QC log
`instance/logs/ml_scores_qc_<timestamp>.json` and summary `instance/logs/ml_scores_qc_summary.json`.

**Impact of failure.** None for readers: the scores that were live stay live, or are put back (first task of every run,
task callback, `restore_on_failure`, DAG callback: all the same, idempotent restore). New scores that passed their QC
stay live, also when `qc_summary` fails after it.

**Parameters.** The data date (Jakarta) is that of the latest 01:00 WIB before the run's logical date, or before its
start when it has none. `wait_for_etl` waits for the run of `claims_normalized` that belongs to it, for up to
`CLAIMS_ETL_DEADLINE_HOURS`; where that one failed or is missing, another good run of the same data date will do, if it
came later. With `force` it does not wait: the claims of the data date are scored as they are. A data date older than
the live one gets its release and its QC log, and readers keep the newer one.

**Triage.** `wait_for_etl`: its log names the ETL run and what became of it, or the command that makes one.
`audit_candidate`: its log names audit and claims; nothing was published. `quality_check`: the QC log lists every
expectation; the previous release is live again. Run again by clearing the whole run, not only its failed tasks: a
release that was taken back has to be made anew, and what a timeout has ended is skipped, not failed. Only `qc_summary`
may be cleared by itself. Without Airflow: `python -m ml.pipelines.refresh_ml_scores --top-k 50`.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from airflow.sdk import Param, TriggerRule, WeightRule, chain, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from claims_alerts import note_begun, note_failure, tell_failure, tell_success
from claims_metrics import report_publish, report_quality
from claims_risk import (
    CLAIMS,
    DATA_DATE,
    ETL_DAG,
    ETL_LAST_TASK,
    PUBLISH_POOL,
    PUBLISHING_TASK,
    SCORES,
    SCORING_DAG,
    WATCHER_PATIENCE_SECONDS,
    WATCHER_TASK,
    etl_deadline,
    model_choices,
    no_retry_for,
    patient_for,
    require_result,
    restore_on_failure,
    retry_delay,
    ruleset_choices,
    running_in_airflow,
)
from claims_waiting import EtlSensor
from ml.clock import JAKARTA, SCORING_CRON, DataDateError


@dag(
    dag_id=SCORING_DAG,
    schedule=SCORING_CRON,
    start_date=datetime(2026, 1, 1, tzinfo=JAKARTA),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=etl_deadline() + timedelta(hours=2),
    on_failure_callback=[restore_on_failure, tell_failure],
    on_success_callback=tell_success,
    default_args={
        "owner": "claims-data",
        # A run is finished before another one begins: the QC of what is live goes before the next publication.
        "weight_rule": WeightRule.UPSTREAM,
        "retries": 2,
        "retry_delay": retry_delay(),
        "execution_timeout": timedelta(hours=1),
        "on_execute_callback": note_begun,
        "on_failure_callback": [restore_on_failure, note_failure],
    },
    params={
        "top_k": Param(
            None,
            type=["null", "integer"],
            # The form does not see bounds in allOf; those it sees silently take the place of a value beyond them.
            allOf=[{"minimum": 1, "maximum": 10_000}],
            title="Top K",
            description="Riskiest claims QC looks at, 1 to 10,000. Empty: REFRESH_TOP_K.",
        ),
        "data_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Data date",
            description="Jakarta date of the claims to score. Empty: that of the run, as it must be in a backfill.",
        ),
        "model_version": Param(
            None,
            type=["null", "string"],
            pattern=r"^risk-[0-9a-f]{12}$",
            examples=model_choices(),
            title="Model version",
            description="Empty: the default model. Reparse Dag renews the list.",
        ),
        "ruleset_version": Param(
            None,
            type=["null", "string"],
            enum=[None, *ruleset_choices()],
            values_display={"null": "as set (RULESET_VERSION)"},
            title="Ruleset version",
            description="How evidence is weighed.",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Do not wait for the ETL",
            description="Score the claims of the data date as they are, without waiting for the ETL: for a night whose "
            "ETL run is gone, or failed in a way that does not matter. Without claims the run fails; scores of an "
            "older date never replace newer ones.",
        ),
    },
    tags=["claims", "scoring"],
    doc_md=__doc__,
)
def claims_risk_scoring() -> None:
    """Wire the night."""

    @task
    def recover() -> None:
        """Put right what a run that died left behind."""
        from ml import nightly
        from ml.settings import SettingsError, load_settings

        context = get_current_context()
        with no_retry_for(SettingsError):
            nightly.recover(load_settings(), context["run_id"], running_in_airflow(context))

    wait_for_etl = EtlSensor(
        task_id="wait_for_etl",
        external_dag_id=ETL_DAG,
        external_task_id=ETL_LAST_TASK,
        inlets=[CLAIMS],  # whose events tell of runs that have no tick of this data date
        deferrable=True,
        poke_interval=5,
        timeout=etl_deadline().total_seconds(),
        execution_timeout=None,
    )

    @task(inlets=[CLAIMS])
    def score_claims(data_date: str, model_version: str, ruleset_version: str) -> dict[str, Any]:
        """Score every claim into a candidate."""
        from dataclasses import asdict

        from ml import nightly
        from ml.claims.etl import NoClaimsError
        from ml.model.artefact import ModelError
        from ml.release import RunToken
        from ml.rules import RulesetError
        from ml.settings import SettingsError, load_settings

        context = get_current_context()
        with no_retry_for(DataDateError, NoClaimsError, ModelError, RulesetError, SettingsError):
            scored = nightly.score(
                load_settings(),
                RunToken(context["run_id"], context["ti"].try_number),
                data_date=date.fromisoformat(data_date),
                model_version=model_version or None,
                ruleset_version=ruleset_version or None,
            )
        return asdict(scored)

    @task
    def audit_candidate(scored: dict[str, Any]) -> dict[str, Any]:
        """Let nothing through that an audit objects to."""
        from ml import nightly
        from ml.release import ChangedCandidateError
        from ml.scoring.audit import AuditError
        from ml.settings import load_settings

        require_result("score_claims", scored)
        with no_retry_for(AuditError, nightly.CandidateGoneError, ChangedCandidateError):
            nightly.audit(load_settings(), scored["folder"])
        return scored

    @task(pool=PUBLISH_POOL)
    def backup_and_swap(audited: dict[str, Any]) -> dict[str, Any]:
        """Make the release (with the backup of what is live in it) and switch readers to it."""
        from time import monotonic

        from ml import nightly
        from ml.release import ChangedCandidateError, RunToken
        from ml.scoring.audit import AuditError
        from ml.settings import load_settings

        require_result("audit_candidate", audited)
        context = get_current_context()
        token = RunToken(context["run_id"], context["ti"].try_number)
        started = monotonic()
        with no_retry_for(nightly.CandidateGoneError, ChangedCandidateError, AuditError):
            published = nightly.publish(load_settings(), token, audited["folder"])
        report_publish(published, seconds=monotonic() - started)
        return audited | {"release_id": published.release_id, "switched": published.switched}

    @task(pool=PUBLISH_POOL, outlets=[SCORES])
    def quality_check(published: dict[str, Any]) -> dict[str, Any]:
        """Run Great Expectations on what readers see; a critical failure restores the release before."""
        from ml import nightly
        from ml.settings import load_settings

        require_result(PUBLISHING_TASK, published)
        context = get_current_context()
        top_k = context["params"]["top_k"]
        with no_retry_for(nightly.QualityError):
            log = nightly.check_quality(
                load_settings(),
                release_id=published["release_id"],
                run_id=context["run_id"],
                expected_rows=published["rows"],
                top_k=None if top_k is None else int(top_k),  # a schema's integer may be 5.0
                tell=report_quality,
            )
        facts = {name: published[name] for name in ("release_id", "data_date", "rows")}
        context["outlet_events"][SCORES].extra = facts | {"live": published["switched"]}
        return published | {"qc_log": str(log)}

    @task
    def qc_summary(checked: dict[str, Any]) -> None:
        """Write the summary over all QC logs."""
        from ml import nightly
        from ml.settings import load_settings

        require_result("quality_check", checked)
        nightly.summarise(load_settings(), checked["folder"])

    # It needs no arrow from every task: a failure anywhere makes qc_summary upstream_failed, which counts as failed.
    @task(task_id=WATCHER_TASK, trigger_rule=TriggerRule.ONE_FAILED, retries=0, on_failure_callback=None)
    def restore_watcher() -> None:
        """Restore in a process of its own: a task killed with its process runs no callback."""
        from ml import nightly

        context = get_current_context()
        try:
            settings = patient_for(WATCHER_PATIENCE_SECONDS)
            restored = nightly.restore(settings, context["run_id"], reason="watcher: a task failed")
        finally:
            tell_failure(context)
        raise AirflowFailException(f"A task of this run failed. {restored.message}")

    scored = score_claims(DATA_DATE, "{{ params.model_version or '' }}", "{{ params.ruleset_version or '' }}")
    chain(recover(), wait_for_etl, scored)
    chain(qc_summary(quality_check(backup_and_swap(audit_candidate(scored)))), restore_watcher())


claims_risk_scoring()
