"""`make run` with a model that the gate refuses: the night goes on with the one it has, if it has one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console

from ml.promotion import life
from ml.settings import Settings
from ops.local_airflow.drive import SCORING_DAG, TRAINING_DAG, RunFailedError, run_night


@dataclass
class Client:
    """Says of every DAG that it has no run yet, and keeps which were triggered."""

    triggered: list[str] = field(default_factory=list)

    def dag(self, _dag_id: str) -> dict[str, Any]:
        return {"is_paused": False}

    def run_of(self, *_: object) -> None:
        return None

    def trigger(self, dag_id: str, *_: object) -> str:
        self.triggered.append(dag_id)
        return dag_id


@dataclass
class RefusingProgress:
    """The training run fails, others succeed."""

    console: Console

    def follow(self, dag_id: str) -> None:
        if dag_id == TRAINING_DAG:
            raise RunFailedError("train_risk_model failed")


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> tuple[Client, Console]:
    monkeypatch.setattr(life, "why_train", lambda _: "the raw files are others")
    return Client(), Console(width=200)


def test_a_refused_model_leaves_scoring_to_the_default(
    night: tuple[Client, Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, console = night
    monkeypatch.setattr(life, "usable_default", lambda _: "risk-before")
    with console.capture() as said:
        run_night(client, RefusingProgress(console), Settings(_env_file=None), own_stack=False)  # type: ignore[arg-type]
    assert client.triggered[-2:] == [TRAINING_DAG, SCORING_DAG]
    assert "No new model; scoring goes on with risk-before." in said.get()


def test_without_any_model_the_refusal_ends_the_run(
    night: tuple[Client, Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, console = night
    monkeypatch.setattr(life, "usable_default", lambda _: None)
    with pytest.raises(RunFailedError):
        run_night(client, RefusingProgress(console), Settings(_env_file=None), own_stack=False)  # type: ignore[arg-type]
    assert SCORING_DAG not in client.triggered
