"""The command to run next, by what failed, and what to know before; tests/e2e/failures runs them in a real Airflow."""

from __future__ import annotations

import re
import shlex

from ml.alerts.facts import Fate
from ml.alerts.incidents import ETL_DAG, ROLLBACK_DAG, SCORING_DAG, TRAINING_DAG, WAITING_TASK, AlertKind
from ml.alerts.story import Story
from ml.clock import etl_tick

ROLLBACK = 'python -m ml.pipelines.releases rollback --reason "tulis alasannya"'
LIST = "python -m ml.pipelines.releases list"
SHOW = "python -m ml.pipelines.show_release"
VERIFY = "python -m ml.pipelines.releases verify --all"
TRAIN = "python -m ml.pipelines.train_model"
UNPAUSE_ETL = f"airflow dags unpause {ETL_DAG}"
LIST_ETL = f"airflow dags list-runs {ETL_DAG}"

_REFUSED = re.compile(r"The gate refuses (risk-[0-9a-f]{12})")


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
    if story.dag_id == ROLLBACK_DAG:
        return _after_a_rollback(story)
    if refused := _refused_model(story):
        return [f"python -m ml.pipelines.models show {refused}", LIST_ETL]
    again = run_again(story.dag_id, story.run_id or "")
    if story.outcome and story.outcome.fate is Fate.UNCHECKED:
        return [ROLLBACK, again]
    return [*_before_another_run(story), again, *waiting]


def advice(story: Story) -> str | None:
    """Return what is to be known before the next commands: what to do first, and what repeating would not change."""
    if story.kind is AlertKind.RECOVERED:
        return "skor data ini gagal karena menunggu ETL, dan harus diulang." if story.waiting_run else None
    if story.kind not in (AlertKind.FAILED, AlertKind.STILL):
        return None
    if _waits(story) and _is_paused(story):
        run = "; run ETL-nya jangan diulang" if _has_not_ended(story) else ""
        return f"DAG {ETL_DAG} dijeda, maka run-nya tidak berjalan: aktifkan dulu{run}."
    if _waits(story) and _has_not_ended(story):
        return "ETL belum selesai: jangan diulang, pekerjaannya hilang. Run skor yang diulang menunggunya lagi."
    if _collapsed(story):
        return (
            "klaim jauh berkurang, biasanya karena ekspornya rusak. Perbaiki dulu ekspor di folder mentah, lalu ulangi "
            "ETL dan skor; tanpa itu gagal lagi. Bila memang seharusnya begitu, sekali saja: "
            "CLAIMS_QC_ROW_DROP=1 python -m ml.pipelines.refresh_ml_scores"
        )
    if _failed_checks(story):
        return "klaim dan model yang sama biasanya gagal lagi: baca log QC dan bereskan sebabnya dulu, baru ulangi."
    if refused := _refused_model(story):
        return (
            "mengulang run ini memberi hasil yang sama; skor tetap memakai model lama. Biasanya klaimnya tidak "
            f"lengkap: bereskan ETL, lalu airflow dags trigger {TRAINING_DAG}. Bila model ini memang harus dipakai: "
            f'python -m ml.pipelines.models promote {refused} --force --reason "tulis alasannya"'
        )
    if _nothing_to_go_back_to(story):
        return "tidak ada rilis lama yang layak dipasang; rollback tanpa pilihan akan ditolak lagi. Lihat daftarnya."
    return None


def run_again(dag_id: str, run_id: str) -> str:
    """Return the command that runs a run again from its start.

    Not only its failed tasks: a release that was taken back has to be made anew, and what a timeout or somebody's hand
    has ended is skipped, not failed.
    """
    return f"airflow dags clear {dag_id} --run-id {shlex.quote(run_id)} --yes"


def _after_a_rollback(story: Story) -> list[str]:
    if story.outcome is not None and story.outcome.fate in (Fate.STAYS, Fate.REPLACED):
        return [SHOW]
    # The same choice would be refused again; without --to it is the best one, if there is any.
    return [LIST] if _nothing_to_go_back_to(story) else [LIST, ROLLBACK]


def _before_another_run(story: Story) -> list[str]:
    """What a scoring run needs to go better than the one that has failed."""
    if story.dag_id != SCORING_DAG or story.data_date is None:
        return []
    tick, error = etl_tick(story.data_date).isoformat(), story.error or ""
    etl_again = f"airflow tasks clear {ETL_DAG} --start-date {tick} --end-date {tick} --yes"
    if _waits(story):
        unpause = [UNPAUSE_ETL] if _is_paused(story) else []
        if _has_not_ended(story):  # to clear it would throw away what it has done
            return unpause or [LIST_ETL]
        missing = "has no run" in error
        return [*unpause, f"airflow dags trigger {ETL_DAG} --logical-date {tick}" if missing else etl_again]
    if "has no scale for" in error:  # the default is of before an upgrade
        return [TRAIN]
    return [etl_again] if _collapsed(story) else []


def _waits(story: Story) -> bool:
    return story.dag_id == SCORING_DAG and story.task_id == WAITING_TASK


def _is_paused(story: Story) -> bool:
    return UNPAUSE_ETL in (story.error or "")


def _has_not_ended(story: Story) -> bool:
    return "has not ended" in (story.error or "")


def _failed_checks(story: Story) -> list[str]:
    """The checks that QC of the run's own release has failed."""
    if story.dag_id != SCORING_DAG or not story.of_run or story.snapshot is None:
        return []
    return list(story.snapshot.summary.get("failed_expectations") or [])


def _collapsed(story: Story) -> bool:
    return "row_count_collapse" in _failed_checks(story)


def _refused_model(story: Story) -> str | None:
    refused = _REFUSED.search(story.error or "") if story.dag_id == TRAINING_DAG else None
    return refused.group(1) if refused else None


def _nothing_to_go_back_to(story: Story) -> bool:
    return story.dag_id == ROLLBACK_DAG and "no older release is fit" in (story.error or "")
