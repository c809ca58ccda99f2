"""
### train_risk_model: a new model once a month (2nd, 03:30 WIB, after the night's scoring), or by hand

`train_model` trains on the newest claims and keeps the model; `judge_model` lets the gate judge it against the default
(docs/models.md); `promote_model` makes it the default for the next night.

**Output.** A versioned model in `instance/models/<version>/` (plain arrays and JSON, with the gate's figures in
`gate.json`), the default named by `default.json`, and a line for each step in `log.jsonl`.

**Impact of failure.** None tonight: scoring goes on with the default model it has. An instance without any model trains
one in its first scoring run.

**Triage.** `judge_model` failed: the gate refuses the model; the task's log says why, with figures, and trying again
gives the same. Usually the claims it was trained on are incomplete or of another kind: look at the ETL's last runs,
mend them, and trigger this DAG again. Does the model have to be used nevertheless:
`python -m ml.pipelines.models promote VERSION --force --reason TEXT`. A default that was a mistake:
`python -m ml.pipelines.models demote --reason TEXT`. `promote_model` failed with "was demoted": somebody took this very
model back; the log names whom to ask. "no claims_normalized": run the DAG `claims_normalized` first.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from claims_alerts import note_begun, note_failure, tell_failure, tell_success
from claims_risk import no_retry_for, refuse_unknown_params, retry_delay
from ml.clock import JAKARTA, TRAINING_CRON, DataDateError


@dag(
    dag_id="train_risk_model",
    schedule=TRAINING_CRON,
    start_date=datetime(2026, 1, 1, tzinfo=JAKARTA),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=tell_failure,
    on_success_callback=tell_success,
    default_args={
        "owner": "claims-data",
        "retries": 2,
        "retry_delay": retry_delay(),
        "execution_timeout": timedelta(hours=1),
        "on_execute_callback": note_begun,
        "on_failure_callback": note_failure,
    },
    params={
        "data_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Data date",
            description="Jakarta date of the claims to train on. Empty: the newest there are.",
        ),
        "seed": Param(
            None,
            type=["null", "integer"],
            allOf=[{"minimum": 0, "maximum": 2**32 - 1}],  # see top_k of claims_risk_scoring
            title="Seed",
            description="Of the forests; another one shows how much of a score is chance. Empty: the usual one.",
        ),
        "promote": Param(
            True,
            type="boolean",
            title="Make it the default",
            description="When it passes the gate. Otherwise it is kept as a candidate.",
        ),
    },
    tags=["claims", "model"],
    doc_md=__doc__,
)
def train_risk_model() -> None:
    """Wire the training."""

    @task
    def train_model() -> str:
        """Train on published claims and keep the model; return its version."""
        from ml.claims.etl import NoClaimsError
        from ml.model.artefact import ModelError
        from ml.model.training import SEED
        from ml.promotion.life import train_candidate
        from ml.settings import SettingsError, load_settings

        context = get_current_context()
        refuse_unknown_params(context)
        chosen, seed = context["params"]["data_date"], context["params"]["seed"]
        run = context["dag_run"]
        with no_retry_for(NoClaimsError, DataDateError, ModelError, SettingsError):
            try:
                model = train_candidate(
                    load_settings(),
                    date.fromisoformat(chosen) if chosen else None,
                    seed=SEED if seed is None else int(seed),  # a schema's integer may be 5.0
                    who=run.run_id,
                )
            except NoClaimsError as error:
                if run.run_type != "scheduled":
                    raise
                # Airflow starts a new DAG's last tick at once, which on a new instance is before the first ETL.
                raise AirflowSkipException(str(error)) from error
        return model.version

    @task
    def judge_model(version: str) -> str:
        """Let the gate judge the model; a refusal fails the run for good."""
        from ml.promotion.life import GateRefusedError, require_passed
        from ml.settings import load_settings

        with no_retry_for(GateRefusedError):
            require_passed(load_settings(), version, who=get_current_context()["dag_run"].run_id)
        return version

    @task
    def promote_model(version: str) -> str:
        """Make the model the default; skipped when the run shall only make a candidate."""
        from ml.promotion.life import GateRefusedError, adopt
        from ml.promotion.registry import DemotedError
        from ml.settings import load_settings

        context = get_current_context()
        if not context["params"]["promote"]:
            raise AirflowSkipException(f"{version} passed the gate and is kept as a candidate, as the form asked.")
        with no_retry_for(GateRefusedError, DemotedError):
            adopt(load_settings(), version, who=context["dag_run"].run_id)
        return version

    promote_model(judge_model(train_model()))


train_risk_model()
