"""
### train_risk_model: a new model from the newest claims (by hand)

**Output.** A versioned model in `instance/models/<version>/` (plain arrays and JSON), made the default for scoring.

**Impact of failure.** None: scoring goes on with the default model it has.

**Triage.** "no claims_normalized": run the DAG `claims_normalized` first. The same claims always give the same version.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from airflow.sdk import Param, dag, get_current_context, task

from claims_risk import no_retry_for
from ml.clock import JAKARTA, DataDateError


@dag(
    dag_id="train_risk_model",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=JAKARTA),
    catchup=False,
    max_active_runs=1,
    default_args={
        "owner": "claims-data",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(hours=1),
    },
    params={
        "data_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Data date",
            description="Jakarta date of the claims to train on. Empty: the newest there are.",
        )
    },
    tags=["claims", "model"],
    doc_md=__doc__,
)
def train_risk_model() -> None:
    """Wire the training."""

    @task
    def train_model() -> str:
        """Train on published claims and make the model the default."""
        from ml.claims.etl import NoClaimsError
        from ml.nightly import train_default
        from ml.settings import load_settings

        chosen = get_current_context()["params"]["data_date"]
        with no_retry_for(NoClaimsError, DataDateError):
            model = train_default(load_settings(), date.fromisoformat(chosen) if chosen else None)
        return model.version

    train_model()


train_risk_model()
