"""An instance with a release or two, the book, and short ways to write down what happened to runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from ml.alerts import AlertBook, Event, Kind, RunKey
from ml.settings import Settings
from tests.release.conftest import instance, make_candidate, publish, store  # noqa: F401 - fixtures

SCORING = "claims_risk_scoring"
ETL = "claims_normalized"
NIGHT = date(2026, 11, 23)


@pytest.fixture
def settings(instance: Path) -> Settings:  # noqa: F811
    return Settings(_env_file=None, CLAIMS_INSTANCE_DIR=str(instance))


@pytest.fixture
def book(settings: Settings) -> AlertBook:
    return AlertBook(settings.instance_dir / "alerts")


Note = Callable[..., RunKey]


@pytest.fixture
def note(book: AlertBook) -> Note:
    """Write down an event of a run and return the run."""

    def note(
        kind: Kind, dag_id: str = SCORING, run_id: str = "run-1", day: date | None = NIGHT, **fields: object
    ) -> RunKey:
        event = Event.model_validate({"kind": kind, "dag_id": dag_id, "run_id": run_id, "data_date": day, **fields})
        assert book.note(event)
        return RunKey(dag_id, run_id, event.attempt)

    return note
