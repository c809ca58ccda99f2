"""Who is started again, who is ended first, and who is left alone; with small programs in place of Airflow's."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops.local_airflow import LocalAirflow, StackError
from ops.local_airflow.heal import Healer
from ops.local_airflow.processes import MARK, Component, marked_processes, session_of, spawn

# A scheduler with a worker and its task, deaf to SIGTERM, the task in a process group of its own.
FAMILY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if not os.fork() and not os.fork():
    os.setpgid(0, 0)
time.sleep(600)
"""
WELL = {"metadatabase": "healthy", "scheduler": "healthy", "triggerer": "healthy", "dag_processor": "healthy"}


@dataclass
class Patient:
    """A stack of two programs that sleep, what the API says of them, and what the healer says."""

    airflow: LocalAirflow
    health: dict[str, str]
    said: list[str] = field(default_factory=list)

    def healer(self, **seconds: float) -> Healer:
        return Healer(self.airflow, self.said.append, **({"silent_seconds": 0.3, "steady_seconds": 0} | seconds))

    def component(self, name: str) -> Component:
        return next(part for part in self.airflow.components if part.name == name)

    def kill(self, name: str) -> None:
        self.component(name).process.kill()
        self.component(name).process.wait()

    def pids(self) -> dict[str, int]:
        return {part.name: part.process.pid for part in self.airflow.components}


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    airflow = LocalAirflow(tmp_path / "run", tmp_path / "instance")

    def asleep(name: str, _: list[str]) -> Component:
        return spawn(name, ["sleep", "60"], {}, tmp_path)

    monkeypatch.setattr(airflow, "_spawn", asleep)
    found = Patient(airflow, dict(WELL))
    client: Any = type("Client", (), {"health": lambda _: found.health})()
    airflow._client = client
    airflow._components = [asleep("dag-processor", []), asleep("triggerer", [])]
    yield found
    for part in airflow.components:
        part.process.kill()
        part.process.wait()


def look_until(healer: Healer, done: Callable[[], object], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        healer.look()
        time.sleep(0.02)
    return bool(done())


def test_what_has_ended_is_started_again(patient: Patient) -> None:
    before = patient.pids()
    patient.kill("triggerer")
    patient.healer().look()
    assert patient.component("triggerer").process.poll() is None
    assert patient.pids()["dag-processor"] == before["dag-processor"]
    assert patient.said == ["Airflow's triggerer ended by itself; starting it again"]


def test_what_ends_right_after_its_start_is_for_a_person(patient: Patient) -> None:
    patient.kill("dag-processor")
    with pytest.raises(StackError, match=r"dag-processor ended by itself \(exit code -9\)"):
        patient.healer(steady_seconds=60).look()


def test_what_ends_for_want_of_the_store_is_started_again_however_young(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [True]
    monkeypatch.setattr(patient.airflow, "revive_store", lambda: bool(away) and away.pop())
    patient.kill("triggerer")
    healer = patient.healer(steady_seconds=60)
    healer.look()
    assert patient.said == [
        "PostgreSQL had ended; it runs again",
        "Airflow's triggerer ended by itself; starting it again",
    ]
    patient.kill("triggerer")
    with pytest.raises(StackError, match="triggerer"):
        healer.look()


def test_what_is_silent_for_long_is_ended_and_started_again(patient: Patient) -> None:
    healer, before = patient.healer(), patient.component("triggerer")
    healer.look()
    patient.health["triggerer"] = "unhealthy"
    begun = time.monotonic()
    assert look_until(healer, lambda: patient.said)
    assert time.monotonic() - begun >= 0.3
    assert before.process.returncode == -9
    assert patient.said == ["Airflow's triggerer was silent; starting it again"]


@pytest.mark.parametrize("silent", [False, True])
def test_what_it_has_started_goes_with_it(patient: Patient, tmp_path: Path, silent: bool) -> None:
    """Whether it has ended or is silent; a task that works for another one goes on, and so do other programs."""
    run_dir, command = patient.airflow.run_dir, [sys.executable, "-c", FAMILY]
    family, other = (
        spawn(name, command, {**os.environ, MARK: str(run_dir)}, tmp_path) for name in ("scheduler", "other")
    )
    patient.airflow._components.append(family)
    try:
        deadline = time.monotonic() + 20
        while any(len(session_of(run_dir, part)) < 3 for part in (family, other)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        healer = patient.healer()
        healer.look()
        if silent:
            patient.health["scheduler"] = "unhealthy"
        else:
            family.process.kill()
        assert look_until(healer, lambda: patient.said)
        assert family.process.returncode == -9
        assert session_of(run_dir, family) == []
        assert len(session_of(run_dir, other)) == 3
        assert patient.component("scheduler").process.poll() is None
    finally:
        for process in marked_processes(run_dir):
            process.kill()
        other.process.wait()


@pytest.mark.parametrize("health", [{}, WELL | {"metadatabase": "unhealthy", "triggerer": "unhealthy"}])
def test_nobody_is_ended_while_nobody_can_be_seen(patient: Patient, health: dict[str, str]) -> None:
    healer, before = patient.healer(), patient.pids()
    patient.health = health
    assert not look_until(healer, lambda: patient.said, seconds=1)
    patient.health = WELL | {"triggerer": "unhealthy"}
    healer.look()
    assert patient.pids() == before, "patience begins when it can be seen"


def test_a_new_one_has_as_much_time_as_the_one_before(patient: Patient) -> None:
    healer = patient.healer(silent_seconds=1)
    healer.look()
    patient.health["triggerer"] = "unhealthy"
    assert look_until(healer, lambda: patient.said)
    begun = time.monotonic()
    assert look_until(healer, lambda: len(patient.said) > 1)
    assert time.monotonic() - begun > 0.9
