"""The steps of the night: what they refuse, what QC judges by, and what a failure takes back."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from ml import nightly
from ml.clock import DataDateError, checked_data_date, data_date_of, now
from ml.model.artefact import DefaultModel, RiskModel, make_default
from ml.promotion import life
from ml.promotion.registry import Registry
from ml.release import ReleaseStore, RunToken
from ml.settings import PROJECT_ROOT, Settings
from tests.nightly.conftest import ROWS, Night, live_id

Publish = Callable[..., Night]


def check(settings: Settings, night: Night, *, rows: int | None = None, top_k: int | None = None) -> dict[str, object]:
    """Run QC of a night and return the summary of its log."""
    log = nightly.check_quality(
        settings,
        release_id=night.published.release_id,
        run_id=night.run_id,
        expected_rows=night.scored.rows if rows is None else rows,
        top_k=top_k,
    )
    return json.loads(log.read_text())["summary"]


# --- what a step loads


def loaded_by(statements: str) -> list[str]:
    """The heavy libraries that a process of its own has loaded after some statements."""
    tell = "import sys; print([name for name in ('sklearn', 'scipy', 'pandas') if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT / "include")}
    command = [sys.executable, "-c", f"{statements}\n{tell}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stdout.splitlines()[-1])


def test_a_step_that_does_not_score_loads_nothing_heavy() -> None:
    assert loaded_by("import ml.nightly") == []


@pytest.mark.parametrize("ruleset", ["RULESET_v1", "RULESET_v2"])
def test_the_scores_stand_in_the_order_in_which_a_release_is_built(settings: Settings, ruleset: str) -> None:
    """Otherwise a release would be right, but sorted in one part, with twice the memory."""
    scored = nightly.score(settings, RunToken("in-order", 1), ruleset_version=ruleset)
    claims = f"read_parquet('{settings.data}/claims_normalized.parquet', file_row_number = TRUE)"
    as_sorted = f"SELECT claim_id FROM {claims} ORDER BY service_type, severity_group, province_code, claim_id"
    as_written = f"SELECT claim_id FROM {claims} ORDER BY file_row_number"
    scores = f"FROM read_parquet('{scored.folder}/claims_ml_scores.parquet', file_row_number = TRUE)"
    assert duckdb.sql(as_written).fetchall() == duckdb.sql(as_sorted).fetchall()
    assert (
        duckdb.sql(f"SELECT claim_id {scores} ORDER BY file_row_number").fetchall() == duckdb.sql(as_sorted).fetchall()
    )


@pytest.mark.parametrize("ruleset", ["RULESET_v1", "RULESET_v2"])
def test_scoring_does_not_load_scikit_learn(settings: Settings, monkeypatch: pytest.MonkeyPatch, ruleset: str) -> None:
    monkeypatch.setenv("RULESET_VERSION", ruleset)
    score = "nightly.score(load_settings(), RunToken('night', 1))"
    imports = "from ml import nightly; from ml.release import RunToken; from ml.settings import load_settings"
    assert loaded_by(f"{imports}; {score}") == ["pandas"], "pyarrow's doing"


# --- the data date


def test_the_newest_data_date_is_good_and_the_next_one_is_not() -> None:
    today = data_date_of(now())
    assert checked_data_date(today) == today
    with pytest.raises(DataDateError, match=rf"lies in the future.*the latest data date is {today}"):
        checked_data_date(today + timedelta(days=1))


def test_a_mistyped_data_date_is_neither_scored_nor_trained_on(settings: Settings) -> None:
    mistyped = data_date_of(now()).replace(year=2206)
    with pytest.raises(DataDateError, match="2206"):
        nightly.score(settings, RunToken("night", 1), data_date=mistyped)
    with pytest.raises(DataDateError, match="2206"):
        life.train_default(settings, mistyped)
    # Nor is a file of such a date taken for the newest claims.
    claims = settings.data / "claims_normalized" / f"{data_date_of(now())}.parquet"
    claims.rename(claims.with_stem(str(mistyped)))
    with pytest.raises(DataDateError, match="2206"):
        nightly.score(settings, RunToken("night", 1))
    assert not (settings.work / "scoring").exists()


# --- QC


def test_qc_expects_the_rows_that_were_scored_whatever_the_etl_does_since(settings: Settings, publish: Publish) -> None:
    night = publish("night")
    claims = settings.data / "claims_normalized" / f"{night.scored.data_date}.parquet"
    rewritten = claims.with_name("rewritten")
    pq.write_table(pq.read_table(claims).slice(0, 700), rewritten)
    rewritten.replace(claims)
    assert check(settings, night)["expected_rows"] == ROWS
    with pytest.raises(nightly.QualityError, match="rows"):
        check(settings, night, rows=ROWS + 1)


def test_without_a_top_k_qc_looks_at_as_many_as_the_setting_says(settings: Settings, publish: Publish) -> None:
    night = publish("night")
    changed = settings.model_copy(update={"top_k": 17})
    assert check(changed, night)["top_k_requested"] == 17
    assert check(changed, night, top_k=23)["top_k_requested"] == 23


# --- claims


@pytest.mark.parametrize("ruleset", ["RULESET_v1", "RULESET_v2"])
def test_the_peers_beside_a_reason_are_those_that_it_speaks_of(
    settings: Settings, publish: Publish, store: ReleaseStore, ruleset: str
) -> None:
    release = store.get(publish("night", ruleset=ruleset).published.release_id)
    peers = ["peer_level", "peer_n", "peer_mean", "peer_p90", "peer_std", "cost_zscore"]
    with duckdb.connect(str(release.database), read_only=True) as connection:
        beside = connection.execute(f"SELECT claim_id, reasons, {', '.join(peers)} FROM claims_high_risk").fetchall()
    rows = {claim_id: dict(zip(peers, values, strict=True)) for claim_id, _, *values in beside}
    wide = pq.read_table(settings.data / "claims_normalized.parquet", columns=["claim_id", *peers]).to_pylist()
    others = sum(rows[row.pop("claim_id")] != row for row in wide)
    assert (others > 100) == (ruleset == "RULESET_v1")
    compared = 0
    for claim_id, reasons, *_ in beside:
        for reason in json.loads(reasons):
            told = {name: figure for name, figure in reason["figures"].items() if name in peers}
            assert told == pytest.approx({name: rows[claim_id][name] for name in told}), reason
            compared += bool(told)
    assert (compared > 20) == (ruleset == "RULESET_v1")


# --- providers


def test_every_provider_has_a_reason_and_its_money_is_true(publish: Publish, store: ReleaseStore) -> None:
    release = store.get(publish("night").published.release_id)
    with duckdb.connect(str(release.database), read_only=True) as connection:
        reasons = dict(connection.execute("SELECT facility_key, reasons FROM provider_risk").fetchall())
        true = connection.execute(
            "SELECT facility_key, sum(amount_claimed)::BIGINT, count(*),"
            " rank() OVER (ORDER BY sum(amount_claimed) DESC) FROM claims_high_risk GROUP BY ALL"
        ).fetchall()
    told = 0
    for facility, amount, claims, rank in true:
        of_it = json.loads(reasons[facility])
        assert 1 <= len(of_it) <= 3
        for reason in of_it:
            if reason["code"] == "volume":
                told += 1
                figures = reason["figures"]
                assert (figures["amount_claimed"], figures["claims"], figures["amount_rank"]) == (amount, claims, rank)
                assert reason is of_it[-1]
                assert f"number {rank:,} of {len(true):,} facilities" in reason["text_en"]
                among = "terbesar" if rank == 1 else f"terbesar ke-{rank}"
                assert f", {among} dari {len(true)} faskes" in reason["text_id"]
                money = figures["excess_amount"]
                assert ("kelebihan tagihan" in reason["text_id"], "above what" in reason["text_en"]) == (money > 0,) * 2
    assert len(true) == len(reasons)
    assert told


# --- clearing a task of a run that ended well


def test_clearing_tasks_of_a_successful_run_leaves_its_release_alone(
    settings: Settings, publish: Publish, store: ReleaseStore
) -> None:
    publish("older", qc=True)
    night = publish("night")
    check(settings, night)
    nightly.summarise(settings, night.scored.folder)

    check(settings, night)  # needs nothing of the candidate
    for step in (
        lambda: nightly.audit(settings, night.scored.folder),
        lambda: nightly.publish(settings, RunToken("night", 2), night.scored.folder),
    ):
        with pytest.raises(nightly.CandidateGoneError, match="clear the run from score_claims"):
            step()
    # The publishing task's callback, then the watcher.
    for try_number in (2, None):
        restored = nightly.restore(settings, "night", try_number, reason="a cleared task failed")
        assert (restored.restored, live_id(store)) == (False, night.published.release_id)
        assert "has passed its QC and stays" in restored.message
    # As the message says, the run can be cleared from score_claims.
    again = nightly.score(settings, RunToken("night", 3))
    nightly.audit(settings, again.folder)
    assert nightly.publish(settings, RunToken("night", 3), again.folder).switched


def test_a_failing_summary_leaves_the_good_release(settings: Settings, publish: Publish, store: ReleaseStore) -> None:
    publish("older", qc=True)
    night = publish("night", qc=True)
    assert not nightly.restore(settings, "night", reason="qc_summary failed").restored
    assert live_id(store) == night.published.release_id
    assert nightly.recover(settings, "tomorrow").live == night.published.release_id


def test_a_second_look_of_qc_that_fails_takes_the_release_back(
    settings: Settings, publish: Publish, store: ReleaseStore
) -> None:
    older = publish("older", qc=True)
    night = publish("night", qc=True)
    nightly.restore(settings, "night", reason="qc_summary failed")  # declares its try dead
    with pytest.raises(nightly.QualityError):
        check(settings, night, rows=1)
    assert nightly.restore(settings, "night", reason="quality_check failed").restored
    assert live_id(store) == older.published.release_id


def test_a_run_whose_release_was_taken_back_goes_on_only_from_its_start(
    settings: Settings, publish: Publish, store: ReleaseStore
) -> None:
    """What runbook, DAG and error say: the whole run, not the failed quality_check alone."""
    older = publish("older", qc=True)
    night = publish("night")
    with pytest.raises(nightly.QualityError):
        check(settings, night, rows=1)
    assert nightly.restore(settings, "night", 1, reason="quality_check failed").restored
    with pytest.raises(nightly.QualityError, match=r"not live any more.*clear the whole run, not this task alone"):
        check(settings, night)
    assert live_id(store) == older.published.release_id

    again = RunToken("night", 2)
    nightly.recover(settings, again.run_id)
    scored = nightly.score(settings, again)
    nightly.audit(settings, scored.folder)
    published = nightly.publish(settings, again, scored.folder)
    check(settings, Night("night", scored, published))
    assert (live_id(store), store.qc_passed(published.release_id)) == (published.release_id, True)


@pytest.mark.parametrize("verdict", [None, False])
def test_without_a_passed_qc_a_failed_run_is_taken_back(
    settings: Settings, publish: Publish, store: ReleaseStore, verdict: bool | None
) -> None:
    older = publish("older", qc=True)
    publish("night", qc=verdict)
    assert nightly.restore(settings, "night", reason="failed").restored
    assert live_id(store) == older.published.release_id


def test_qc_compares_with_what_readers_see_again_after_a_rollback(
    settings: Settings, store: ReleaseStore, publish: Publish
) -> None:
    nights = []
    for name in ("first", "second", "third"):
        nights.append(publish(name))
        summary = check(settings, nights[-1])
        if name == "second":
            assert summary["changes"]["previous_release_id"] == nights[0].published.release_id
            store.rollback(nights[0].published.release_id, reason="an export had everything twice", who="operator")
    assert summary["changes"]["previous_release_id"] == nights[0].published.release_id


# --- the work folder


def test_sweeping_drops_what_is_old_and_bears_what_vanishes(settings: Settings) -> None:
    old, new, vanished = (settings.work / "etl" / name for name in ("old", "new", "vanished"))
    own_files = settings.work / "evaluation" / "own-files-killed"
    qc = settings.work / "qc-killed"
    qc.mkdir(parents=True)
    old.mkdir(parents=True)
    new.mkdir()
    own_files.mkdir(parents=True)
    vanished.symlink_to("nowhere")  # stat() fails as it does on a folder that is gone since the listing
    long_ago = (now() - nightly.WORK_KEPT - timedelta(hours=1)).timestamp()
    for folder in (old, own_files, qc):
        os.utime(folder, (long_ago, long_ago))
    nightly.recover(settings, "night")
    assert [folder.exists() for folder in (old, own_files, qc, new)] == [False, False, False, True]


def trained_anew(settings: Settings) -> str:
    """Replace every model by a sound one and return its version."""
    for folder in settings.models.glob("risk-*"):
        shutil.rmtree(folder)
    return life.train_default(settings).version


def test_runs_that_begin_together_train_the_first_model_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backfill of a fresh instance: without the lock each run trains, and all but one fail at the promotion."""
    shutil.rmtree(settings.models)
    trained = []

    def train(*arguments: Any, **options: Any) -> RiskModel:
        trained.append(options["who"])
        time.sleep(0.5)
        return life.train_default(*arguments, **options)

    monkeypatch.setattr(nightly, "train_default", train)
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(nightly.score, settings, RunToken(f"backfill-{number}", 1)) for number in range(3)]
    assert {run.result().model_version for run in runs} == {Registry.of(settings).default_version}
    assert len(trained) == 1


def test_when_to_train_none_another_source_or_one_that_cannot_be_used(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = life.train_default(settings)
    assert life.why_train(settings) is None
    with monkeypatch.context() as later:
        later.setattr(life, "missing_scales", lambda model, ruleset: ["overlap"])
        assert life.why_train(settings) == "the default model has no scale for overlap of RULESET_v2"
        assert life.usable_default(settings) is None
    assert life.usable_default(settings) == model.version
    arrays = settings.models / model.version / "forest.npz"
    arrays.write_bytes(arrays.read_bytes() + b"x")
    assert "altered" in str(life.why_train(settings))
    make_default(settings.models, DefaultModel(trained_anew(settings), "2026-01-01T00:00:00+00:00", "elsewhere.csv"))
    assert "was trained on elsewhere.csv" in str(life.why_train(settings))
    (settings.models / "default.json").unlink()
    assert life.why_train(settings) == "there is no model yet"
