"""What is told besides a failure: that scores are late, that it failed again, that all is well."""

from __future__ import annotations

import time

import pytest

from tests.e2e.failures.stage import NO_MODEL, SCORING, Stage, _html

pytestmark = pytest.mark.e2e_slow


def test_no_scores_by_the_deadline(stage: Stage) -> None:
    if not stage.late:
        pytest.skip("it is between 01:00 and 02:01 WIB: the night has begun, and nothing is late yet")
    late, well = stage.late
    assert "[TERLAMBAT] Skor risiko klaim" in late
    assert "[PULIH] Skor risiko klaim" in well
    html_of_late = _html(stage.mails.mails[0])
    assert "padahal batas waktunya sudah lewat" in html_of_late
    assert "airflow dags unpause claims_normalized" in html_of_late


def test_a_run_that_is_cleared_and_fails_again_is_told_again(stage: Stage) -> None:
    run = stage.trigger(model_version=NO_MODEL)
    assert stage.end(run) == "failed"
    stage.one_alert(run, "[GAGAL]")
    done = stage.cli(f"airflow dags clear {SCORING} --run-id {run.run_id} --yes")
    assert done.returncode == 0, done.stdout + done.stderr
    stage.until(lambda: len(stage.alerts(run)) == 2, 120, "it is not told again")


def test_a_good_run_after_failures_tells_that_all_is_well(stage: Stage) -> None:
    run = stage.trigger(model_version=NO_MODEL)
    assert stage.end(run) == "failed"
    stage.one_alert(run, "[GAGAL]")
    good = stage.trigger()
    assert stage.end(good) == "success"
    stage.until(lambda: any("[PULIH]" in text for text in stage.alerts(good)), 30, "no word that all is well")
    again = stage.trigger()
    assert stage.end(again) == "success"
    time.sleep(8)
    assert not [text for text in stage.alerts(again) if "[PULIH]" in text], "it is told once"
