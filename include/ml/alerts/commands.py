"""The command to run next, by what failed; tests/e2e/failures runs them against a real Airflow."""

from __future__ import annotations

import shlex

from ml.alerts.facts import Fate
from ml.alerts.incidents import ETL_DAG, ROLLBACK_DAG, SCORING_DAG, WAITING_TASK, AlertKind
from ml.alerts.story import Story
from ml.clock import etl_tick

ROLLBACK = 'python -m ml.pipelines.releases rollback --reason "tulis alasannya"'
LIST = "python -m ml.pipelines.releases list"
SHOW = "python -m ml.pipelines.show_release"
VERIFY = "python -m ml.pipelines.releases verify --all"
TRAIN = "python -m ml.pipelines.train_model"


def next_commands(story: Story) -> list[str]:
    """Return what the on-call engineer types next, in order; nothing when nothing is to be done."""
    waiting = [run_again(SCORING_DAG, story.waiting_run)] if story.waiting_run else []
    if story.kind is AlertKind.RECOVERED:
        return waiting
    if story.readers.problem:
        return [VERIFY, ROLLBACK]
    if story.kind is AlertKind.WARNING:
        return [SHOW]
    if story.kind is AlertKind.DEADLINE:
        # Taken away, or none has passed its QC: the list tells which, and then there is nothing to roll back to.
        taken_away = [LIST, ROLLBACK] if story.readers.release_id is None else []
        unpause = [f"airflow dags unpause {dag_id}" for dag_id in (ETL_DAG, SCORING_DAG)]
        return [*taken_away, f"airflow dags list-runs {SCORING_DAG}", *unpause, f"airflow dags trigger {SCORING_DAG}"]
    if story.dag_id == ROLLBACK_DAG:  # the same choice would be refused again; without --to it is the best one
        done = story.outcome is not None and story.outcome.fate in (Fate.STAYS, Fate.REPLACED)
        return [SHOW] if done else [LIST, ROLLBACK]
    again = run_again(story.dag_id, story.run_id or "")
    if story.outcome and story.outcome.fate is Fate.UNCHECKED:
        return [ROLLBACK, again]
    if story.dag_id == SCORING_DAG and story.task_id == WAITING_TASK and story.data_date:
        tick = etl_tick(story.data_date).isoformat()
        if "has no run" in (story.error or ""):
            return [f"airflow dags trigger {ETL_DAG} --logical-date {tick}", again]
        return [f"airflow tasks clear {ETL_DAG} --start-date {tick} --end-date {tick} --yes", again]
    if story.dag_id == SCORING_DAG and "has no scale for" in (story.error or ""):  # the default is of before an upgrade
        return [TRAIN, again]
    return [again, *waiting]


def run_again(dag_id: str, run_id: str) -> str:
    """Return the command that runs a run again from its start.

    Not only its failed tasks: a release that was taken back has to be made anew, and what a timeout or somebody's hand
    has ended is skipped, not failed.
    """
    return f"airflow dags clear {dag_id} --run-id {shlex.quote(run_id)} --yes"
