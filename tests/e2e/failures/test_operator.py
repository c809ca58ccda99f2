"""What an operator does: a rollback to a damaged release, and every `airflow` command of the runbook."""

from __future__ import annotations

import shlex
import time
from datetime import timedelta

import pytest

from ml.clock import data_date_of, etl_tick, now
from ml.nightly import store_of
from tests.e2e.failures.stage import ETL, NO_MODEL, ROLLBACK, SCORING, Stage
from tests.nightly.test_runbook import commands

pytestmark = pytest.mark.e2e_slow


def test_rollback_to_a_damaged_release(stage: Stage) -> None:
    """It is refused and told; nothing changes for readers, and no retry is made of it."""
    if len(store_of(stage.settings).releases()) < 2:
        assert stage.end(stage.trigger()) == "success"
    before = stage.live
    chosen = next(release for release in store_of(stage.settings).releases() if release.id != before)
    scores = chosen.path / "claims_ml_scores.parquet"
    content = scores.read_bytes()
    scores.chmod(0o644)
    scores.write_bytes(content[:-1])
    try:
        begun = time.time()
        run = stage.trigger(ROLLBACK, release=chosen.id, reason="test")
        assert stage.end(run) == "failed"
        came = stage.one_alert(run, "[GAGAL] Rollback skor: show_effect", "belum dilakukan", "releases rollback")
    finally:
        scores.write_bytes(content)
        scores.chmod(0o444)
    assert stage.live == before
    stage.measured("rollback to a damaged release", alert_after_trigger=came - begun)


def test_every_airflow_command_of_the_runbook_works(stage: Stage) -> None:
    run = stage.trigger(model_version=NO_MODEL)
    assert stage.end(run) == "failed"
    tick = etl_tick(data_date_of(now()))
    words = {
        "RUN_ID": run.run_id,
        "TICK": (tick - timedelta(days=30)).isoformat(),
        "FROM": (tick - timedelta(days=41)).isoformat(),
        "TO": (tick - timedelta(days=40)).isoformat(),
    }
    for line in commands("airflow "):
        done = stage.cli(shlex.join(words.get(word, word) for word in shlex.split(line)))
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    # The backfills that the commands began are not to meet what the next test orders.
    client, going_on = stage.airflow.client, ["queued", "running"]
    stage.until(lambda: not any(client.runs(dag, state=going_on) for dag in (ETL, SCORING)), 240, "runs go on")
