"""
### claims_normalized: raw claims to checked, comparable claims (01:00 WIB)

**Output.** `instance/data/claims_normalized/<data date>.parquet`, one row per claim known on the data date (Jakarta);
`instance/data/claims_normalized.parquet` always is the newest. Rows that break the contract are in
`instance/quarantine/<data date>-<run>/` with their reason and their row number in the raw file.

**Impact of failure.** `claims_risk_scoring` of the same night fails too; the scores that are live stay in use.

**Triage.** `check_contract` names file, column and example rows: correct the export in the raw folder and clear the
run. More than 1% bad rows is a failure (`CLAIMS_MAX_BAD_SHARE`). A failed SQL step: its task log has the statement and
DuckDB's message; the statements are in `include/sql/claims_normalized/`. Nothing half-built is ever visible: a run
builds in `instance/work/etl/<run>/` and moves the finished files into place at its end.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import Param, chain, dag, get_current_context, task

from claims_alerts import note_begun, note_failure, tell_failure, tell_success
from claims_risk import (
    CLAIMS,
    DATA_DATE,
    no_retry_for,
    refuse_data_date_in_backfill,
    refuse_unknown_params,
    retry_delay,
)
from ml.claims.steps import SQL_STEPS
from ml.clock import ETL_CRON, JAKARTA, DataDateError, checked_data_date
from ml.sql import SQL_ROOT

POOL = "claims_etl"


@dag(
    dag_id="claims_normalized",
    schedule=ETL_CRON,
    start_date=datetime(2026, 1, 1, tzinfo=JAKARTA),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    template_searchpath=[str(SQL_ROOT)],
    on_failure_callback=tell_failure,
    on_success_callback=tell_success,
    default_args={
        "owner": "claims-data",
        "retries": 2,
        "retry_delay": retry_delay(),
        "pool": POOL,
        "on_execute_callback": note_begun,
        "on_failure_callback": note_failure,
    },
    params={
        "data_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Data date",
            description="Jakarta date to build for. Empty: that of the run, as it must be in a backfill.",
        )
    },
    tags=["claims", "etl"],
    doc_md=__doc__,
)
def claims_normalized() -> None:
    """Wire the ETL."""

    @task(execution_timeout=timedelta(minutes=45))
    def check_contract(data_date: str) -> dict[str, str]:
        """Stage the raw rows that keep the contract; quarantine the others."""
        from ml.claims.etl import start_build
        from ml.claims.raw_files import RawInputError
        from ml.settings import SettingsError, load_settings

        context = get_current_context()
        refuse_unknown_params(context)
        refuse_data_date_in_backfill(context)
        with no_retry_for(RawInputError, SettingsError, DataDateError):
            day = checked_data_date(date.fromisoformat(data_date))
            build, report = start_build(load_settings(), day, context["run_id"])
        for line in report.lines():
            print(line)
        return build.as_xcom()

    @task(execution_timeout=timedelta(minutes=30), outlets=[CLAIMS])
    def publish_claims() -> dict[str, str]:
        """Check the counts, write the Parquet file, keep the warehouse."""
        from ml.claims.etl import EtlBuild
        from ml.claims.etl import publish_claims as publish
        from ml.claims.raw_files import RawInputError
        from ml.settings import load_settings

        build = EtlBuild.from_xcom(get_current_context()["ti"].xcom_pull(task_ids="check_contract"))
        with no_retry_for(RawInputError):
            claims = publish(load_settings(), build)
        facts = {"path": str(claims.path), "data_date": str(claims.data_date), "rows": f"{claims.rows}"}
        get_current_context()["outlet_events"][CLAIMS].extra = facts
        return facts

    steps = [
        SQLExecuteQueryOperator(
            task_id=step,
            conn_id="claims_warehouse",
            # The run's own file; a template and not an XComArg, which would draw an arrow to each step.
            hook_params={"database": "{{ ti.xcom_pull(task_ids='check_contract')['warehouse'] }}"},
            sql=statements,
            split_statements=False,
            do_xcom_push=False,
            execution_timeout=timedelta(minutes=30),
        )
        for step, statements in SQL_STEPS.items()
    ]
    chain(check_contract(DATA_DATE), *steps, publish_claims())


claims_normalized()
