"""What the DAGs share with Airflow: the data date of a run, what its form offers, and the restore callbacks.

Nothing heavy is imported at the top: the scheduler and the API server load this file too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException

from ml.clock import data_date_of

if TYPE_CHECKING:
    from pathlib import Path

    from ml.settings import Settings

ETL_DAG = "claims_normalized"
ETL_LAST_TASK = "publish_claims"
SCORING_DAG = "claims_risk_scoring"
ROLLBACK_DAG = "claims_scores_rollback"
CLAIMS = Asset("claims_normalized", group="claims")
SCORES = Asset("claims_ml_scores", group="claims")
"""What the two DAGs make, for lineage and for whoever wants to schedule on it. The scores' event comes after their QC,
with release_id, data_date, rows and whether readers see it (`live`; a backfill of an older night is only archived)."""
WATCHER_TASK = "restore_on_failure"
PUBLISHING_TASK = "backup_and_swap"
CALLBACK_PATIENCE_SECONDS = 8  # Airflow ends a callback after 20 s, and people are to be told in it, too
WATCHER_PATIENCE_SECONDS = 60
PUBLISH_POOL = "claims_publish"  # one slot: one writer of releases at a time, also beside a backfill
DATA_DATE = "{{ params.data_date or macros.claims_risk.data_date_of(dag_run.logical_date or dag_run.run_after) }}"
"""Template for a task's argument; shows the data date among the rendered fields in the UI."""


def data_date(context: Any) -> date:
    """Return the data date of a run: its parameter, else that of its logical date (or start, for manual runs)."""
    chosen = (context.get("params") or {}).get("data_date")
    if chosen:
        return date.fromisoformat(chosen)
    return data_date_of(context.get("logical_date") or context["dag_run"].run_after)


def refuse_unknown_params(context: Any) -> None:
    """Fail a run whose configuration holds a name that is no parameter: Airflow takes a slip (`topk`) without a word.

    Raises:
        AirflowFailException: with the names there are.
    """
    known = set(context["dag"].params)
    if unknown := sorted(set(context["dag_run"].conf or {}) - known):
        raise AirflowFailException(
            f"No parameter of {context['dag'].dag_id}: {', '.join(unknown)}. There are: {', '.join(sorted(known))}."
        )


def refuse_data_date_in_backfill(context: Any) -> None:
    """Fail a backfill's run that is given a data date: it would be that of all its nights.

    Raises:
        AirflowFailException: with what to do instead.
    """
    run = context["dag_run"]
    if run.run_type == "backfill" and (chosen := (run.conf or {}).get("data_date")):
        raise AirflowFailException(
            f"Every night of this backfill would be made for data date {chosen}. Leave data_date out of a backfill: "
            "each night has its own. For that one date trigger a run with it."
        )


def require_result(task_id: str, result: Any) -> None:
    """Fail a task whose forerunner has left nothing: somebody marked it as success before it had ended.

    Raises:
        AirflowFailException: with what to do.
    """
    if result is None:
        raise AirflowFailException(
            f"{task_id} left no result: it was marked as success before it had ended, so its work is not done. Clear "
            "the whole run, not this task alone."
        )


def etl_deadline() -> timedelta:
    """Return how long scoring waits for the ETL (CLAIMS_ETL_DEADLINE_HOURS)."""
    return timedelta(hours=_setting("etl_deadline_hours"))


def retry_delay() -> timedelta:
    """Return how long a failed task waits for its next try (CLAIMS_RETRY_DELAY_SECONDS)."""
    return timedelta(seconds=_setting("retry_delay_seconds"))


def running_in_airflow(context: Any) -> Callable[[str], bool]:
    """Return what tells of a scoring run whether it is still at work: a backfill may run beside the nightly run."""

    def is_running(run_id: str) -> bool:
        states = ["queued", "running"]
        return bool(context["ti"].get_dr_count(dag_id=SCORING_DAG, run_ids=[run_id], states=states))

    return is_running


def restore_on_failure(context: Any) -> None:
    """Put the previous scores back if the failed run's release is live and has not passed its QC.

    Callback of every task and of the DAG; idempotent.
    """
    from ml.nightly import restore

    task_instance = context.get("ti") or context.get("task_instance")
    task_id = getattr(task_instance, "task_id", None)
    # Only the publishing task's try number names a release; another task's says nothing about it.
    try_number = task_instance.try_number if task_instance and task_id == PUBLISHING_TASK else None
    reason = f"{task_id or 'the DAG run'} failed"
    run = context.get("dag_run")  # the DAG's callback may know no more than the run's id
    run_id = run.run_id if run else context["run_id"]
    restore(patient_for(CALLBACK_PATIENCE_SECONDS), run_id, try_number, reason=reason)


def patient_for(seconds: float) -> Settings:
    """Return the settings, wrong ones as they are by default, with no more patience for the releases' lock than this.

    For what restores and tells: it must not hang where a publisher does, and not fail where a setting is mistyped.
    """
    from ml.settings import load_settings_leniently

    settings = load_settings_leniently()
    return settings.model_copy(update={"lock_timeout_seconds": min(settings.lock_timeout_seconds, seconds)})


def release_choices(limit: int = 30) -> list[str]:
    """Return the ids of the releases on disk, newest data date first, for a form; only their names are looked at."""
    return sorted((path.name for path in _in_instance("releases", "[0-9]*-*")), reverse=True)[:limit]


def model_choices() -> list[str]:
    """Return the versions of the models on disk, newest first, for a form; their names and times are looked at."""
    newest_first = sorted(_in_instance("models", "risk-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.name for path in newest_first]


def ruleset_choices() -> list[str]:
    """Return the versions of the rulesets there are, newest first, for a form."""
    from ml.rules.ruleset import RULES

    return sorted((path.stem for path in RULES.glob("*.json")), reverse=True)


def _setting(name: str) -> Any:
    """A setting; its default when the settings are wrong: tasks say so, the DAGs must show up nevertheless."""
    from ml.settings import Settings, SettingsError, load_settings

    try:
        return getattr(load_settings(), name)
    except SettingsError:
        return Settings.model_fields[name].default


def _in_instance(folder: str, pattern: str) -> list[Path]:
    from ml.settings import SettingsError, load_settings

    try:
        return list((load_settings().instance_dir.absolute() / folder).glob(pattern))
    except SettingsError:  # tasks say what is wrong; the DAG must show up in the UI nevertheless
        return []


@contextmanager
def no_retry_for(*errors: type[Exception]) -> Iterator[None]:
    """Fail the task for good on errors that trying again cannot heal."""
    try:
        yield
    except errors as error:
        raise AirflowFailException(str(error)) from error


class ClaimsRiskPlugin(AirflowPlugin):
    """Lets templates compute the data date by the one rule: `macros.claims_risk.data_date_of(moment)`."""

    name = "claims_risk"
    macros = [data_date_of]  # noqa: RUF012 - Airflow's base class declares it so
