"""A run that was cleared is told by what its own attempt did: what came before was told of the attempt before."""

from __future__ import annotations

import pytest

from ml.alerts import AlertBook, Kind, RunKey, Story, compose, failure_story, success_story
from ml.alerts.facts import Fate
from ml.alerts.incidents import AlertKind
from ml.alerts.story import told
from ml.clock import now
from ml.nightly import store_of
from ml.qc.logs import write_log
from ml.release import ReleaseStore
from ml.settings import Settings
from tests.alerts.conftest import NIGHT, Note
from tests.release.conftest import Publish


def look(settings: Settings, run_id: str, release_id: str, *, mean: int, passed: bool | None = True) -> None:
    """QC has looked at a release: it writes its log, and its verdict with the release (None: it is killed before)."""
    facts = {"run_id": run_id, "release_id": release_id, "total_rows": 300, "top_k": 50}
    log, _ = write_log(settings.logs, now(), {"summary": facts | {"amount_claimed_top_k_mean": mean}})
    if passed is not None:
        store_of(settings).record_qc(release_id, passed=passed, log=log.name)


def fails(settings: Settings, book: AlertBook, note: Note, attempt: int, task_id: str) -> Story:
    """An attempt of the night fails in a task and is told about; return what is told."""
    run = note(Kind.FAILED, run_id="night", task_id=task_id, attempt=attempt)
    story = failure_story(settings, book, run, NIGHT)
    assert story is not None and story.outcome is not None
    book.note(told(story))
    return story


def text_of(story: Story) -> str:
    return compose(story, base_url="https://airflow.example", now=now()).text


@pytest.fixture
def taken_back(
    settings: Settings, book: AlertBook, note: Note, store: ReleaseStore, publish: Publish
) -> dict[str, str]:
    """The first attempt's QC failed, its release was taken back, and the run was cleared; return the releases."""
    before = publish("before").release_id
    look(settings, "before", before, mean=1_000)
    note(Kind.BEGUN, run_id="night")
    night = publish("night", qc=False).release_id
    look(settings, "night", night, mean=2_000, passed=False)
    store.restore("night", reason="test")
    story = fails(settings, book, note, 0, "quality_check")
    assert story.outcome is not None
    assert (story.outcome.fate, story.outcome.release_id, story.of_run) == (Fate.TAKEN_BACK, night, True)
    assert "Rp 2.000" in text_of(story)
    note(Kind.BEGUN, run_id="night", attempt=1)
    return {"before": before, "night": night}


@pytest.mark.parametrize("task_id", ["score_claims", "quality_check"])
def test_what_the_attempt_before_published_is_not_told_again(
    settings: Settings, book: AlertBook, note: Note, taken_back: dict[str, str], task_id: str
) -> None:
    """The task may also be a `quality_check` that was cleared by itself: it finds its release gone."""
    story = fails(settings, book, note, 1, task_id)
    assert story.outcome is not None
    assert (story.outcome.fate, story.outcome.release_id, story.of_run) == (Fate.NONE, None, False)
    assert story.snapshot is not None
    assert story.snapshot.summary["release_id"] == taken_back["before"], "what readers see"
    text = text_of(story)
    assert "Pemulihan: tidak perlu: run ini, sejak diulang, belum menayangkan apa pun." in text
    assert "Rp 1.000" in text and taken_back["night"] not in text


def test_what_the_attempt_itself_published_is_told(
    settings: Settings, book: AlertBook, note: Note, store: ReleaseStore, publish: Publish, taken_back: dict[str, str]
) -> None:
    again = publish("night", 2, qc=False).release_id
    store.restore("night", reason="test")
    killed = fails(settings, book, note, 1, "quality_check")
    assert killed.outcome is not None
    assert (killed.outcome.fate, killed.outcome.release_id) == (Fate.TAKEN_BACK, again)
    assert not killed.of_run, "its QC has written no log"
    look(settings, "night", again, mean=3_000, passed=False)
    assert "Rp 3.000" in text_of(fails(settings, book, note, 1, "quality_check"))
    assert taken_back["night"] != again


def test_what_readers_see_unchecked_is_told_whichever_attempt_made_it(
    settings: Settings, book: AlertBook, note: Note, store: ReleaseStore, publish: Publish
) -> None:
    """*Mark run failed* restores nothing, and the run may be cleared before the watchdog comes."""
    publish("before")
    note(Kind.BEGUN, run_id="night")
    night = publish("night", qc=None).release_id
    note(Kind.BEGUN, run_id="night", attempt=1)
    fates = []
    for _ in range(2):
        outcome = fails(settings, book, note, 1, "score_claims").outcome
        assert outcome is not None and outcome.release_id == night
        fates.append(outcome.fate)
        store.restore("night", reason="test")
    assert fates == [Fate.UNCHECKED, Fate.TAKEN_BACK]


def test_a_qc_that_was_killed_before_its_verdict_is_told_by_its_log(
    settings: Settings, book: AlertBook, note: Note, publish: Publish
) -> None:
    look(settings, "before", publish("before").release_id, mean=1_000)
    note(Kind.BEGUN, run_id="night")
    night = publish("night", qc=None).release_id
    look(settings, "night", night, mean=2_000, passed=None)
    story = fails(settings, book, note, 0, "quality_check")
    assert story.outcome is not None
    assert (story.outcome.fate, story.of_run) == (Fate.UNCHECKED, True)
    assert "Rp 2.000" in text_of(story)


@pytest.mark.parametrize(("task_id", "fate"), [("score_claims", Fate.NONE), ("qc_summary", Fate.STAYS)])
def test_a_release_stays_the_runs_own_where_only_its_summary_is_made_again(
    settings: Settings, book: AlertBook, note: Note, publish: Publish, task_id: str, fate: Fate
) -> None:
    """`qc_summary` alone may be cleared; of a whole run that is cleared, what fails comes before publishing."""
    note(Kind.BEGUN, run_id="night")
    night = publish("night").release_id
    look(settings, "night", night, mean=2_000)
    fails(settings, book, note, 0, "qc_summary")
    note(Kind.BEGUN, run_id="night", attempt=1)
    story = fails(settings, book, note, 1, task_id)
    assert story.outcome is not None
    assert (story.outcome.fate, story.of_run) == (fate, fate is Fate.STAYS)
    note(Kind.BEGUN, run_id="night", attempt=2)
    good = success_story(settings, book, RunKey("claims_risk_scoring", "night", 2), NIGHT)
    assert good is not None and good.outcome is not None
    assert (good.kind, good.outcome.fate) == (AlertKind.RECOVERED, Fate.STAYS)
