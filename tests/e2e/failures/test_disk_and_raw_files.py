"""The disk is full, or the raw files are missing and come back."""

from __future__ import annotations

import os
import signal
import time

import pytest

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
    stage.airflow.client.clear(ETL, etl.run_id)
    assert stage.end(etl) == "success"
    stage.until(lambda: "[PULIH] ETL klaim" in stage.alerts()[-1], 30, "no word that all is well")
    stage.measured("raw files missing", alert=came - begun, scoring_failed=waited - triggered)
