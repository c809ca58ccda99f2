"""The default and the log: what was promoted, by whom and why, and the way back; whatever dies in between."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from ml.model.artefact import DefaultModel, ModelError, RiskModel, make_default, save_model
from ml.promotion import registry as registry_module
from ml.promotion.log import Entry, Event, ModelLog, defaults_so_far
from ml.promotion.registry import DemotedError, NotJudgedError, PromotionError, Registry
from ml.promotion.report import GateReport
from ml.rules import load_ruleset

CONDITIONS = "these"


def report(version: str, against: str | None, *, passed: bool = True, conditions: str = CONDITIONS) -> GateReport:
    return GateReport(
        version=version, against=against, ruleset="RULESET_v2", judged_at=datetime.now(UTC), conditions=conditions,
        sets=(), measures=(), scales=(), newest=None, refusals=() if passed else ("it is bad",), notes=(),
    )  # fmt: skip


@pytest.fixture
def models(good: RiskModel, tmp_path: Path) -> list[str]:
    """Three versions on disk."""
    return [save_model(replace(good, training=good.training | {"seed": seed}), tmp_path) for seed in range(3)]


@pytest.fixture
def registry(tmp_path: Path, models: list[str]) -> Registry:
    return Registry(tmp_path, lock_timeout=0.2)


def promote(registry: Registry, version: str) -> Entry:
    """Judge (it passes) and promote."""
    registry.record_gate(report(version, registry.default_version), "tester")
    return registry.promote(version, conditions=CONDITIONS, who="tester", reason="a test")


def without_clone(model: RiskModel) -> RiskModel:
    """A model of before the channel `clone` was added."""
    kept = {code: scale for code, scale in model.calibration.evidence.items() if code != "clone"}
    return replace(model, calibration=replace(model.calibration, evidence=kept))


def test_no_way_back_to_a_model_that_cannot_score_by_the_ruleset(
    registry: Registry, models: list[str], good: RiskModel, tmp_path: Path
) -> None:
    earlier = save_model(without_clone(good), tmp_path)
    promote(registry, earlier)
    promote(registry, models[0])
    with pytest.raises(ModelError, match="has no scale for clone of RULESET_v2"):
        registry.demote(who="x", reason="y", ruleset=load_ruleset("RULESET_v2"))
    assert registry.default_version == models[0]
    assert registry.demote(who="x", reason="y", ruleset=load_ruleset("RULESET_v1")).version == earlier


def events(registry: Registry) -> list[tuple[str, str, str | None]]:
    return [(entry.event.value, entry.version, entry.previous) for entry in registry.log.read()]


def test_promotions_and_demotions_stand_in_the_log_with_who_and_why(registry: Registry, models: list[str]) -> None:
    first, second, _ = models
    registry.record_trained(first, "raw/fkrtl.csv", "run-1")
    promote(registry, first)
    promote(registry, second)
    assert registry.demote(who="on-call", reason="too many false alarms").version == first
    assert events(registry) == [
        ("trained", first, None),
        ("gate passed", first, None),
        ("promoted", first, None),
        ("gate passed", second, first),
        ("promoted", second, first),
        ("demoted", first, second),
    ]
    last = registry.log.read()[-1]
    assert (last.who, last.reason) == ("on-call", "too many false alarms")
    assert last.at.utcoffset() == UTC.utcoffset(None)
    assert registry.default == DefaultModel(first, last.at.isoformat(timespec="seconds"), "raw/fkrtl.csv")


def test_two_demotions_go_back_two_promotions_and_then_there_is_nothing(registry: Registry, models: list[str]) -> None:
    for version in (*models, models[0]):
        promote(registry, version)
    gone_back_to = [registry.demote(who="x", reason="y").version for _ in range(3)]
    assert gone_back_to == [models[2], models[1], models[0]]
    with pytest.raises(PromotionError, match="No earlier default is in the log"):
        registry.demote(who="x", reason="y")
    assert registry.default_version == models[0]


@pytest.mark.parametrize(
    ("against_default", "passed", "conditions"),
    [(False, True, CONDITIONS), (True, False, CONDITIONS), (True, True, "others")],
)
def test_only_a_pass_against_the_present_default_under_present_conditions_promotes(
    registry: Registry, models: list[str], against_default: bool, passed: bool, conditions: str
) -> None:
    first, second, third = models
    promote(registry, first)
    against = first if against_default else third
    registry.record_gate(report(second, against, passed=passed, conditions=conditions), "x")
    with pytest.raises(NotJudgedError, match=f"has not passed the gate against the present default \\({first}\\)"):
        registry.promote(second, conditions=CONDITIONS, who="x")
    assert registry.default_version == first
    done = registry.promote(second, conditions=CONDITIONS, who="x", reason="the auditors ask for it", force=True)
    assert done.forced
    assert registry.default_version == second


def test_the_gates_last_word_counts(registry: Registry, models: list[str]) -> None:
    registry.record_gate(report(models[0], None), "x")
    registry.record_gate(report(models[0], None, passed=False), "x")
    with pytest.raises(NotJudgedError):
        registry.promote(models[0], conditions=CONDITIONS, who="x")


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_force_and_demotion_need_a_reason(registry: Registry, models: list[str], reason: str | None) -> None:
    promote(registry, models[0])
    promote(registry, models[1])
    with pytest.raises(PromotionError, match="needs a --reason"):
        registry.promote(models[2], conditions=CONDITIONS, who="x", reason=reason, force=True)
    with pytest.raises(PromotionError, match="needs a --reason"):
        registry.demote(who="x", reason=reason or "")
    assert registry.default_version == models[1]


def test_what_was_demoted_does_not_come_back_by_itself(registry: Registry, models: list[str]) -> None:
    first, second, _ = models
    promote(registry, first)
    promote(registry, second)
    registry.demote(who="Ani", reason="too many false alarms")
    with pytest.raises(DemotedError, match=f"{second} was demoted by Ani on .* because: too many false alarms"):
        promote(registry, second)
    registry.promote(second, conditions=CONDITIONS, who="Ani", reason="it was the claims", force=True)
    assert registry.default_version == second


def test_neither_goes_to_a_model_that_does_not_load(registry: Registry, models: list[str]) -> None:
    promote(registry, models[0])
    promote(registry, models[1])
    for version in (models[0], models[2]):
        path = registry.models / version / "anomaly.npz"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="altered"):
        registry.demote(who="x", reason="y")
    with pytest.raises(ModelError, match="altered"):
        registry.promote(models[2], conditions=CONDITIONS, who="x", reason="y", force=True)
    assert registry.default_version == models[1]
    assert events(registry)[-1] == ("promoted", models[1], models[0])


def test_the_default_is_not_promoted_twice(registry: Registry, models: list[str]) -> None:
    promote(registry, models[0])
    with pytest.raises(PromotionError, match="is the default already"):
        registry.promote(models[0], conditions=CONDITIONS, who="x", reason="y", force=True)


def test_a_crash_between_log_and_switch_is_told_by_the_next_writer(
    registry: Registry, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = models
    promote(registry, first)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry_module, "make_default", die)
        with pytest.raises(KeyboardInterrupt):
            promote(registry, second)
    assert registry.default_version == first, "the pointer decides"
    promote(registry, third)
    assert ("found", first, second) in events(registry)
    assert registry.demote(who="x", reason="y").version == first, "the one that never was the default is passed over"


def test_a_default_set_by_hand_is_found_and_can_be_left(registry: Registry, models: list[str]) -> None:
    make_default(registry.models, DefaultModel(models[0], "2026-01-01T00:00:00+00:00", "raw/a.csv"))
    promote(registry, models[1])
    assert events(registry)[0] == ("found", models[0], None)
    assert registry.demote(who="x", reason="y").version == models[0]
    assert registry.default is not None
    assert registry.default.trained_on == "raw/a.csv"


def test_training_the_default_again_from_another_file_is_kept(registry: Registry, models: list[str]) -> None:
    registry.record_trained(models[0], "raw/a.csv", "x")
    promote(registry, models[0])
    registry.record_trained(models[0], "raw/b.csv", "x")
    assert registry.default is not None
    assert registry.default.trained_on == "raw/b.csv"


def test_an_unreadable_default_is_healed_by_a_promotion(registry: Registry, models: list[str]) -> None:
    (registry.models / "default.json").write_text("{")
    promote(registry, models[0])
    assert registry.default_version == models[0]


def test_an_unreadable_default_is_still_known_from_the_log(registry: Registry, models: list[str]) -> None:
    promote(registry, models[0])
    promote(registry, models[1])
    (registry.models / "default.json").write_text("{")
    assert registry.default_version == models[1], "a candidate is compared with it"
    with pytest.raises(NotJudgedError, match=f"against the present default .{models[1]}."):
        registry.promote(models[2], conditions="x", who="x")
    registry.promote(models[1], conditions="x", who="x")
    assert registry.default is not None
    assert registry.default.version == models[1], "the same again heals the file"
    (registry.models / "default.json").write_text("{")
    assert registry.demote(who="x", reason="y").version == models[0]


def test_a_lock_that_is_held_is_named(registry: Registry, models: list[str]) -> None:
    with FileLock(registry.models / ".lock"), pytest.raises(PromotionError, match="was held by another process"):
        registry.record_trained(models[0], "raw/a.csv", "x")


def test_many_writers_lose_no_line(registry: Registry, models: list[str]) -> None:
    patient = Registry(registry.models, lock_timeout=30)
    writers = [
        threading.Thread(target=patient.record_trained, args=(models[0], "raw/a.csv", f"w{n}")) for n in range(12)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {entry.who for entry in registry.log.read()} == {f"w{n}" for n in range(12)}


# --- the log's file


def test_a_torn_last_line_does_not_count_and_is_overwritten(tmp_path: Path) -> None:
    log = ModelLog(tmp_path / "log.jsonl")
    log.append(Entry(event=Event.TRAINED, version="a", who="x"))
    with log.path.open("ab") as stream:
        stream.write(b'{"event": "promoted", "version": "b"')
    assert [entry.version for entry in log.read()] == ["a"]
    log.append(Entry(event=Event.TRAINED, version="c", who="x"))
    assert [entry.version for entry in log.read()] == ["a", "c"]
    assert [json.loads(line)["version"] for line in log.path.read_text().splitlines()] == ["a", "c"]


def test_a_damaged_line_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = ModelLog(tmp_path / "log.jsonl")
    log.append(Entry(event=Event.TRAINED, version="a", who="x"))
    log.path.write_bytes(b"rubbish\n" + log.path.read_bytes())
    with caplog.at_level(logging.WARNING):
        assert [entry.version for entry in log.read()] == ["a"]
    assert "line 1 is damaged" in caplog.text


def test_the_way_back() -> None:
    def entry(event: Event, version: str) -> Entry:
        return Entry(event=event, version=version, who="x")

    promoted, demoted, found = Event.PROMOTED, Event.DEMOTED, Event.FOUND
    assert defaults_so_far([]) == []
    assert defaults_so_far([entry(promoted, v) for v in "abca"]) == ["a", "b", "c", "a"]
    assert defaults_so_far([*(entry(promoted, v) for v in "abc"), entry(demoted, "b")]) == ["a", "b"]
    assert defaults_so_far([*(entry(promoted, v) for v in "abc"), entry(found, "a")]) == ["a"]
    assert defaults_so_far([entry(promoted, "a"), entry(demoted, "z")]) == ["a", "z"]
