"""The disk is full, or the raw files are missing or broken, and come back."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from ml.clock import data_date_of, etl_tick, now
from ml.sample.config import GeneratorConfig
from ml.sample.files import write
from ml.sample.generate import generate
from tests.e2e.failures.stage import ETL, Stage
from tests.release.test_full_disk import fill

pytestmark = pytest.mark.e2e_slow


def test_disk_full(stage: Stage) -> None:
    if not os.path.ismount(stage.settings.instance_dir.parent):
        pytest.skip("a tmpfs may not be mounted here")
    before = stage.live
    stage.order("backup_and_swap", "stop")
    run = stage.trigger()
    met = stage.met()
    ballast = fill(stage.settings.instance_dir.parent)
    try:
        os.kill(met["pid"], signal.SIGCONT)
        full = time.time()
        assert stage.end(run) == "failed"
        came = stage.one_alert(run, "[GAGAL]", "skor data")
        assert stage.live == before
    finally:
        ballast.unlink()
    stage.measured("disk full", alert=came - full)


def test_raw_files_missing_then_back(stage: Stage) -> None:
    """The ETL's failure is told once, scoring's consequence is not; the first good run tells that all is well."""
    before = stage.live
    kept = stage.settings.instance_dir / "kept"  # on the same volume
    stage.settings.raw.rename(kept)
    stage.settings.raw.mkdir()
    etl = stage.airflow.client.runs(ETL)[0]
    stage.airflow.client.clear(ETL, etl.run_id)
    begun = time.time()
    assert stage.end(etl) == "failed"
    came = stage.one_alert(etl, "ETL klaim", "check_contract", "no file matches")
    triggered = time.time()
    scoring = stage.trigger()
    assert stage.end(scoring) == "failed"
    waited = time.time()
    assert stage.states(scoring)["wait_for_etl"] == "failed"
    time.sleep(8)
    assert stage.alerts(scoring) == [], "it belongs to the ETL's incident"
    assert stage.live == before

    stage.settings.raw.rmdir()
    kept.rename(stage.settings.raw)
    again = stage.trigger(ETL)  # as with the empty form: a run with a tick of its own
    assert stage.end(again) == "success"
    stage.until(lambda: stage.alerts(again), 30, "no word that all is well")
    assert "[PULIH] ETL klaim" in stage.alerts(again)[0]
    stage.follow(again, scoring)
    assert f"published by run {again.run_id} of {ETL}" in stage.log(scoring, "wait_for_etl")
    stage.airflow.client.clear(ETL, etl.run_id)
    assert stage.end(etl) == "success"
    stage.measured("raw files missing", alert=came - begun, scoring_failed=waited - triggered)


def test_broken_export_then_the_right_one(stage: Stage) -> None:
    """Most claims are missing: QC refuses the scores, and what the alert says comes next begins with the ETL."""
    before = stage.live
    kept = stage.settings.instance_dir / "kept"
    stage.settings.raw.rename(kept)
    write(generate(GeneratorConfig(claims=250, seed=11)), stage.settings.raw, "csv", stage.root / "labels.parquet")
    etl = stage.airflow.client.run_of(ETL, etl_tick(data_date_of(now())))
    assert etl is not None
    stage.airflow.client.clear(ETL, etl.run_id)
    assert stage.end(etl) == "success"
    begun = time.time()
    scoring = stage.trigger()
    assert stage.end(scoring) == "failed"
    assert stage.live == before
    says = ("quality_check", "CLAIMS_QC_ROW_DROP=1.", "Perbaiki dulu ekspor", "airflow tasks clear claims_normalized")
    came = stage.one_alert(scoring, *says)
    stage.measured("broken export", alert_after_trigger=came - begun)

    shutil.rmtree(stage.settings.raw)
    kept.rename(stage.settings.raw)
    stage.follow(scoring)
    assert stage.end(etl) == "success"
