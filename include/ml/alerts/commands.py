"""The command to run next, by what failed; each of them is run in the tests against a real Airflow."""

from __future__ import annotations

import shlex

from ml.alerts.facts import Fate
from ml.alerts.story import ETL_DAG, SCORING_DAG, WAITING_TASK, AlertKind, Story
from ml.clock import etl_tick

ROLLBACK = 'python -m ml.pipelines.releases rollback --reason "tulis alasannya"'
VERIFY = "python -m ml.pipelines.releases verify --all"


def next_commands(story: Story) -> list[str]:
    """Return what the on-call engineer types next, in order; nothing when nothing is to be done."""
    if story.kind is AlertKind.RECOVERED:
        return []
    if story.readers.problem:
        return [VERIFY, ROLLBACK]
    if story.kind is AlertKind.WARNING:
        return ["python -m ml.pipelines.show_release"]
    if story.kind is AlertKind.DEADLINE:
        return [f"airflow dags list-runs {SCORING_DAG}", f"airflow dags trigger {SCORING_DAG}"]
    again = clear_failed(story.dag_id, story.run_id or "")
    if story.outcome and story.outcome.fate is Fate.UNCHECKED:
        return [ROLLBACK, again]
    if story.dag_id == SCORING_DAG and story.task_id == WAITING_TASK and story.data_date:
        tick = etl_tick(story.data_date).isoformat()
        if "has no run" in (story.error or ""):
            return [f"airflow dags trigger {ETL_DAG} --logical-date {tick}", again]
        etl = f"airflow tasks clear {ETL_DAG} --start-date {tick} --end-date {tick} --only-failed --yes"
        return [etl, again]
    return [again]


def clear_failed(dag_id: str, run_id: str) -> str:
    """Return the command that runs the failed tasks of a run, and what follows them, again."""
    return f"airflow dags clear {dag_id} --run-id {shlex.quote(run_id)} --only-failed --yes"
