"""Scratch folders of killed runs go with the next run, those in use stay, whatever process numbers say."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from ml.claims.etl import start_build
from ml.claims.scratch import scratch_folder
from tests.claims.conftest import DATA_DATE, claim

SPAWN = multiprocessing.get_context("forkserver")


def use(parent: Path, ready: Event) -> None:
    with scratch_folder(parent) as scratch:
        (scratch / "raw.parquet").write_text("participant numbers")
        ready.set()
        signal.pause()


@contextmanager
def at_work(parent: Path) -> Iterator[None]:
    """A process that uses a scratch folder, and is killed at the end."""
    parent.mkdir(parents=True)
    ready = SPAWN.Event()
    process = SPAWN.Process(target=use, args=(parent, ready), daemon=True)
    process.start()
    try:
        assert ready.wait(60)
        yield
    finally:
        process.kill()
        process.join(60)


def test_a_live_scratch_folder_stays_and_a_killed_ones_goes(raw_files, make_settings) -> None:
    raw_files([claim(1)])
    settings = make_settings()
    other = settings.work / "etl" / "other"
    evaluated = settings.work / "evaluation" / "own-files-x" / "work" / "etl" / "evaluation"
    with at_work(other), at_work(evaluated):
        start_build(settings, DATA_DATE, "beside")
        assert [len(list(folder.glob("scratch-*/raw.parquet"))) for folder in (other, evaluated)] == [1, 1]
    start_build(settings, DATA_DATE, "after")
    assert list(other.iterdir()) == list(evaluated.iterdir()) == []


def test_a_process_number_that_is_used_again_keeps_nothing(raw_files, make_settings) -> None:
    raw_files([claim(1)])
    settings = make_settings()
    left = settings.work / "etl" / "killed" / f"scratch-{os.getpid()}"
    left.mkdir(parents=True)
    start_build(settings, DATA_DATE, "after")
    assert not left.exists()


def test_an_etl_run_leaves_no_scratch(raw_files, make_settings) -> None:
    raw_files([claim(1)], ending=".dta")
    build, _ = start_build(make_settings(), DATA_DATE, "test")
    assert sorted(path.name for path in build.warehouse.parent.iterdir()) == ["contract.json", "warehouse.duckdb"]
