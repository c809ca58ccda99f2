"""
### claims_scores_rollback: put an earlier release of the scores back (by hand)

**Output.** `instance/current` leads to the chosen release: table, Parquet file, model and ruleset go back together.
Who, when and why stand in `instance/releases/journal.jsonl`; the QC summary is written anew. The log of `show_effect`
says what will change for auditors *before* anything changes, `show_result` what readers see *after*.

**Impact of failure.** None: a release that does not verify is refused, and what was live stays live. The nightly run
publishes over it as over any other release. The failure is told as the nightly runs' are, with what readers see and
whether the release had been put back before it.

**Triage.** The log of `show_effect` names what is wrong with the release and the best alternative. Without Airflow:
`python -m ml.pipelines.releases list`, then `... rollback --to ID --reason TEXT`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, TriggerRule, dag, get_current_context, task

from claims_alerts import note_begun, note_failure, tell_failure, tell_success
from claims_risk import PUBLISH_POOL, ROLLBACK_DAG, no_retry_for, refuse_unknown_params, release_choices
from ml.clock import JAKARTA


@dag(
    dag_id=ROLLBACK_DAG,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=JAKARTA),
    catchup=False,
    max_active_runs=1,
    on_failure_callback=tell_failure,
    on_success_callback=tell_success,
    default_args={
        "owner": "claims-data",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=15),
        "on_execute_callback": note_begun,
        "on_failure_callback": note_failure,
    },
    params={
        "release": Param(
            None,
            type=["null", "string"],
            pattern=r"^[0-9]{8}-[A-Za-z0-9._-]+$",
            examples=release_choices(),
            title="Release to put back",
            description="Empty: the good release before the live one. Reparse Dag renews the list.",
        ),
        "reason": Param(
            type="string",
            minLength=3,
            pattern=r".*\S.*",  # not of blanks alone
            title="Reason",
            description="Kept in the journal with your name.",
        ),
        "review": Param(
            False,
            type="boolean",
            title="Show the effect first and ask me",
            description="The run then waits under Required Actions, with the effect, for somebody's yes or no.",
        ),
    },
    tags=["claims", "scoring"],
    doc_md=__doc__,
)
def claims_scores_rollback() -> None:
    """Wire the way back."""

    @task
    def show_effect() -> dict[str, Any]:
        """Verify the chosen release, and show what will change for readers if it becomes live."""
        from dataclasses import asdict

        from ml.release import ReleaseError
        from ml.rollback import plan_rollback
        from ml.settings import load_settings

        context = get_current_context()
        refuse_unknown_params(context)
        with no_retry_for(ReleaseError):
            plan = plan_rollback(load_settings(), context["params"]["release"])
        print(plan.effect)
        return asdict(plan)

    @task.branch
    def ask_first() -> str:
        """Ask only when that was wished for in the form."""
        return "approve" if get_current_context()["params"]["review"] else "roll_back"

    approve = ApprovalOperator(
        task_id="approve",
        subject="Roll back to {{ ti.xcom_pull(task_ids='show_effect')['target'] }}?",
        # Airflow draws it as Markdown, which would make one paragraph of lines and columns.
        body="```text\n{{ ti.xcom_pull(task_ids='show_effect')['effect'] }}\n\nReason given: {{ params.reason }}\n```",
        execution_timeout=None,
        response_timeout=timedelta(hours=12),
        retries=0,  # nobody's answer is no error of the machinery: three questions would be told after 36 hours
    )

    @task(pool=PUBLISH_POOL, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    def roll_back(plan: dict[str, Any]) -> dict[str, Any]:
        """Switch readers to the release, unless another one has become live since the effect was shown."""
        from ml.release import ReleaseError
        from ml.rollback import rollback, through_airflow
        from ml.settings import load_settings

        context = get_current_context()
        run = context["dag_run"]
        with no_retry_for(ReleaseError):
            restored = rollback(
                load_settings(),
                plan["target"],
                reason=context["params"]["reason"],
                who=f"{run.triggering_user_name or 'somebody'} {through_airflow(run.run_id)}",
                instead_of=plan["live"],
            )
        return {"live": restored.live, "was": restored.was, "message": restored.message}

    @task
    def show_result(done: dict[str, Any]) -> None:
        """Say what readers see now, looked up anew."""
        from ml.rollback import describe_live
        from ml.settings import load_settings

        print(done["message"])
        print(describe_live(load_settings()))

    plan = show_effect()
    rolled_back = roll_back(plan)
    plan >> ask_first() >> [approve, rolled_back]
    approve >> rolled_back >> show_result(rolled_back)


claims_scores_rollback()
