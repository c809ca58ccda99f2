"""When there is something to tell: the nights of an incident, its end, the ETL's share, and the deadline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from ml.alerts import AlertBook, Kind, RunKey, compose, deadline_story, failure_story, success_story
from ml.alerts.commands import next_commands
from ml.alerts.facts import Fate
from ml.alerts.incidents import AlertKind, in_short, is_over, runs_to_look_after
from ml.alerts.story import told
from ml.claims.etl import run_name_of
from ml.clock import now
from ml.release import ReleaseStore
from ml.rollback import through_airflow
from ml.settings import Settings
from tests.alerts.conftest import ETL, NIGHT, Note
from tests.release.conftest import Publish

NEXT = NIGHT + timedelta(days=1)
ROLLBACK = "claims_scores_rollback"
Succeed = Callable[[str, date], "AlertKind | None"]


def fail(
    settings: Settings, book: AlertBook, note: Note, run_id: str, day: date, task_id: str = "score_claims", **more: str
) -> AlertKind | None:
    """A run fails and is told about; return how."""
    run = note(Kind.FAILED, run_id=run_id, day=day, task_id=task_id, **more)
    story = failure_story(settings, book, run, day)
    if story:
        book.note(told(story))
    return story.kind if story else None


@pytest.fixture
def succeed(settings: Settings, book: AlertBook, note: Note, publish: Publish) -> Succeed:
    return lambda run_id, day: _succeed(settings, book, note, publish, run_id, day)


def _succeed(
    settings: Settings, book: AlertBook, note: Note, publish: Publish, run_id: str, day: date
) -> AlertKind | None:
    """A run publishes, succeeds and is told about, if there is anything to tell; return how."""
    publish(run_id, day=day)
    run = RunKey("claims_risk_scoring", run_id)
    story = success_story(settings, book, run, day)
    note(Kind.SUCCEEDED, run_id=run_id, day=day)
    if story:
        book.note(told(story))
    return story.kind if story else None


def test_nights_are_counted_until_the_first_good_one(
    settings: Settings, book: AlertBook, note: Note, succeed: Succeed
) -> None:
    days = [NIGHT + timedelta(days=number) for number in range(6)]
    assert fail(settings, book, note, "n0", days[0]) is AlertKind.FAILED
    assert fail(settings, book, note, "n1", days[1]) is AlertKind.STILL
    run = note(Kind.FAILED, run_id="n2", day=days[2], task_id="score_claims", error="no disk")
    story = failure_story(settings, book, run, days[2])
    assert story is not None
    assert (story.kind, story.nights, story.since, story.error) == (AlertKind.STILL, 3, NIGHT, "no disk")
    assert succeed("n3", days[3]) is AlertKind.RECOVERED
    assert succeed("n4", days[4]) is None, "it is told once"
    assert fail(settings, book, note, "n5", days[5]) is AlertKind.FAILED, "a new incident"


def test_another_task_is_another_failure(settings: Settings, book: AlertBook, note: Note) -> None:
    assert fail(settings, book, note, "n0", NIGHT, "score_claims") is AlertKind.FAILED
    assert fail(settings, book, note, "n1", NEXT, "quality_check") is AlertKind.FAILED


def test_nights_are_those_in_a_row(settings: Settings, book: AlertBook, note: Note) -> None:
    for number in (20, 19, 18):
        fail(settings, book, note, f"backfill{number}", NIGHT - timedelta(days=number))
    assert fail(settings, book, note, "tonight", NIGHT) is AlertKind.FAILED


def test_failing_again_on_the_same_night_is_no_later_night(settings: Settings, book: AlertBook, note: Note) -> None:
    assert fail(settings, book, note, "n0", NIGHT) is AlertKind.FAILED
    assert fail(settings, book, note, "by-hand", NIGHT) is AlertKind.FAILED


def test_a_backfill_of_an_older_night_ends_no_incident_of_a_newer(
    settings: Settings, book: AlertBook, note: Note, succeed: Succeed
) -> None:
    assert fail(settings, book, note, "n0", NIGHT) is AlertKind.FAILED
    assert succeed("backfill", NIGHT - timedelta(days=2)) is None
    assert succeed("again", NIGHT) is AlertKind.RECOVERED


def test_the_first_failed_task_of_the_attempt_is_the_one_told(settings: Settings, book: AlertBook, note: Note) -> None:
    note(Kind.FAILED, task_id="backup_and_swap", error="before it was cleared")
    note(Kind.FAILED, task_id="quality_check", error="first", attempt=1)
    run = note(Kind.FAILED, task_id="restore_on_failure", error="second", attempt=1)
    story = failure_story(settings, book, run, NIGHT)
    assert story is not None
    assert (story.task_id, story.error, story.attempt) == ("quality_check", "first", 1)


def test_scoring_without_its_etl_belongs_to_the_etls_incident(settings: Settings, book: AlertBook, note: Note) -> None:
    etl = note(Kind.FAILED, dag_id=ETL, run_id="etl", task_id="check_contract")
    story = failure_story(settings, book, etl, NIGHT)
    assert story is not None
    book.note(told(story))
    assert fail(settings, book, note, "n0", NIGHT, "wait_for_etl") is None
    assert fail(settings, book, note, "other", NIGHT, "score_claims") is AlertKind.FAILED
    assert fail(settings, book, note, "n1", NEXT, "wait_for_etl") is AlertKind.STILL, "of that night nothing was told"


def test_the_same_alert_has_the_same_key_whoever_tells_it(settings: Settings, book: AlertBook, note: Note) -> None:
    run = note(Kind.FAILED, task_id="score_claims")
    keys = {getattr(failure_story(settings, book, run, NIGHT), "key", None) for _ in range(2)}
    cleared = failure_story(settings, book, RunKey(run.dag_id, run.run_id, 1), NIGHT)
    assert len(keys) == 1
    assert cleared is not None
    assert cleared.key not in keys, "cleared and failed again is news"


# --- what readers see, and whether the restore worked


@pytest.mark.parametrize(
    ("qc", "fate", "live"),
    [(False, Fate.TAKEN_BACK, "before"), (True, Fate.STAYS, "night"), (None, Fate.TAKEN_BACK, "before")],
)
def test_the_fate_of_the_release_is_looked_up(
    settings: Settings,
    book: AlertBook,
    note: Note,
    store: ReleaseStore,
    publish: Publish,
    qc: bool,
    fate: Fate,
    live: str,
) -> None:
    releases = {"before": publish("before").release_id, "night": publish("night", qc=qc).release_id}
    run = note(Kind.FAILED, run_id="night", task_id="quality_check")
    if qc is None:
        unchecked = failure_story(settings, book, run, NIGHT)
        assert unchecked is not None and unchecked.outcome is not None
        assert unchecked.outcome.fate is Fate.UNCHECKED
    store.restore("night", reason="test")
    story = failure_story(settings, book, run, NIGHT)
    assert story is not None and story.outcome is not None
    assert (story.outcome.fate, story.outcome.release_id) == (fate, releases["night"])
    assert (story.readers.release_id, story.readers.rows) == (releases[live], 300)


def test_a_run_that_published_nothing_or_only_archived(
    settings: Settings, book: AlertBook, note: Note, publish: Publish
) -> None:
    publish("newer")
    publish("older", day=date(2026, 11, 20))
    fates = {}
    for run_id in ("older", "nothing"):
        run = note(Kind.FAILED, run_id=run_id, task_id="qc_summary")
        story = failure_story(settings, book, run, NIGHT)
        assert story is not None and story.outcome is not None
        fates[run_id] = story.outcome.fate
    assert fates == {"older": Fate.ARCHIVED, "nothing": Fate.NONE}


def test_damage_is_told_and_not_stumbled_over(
    settings: Settings, book: AlertBook, note: Note, store: ReleaseStore, publish: Publish
) -> None:
    release = store.get(publish("before").release_id)
    (release.path / "manifest.json").chmod(0o644)
    (release.path / "manifest.json").write_text("{")
    story = failure_story(settings, book, note(Kind.FAILED, task_id="score_claims"), NIGHT)
    assert story is not None
    assert story.readers.release_id == release.id
    assert "manifest" in str(story.readers.problem)


# --- ends


def test_a_run_that_published_nothing_ends_no_incident(settings: Settings, book: AlertBook, note: Note) -> None:
    """A run that was marked failed and cleared by half may end as a success with nothing done."""
    assert fail(settings, book, note, "n0", NIGHT) is AlertKind.FAILED
    assert success_story(settings, book, RunKey("claims_risk_scoring", "n0"), NIGHT) is None


def test_the_etl_is_well_again_and_scoring_has_to_be_run_again(settings: Settings, book: AlertBook, note: Note) -> None:
    etl = note(Kind.FAILED, dag_id=ETL, run_id="etl", task_id="check_contract")
    failed = failure_story(settings, book, etl, NIGHT)
    assert failed is not None
    assert failed.waiting_run is None
    book.note(told(failed))
    note(Kind.FAILED, run_id="scoring", task_id="wait_for_etl")
    recovered = success_story(settings, book, etl, NIGHT)
    assert recovered is not None
    assert (recovered.kind, recovered.waiting_run) == (AlertKind.RECOVERED, "scoring")


def test_what_is_over_is_not_sent_again(settings: Settings, book: AlertBook, note: Note) -> None:
    run = note(Kind.FAILED, task_id="score_claims")
    story = failure_story(settings, book, run, NIGHT)
    assert story is not None
    event = told(story)
    assert not is_over(event, book.events())
    note(Kind.SUCCEEDED, run_id="older", day=NIGHT - timedelta(days=1), at=now() + timedelta(seconds=1))
    assert not is_over(event, book.events())
    note(Kind.SUCCEEDED, run_id="again", at=now() + timedelta(seconds=1))
    assert is_over(event, book.events())


# --- rollbacks


def test_a_rollback_that_fails_is_an_incident_of_its_own(settings: Settings, book: AlertBook, note: Note) -> None:
    for run_id in ("r0", "r1"):
        run = note(Kind.FAILED, dag_id=ROLLBACK, run_id=run_id, day=None, task_id="show_effect", error="it is damaged")
        story = failure_story(settings, book, run, None)
        assert story is not None and story.outcome is not None
        assert (story.kind, story.nights, story.outcome.fate) == (AlertKind.FAILED, 1, Fate.NONE)
        book.note(told(story))
    assert success_story(settings, book, RunKey(ROLLBACK, "r2"), None) is None, "whoever triggered it has looked at it"


def test_whether_the_rollback_had_been_done_is_looked_up(
    settings: Settings, book: AlertBook, note: Note, store: ReleaseStore, publish: Publish
) -> None:
    before = publish("before").release_id
    publish("night", day=NEXT)
    run = note(Kind.FAILED, dag_id=ROLLBACK, run_id="r0", day=None, task_id="show_result")
    store.rollback(None, reason="test", who=f"admin {through_airflow('r0')}")
    fates = []
    for _ in range(2):
        story = failure_story(settings, book, run, None)
        assert story is not None and story.outcome is not None
        assert story.outcome.release_id == before
        fates.append(story.outcome.fate)
        publish("later", day=NEXT + timedelta(days=1))
    assert fates == [Fate.STAYS, Fate.REPLACED]


# --- warnings, deadline


def test_warnings_are_told_of_what_readers_see(settings: Settings, book: AlertBook, publish: Publish) -> None:
    publish("n0", day=NIGHT)
    publish("old", day=NIGHT - timedelta(days=3))
    runs = {run: RunKey("claims_risk_scoring", run) for run in ("n0", "old")}
    story = success_story(settings, book, runs["n0"], NIGHT, warnings=("drift: 0.7",))
    assert story is not None
    assert (story.kind, story.warnings) == (AlertKind.WARNING, ("drift: 0.7",))
    assert success_story(settings, book, runs["old"], NIGHT - timedelta(days=3), warnings=("drift: 0.7",)) is None


def test_no_release_is_late_too_where_there_were_some(settings: Settings, book: AlertBook, publish: Publish) -> None:
    publish("before", day=NIGHT)
    (settings.instance_dir / "current").unlink()
    assert deadline_story(settings, book, NIGHT, now()) is None, "it was live in time, and somebody took it away"
    late = deadline_story(settings, book, NEXT, now())
    assert late is not None
    assert (late.kind, late.readers.release_id) == (AlertKind.DEADLINE, None)
    assert [command.split()[3] for command in next_commands(late)[:2]] == ["list", "rollback"]
    assert "Tidak ada rilis skor yang tayang." in compose(late, base_url="http://localhost", now=now()).text


def test_the_deadline(settings: Settings, book: AlertBook, publish: Publish, succeed: Succeed) -> None:
    assert deadline_story(settings, book, NIGHT, now()) is None, "no release ever: nothing is late"
    publish("before", day=NIGHT)
    assert deadline_story(settings, book, NIGHT, now()) is None
    late = deadline_story(settings, book, NEXT, now())
    assert late is not None
    assert (late.kind, late.nights) == (AlertKind.DEADLINE, 1)
    book.note(told(late))
    later = deadline_story(settings, book, NEXT + timedelta(days=1), now())
    assert later is not None
    assert (later.nights, later.since) == (2, NEXT)
    assert succeed("good", NEXT + timedelta(days=1)) is AlertKind.RECOVERED


def test_an_operator_who_took_the_nights_scores_back_is_not_told_that_they_are_late(
    settings: Settings, book: AlertBook, publish: Publish, store: ReleaseStore
) -> None:
    publish("before", day=NIGHT)
    publish("tonight", day=NEXT)
    store.rollback(None, reason="test", who="test")
    live = store.live()
    assert live is not None
    assert live.manifest.data_date == NIGHT
    assert deadline_story(settings, book, NEXT, now()) is None


def test_the_deadline_is_no_second_alert_of_a_failure(
    settings: Settings, book: AlertBook, note: Note, publish: Publish
) -> None:
    publish("before", day=NIGHT)
    assert fail(settings, book, note, "n0", NEXT) is AlertKind.FAILED
    assert deadline_story(settings, book, NEXT, now()) is None
    assert deadline_story(settings, book, NEXT + timedelta(days=1), now()) is not None


def test_a_run_that_began_late_keeps_the_deadline_back_for_a_while(
    settings: Settings, book: AlertBook, note: Note, publish: Publish
) -> None:
    publish("before", day=NIGHT)
    note(Kind.BEGUN, run_id="late", day=NEXT)
    assert deadline_story(settings, book, NEXT, now()) is None
    assert deadline_story(settings, book, NEXT, now() + timedelta(hours=3)) is not None


def test_damage_of_what_is_live_is_told_at_any_hour_once_a_night(
    settings: Settings, book: AlertBook, store: ReleaseStore, publish: Publish
) -> None:
    release = store.get(publish("before", day=NIGHT).release_id)
    (release.path / "manifest.json").chmod(0o644)
    (release.path / "manifest.json").write_text("{")
    stories = [deadline_story(settings, book, day, now()) for day in (NIGHT, NIGHT, NEXT)]
    assert [story.key for story in stories if story] == [f"damaged|{release.id}|{day}" for day in (NIGHT, NIGHT, NEXT)]
    assert all(story and story.urgent for story in stories)


# --- what the watchdog looks after


def test_runs_without_an_end_are_looked_after(book: AlertBook, note: Note) -> None:
    note(Kind.BEGUN, run_id="marked failed")
    note(Kind.BEGUN, run_id="good")
    note(Kind.SUCCEEDED, run_id="good")
    note(Kind.BEGUN, run_id="bad")
    note(Kind.ENDED, run_id="bad")
    note(Kind.BEGUN, run_id="cleared")
    note(Kind.ENDED, run_id="cleared", at=now() - timedelta(hours=3))
    note(Kind.BEGUN, run_id="cleared", attempt=1)
    note(Kind.BEGUN, run_id="gone from Airflow", at=now() - timedelta(days=8))
    runs = {(run.run_id, run.attempt): day for run, day in runs_to_look_after(book, now())}
    assert runs == {("marked failed", 0): NIGHT, ("cleared", 1): NIGHT}


# --- no personal identifiers


QUARANTINED = [
    f"quarantine/2026-11-30-{run_name_of(run_id)}"
    for run_id in (
        "manual__2026-11-30T18:25:16.418147+00:00",
        "manual__2026-11-30T18:25:16+00:00",
        "scheduled__2026-11-30T18:00:00+00:00",
        "scheduled__2026-12-26T18:00:00+00:00",  # its hash is of digits alone
    )
]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("PSTV01 700123456789 twice", "PSTV01 … twice"),
        ("row 1,000,123:\n  bad", "row 1,000,123: bad"),
        ("see ml_scores_qc_20261125T093901Z.json", "see ml_scores_qc_20261125T093901Z.json"),
        ("release 20261125-20261125T093856Z-manual-t01 failed", "release 20261125-20261125T093856Z-manual-t01 failed"),
        ("no model risk-000000000000", "no model risk-000000000000"),
        *((f"in {folder}/fkrtl.parquet", f"in {folder}/fkrtl.parquet") for folder in QUARANTINED),
        ("2026-11-30T18-25-16-70012345678", "2026-11-30T18-25-16-…"),
        ("2026-11-30T18-25-16-418147-00-00-3031234567", "2026-11-30T18-25-16-…-00-00-…"),
        ("", "str"),
    ],
)
def test_errors_are_told_without_long_numbers(error: str, said: str) -> None:
    assert in_short(error) == said


def test_a_long_error_loses_its_middle() -> None:
    """It ends with the way out of it."""
    error = "QC of release x failed: " + "; ".join(f"check_{number}: bad" for number in range(200)) + ". Set NAME=1."
    said = in_short(error)
    assert len(said) == 800
    assert said.startswith("QC of release x failed: check_0: bad")
    assert said.endswith(". Set NAME=1.")
    assert " … " in said
