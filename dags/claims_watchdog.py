"""
### claims_watchdog: closes the gaps that failures without a callback leave (every 5 minutes)

"Mark run failed" in the UI runs no callback, nor does a run whose scheduler and DAG processor were down when it ended.
This DAG takes back what such a run left live, tells about runs that ended badly and were not told of, sends alerts
again that a channel did not take, and tells when no scores of tonight's data date are live by `CLAIMS_ALERT_DEADLINE`
(06:00 WIB).

**Output.** Alerts, and lines in `instance/alerts/events.jsonl`.

**Impact of failure.** None tonight: restoring and alerting also happen in the runs themselves. Keep it switched on: it
is the only one that tells of scores that are late although nothing failed.

**Triage.** The log of `watch` says what it did. It fails when a release that must be taken back cannot be:
`python -m ml.pipelines.releases verify --all`, then `... rollback --reason TEXT`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag, get_current_context, task

import claims_alerts
from ml.clock import JAKARTA, WATCHDOG_CRON


@dag(
    dag_id="claims_watchdog",
    schedule=WATCHDOG_CRON,
    start_date=datetime(2026, 1, 1, tzinfo=JAKARTA),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=15),
    default_args={
        "owner": "claims-data",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=5),
    },
    tags=["claims", "alerts"],
    doc_md=__doc__,
)
def claims_watchdog() -> None:
    """Wire the watchdog."""

    @task
    def watch() -> None:
        """Restore and tell what nobody has restored and told."""
        claims_alerts.watch(get_current_context())

    watch()


claims_watchdog()
