"""The gate lets good models pass and refuses those from which no good scores can come, also when they rank well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.claims.etl import ClaimsFile
from ml.model.artefact import RiskModel
from ml.model.calibration import Calibration
from ml.promotion import gate, life
from ml.promotion.gate import judge
from ml.promotion.newest import jensen_shannon
from ml.promotion.registry import Registry
from ml.promotion.report import Measure, Scale, refusals_of
from ml.rules import Ruleset, load_ruleset
from ml.settings import Settings
from tests.model.conftest import Train, with_evidence

Save = Callable[[RiskModel], str]
Change = Callable[[int, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def ruleset() -> Ruleset:
    return load_ruleset("RULESET_v2")


# --- models, good and bad


def test_a_model_of_the_same_claims_passes_and_what_it_changes_is_told(
    good: RiskModel, other_seed: RiskModel, instance: Settings, ruleset: Ruleset, generated: ClaimsFile
) -> None:
    report = judge(other_seed, good, instance, ruleset, newest=generated)
    assert report.passed, report.refusals
    assert (report.version, report.against) == (other_seed.version, good.version)
    assert [each.name for each in report.sets] == ["noisy-42", "sporadic-41"]
    newest = report.newest
    assert newest is not None
    assert newest.claims == generated.rows
    assert set(newest.overlap) == {50, 1000}
    assert all(0.7 < share <= 1 for share in newest.overlap.values())
    assert 0 <= newest.score_shift < 0.1
    assert newest.above_half_before == pytest.approx(newest.above_half_after, abs=0.01)


def test_the_first_model_is_held_to_sorting_by_amount(good: RiskModel, instance: Settings, ruleset: Ruleset) -> None:
    report = judge(good, None, instance, ruleset)
    assert report.passed, report.refusals
    assert (report.against, report.newest) == (None, None)
    assert [each.name for each in report.sets] == ["noisy-42"]
    assert all(measure.candidate > measure.amount > 0 for measure in report.measures)
    assert any("trained on 8,000 claims only" in note for note in report.notes)


def test_a_default_that_is_no_yardstick_is_compared_on_the_newest_claims_only(
    good: RiskModel,
    claims: pa.Table,
    trained_on: Train,
    instance: Settings,
    ruleset: Ruleset,
    generated: ClaimsFile,
) -> None:
    strange = trained_on(with_evidence(claims, lambda _, values: values * 5))
    report = judge(strange, good, instance, ruleset, newest=generated, is_yardstick=False)
    assert report.passed, report.refusals
    assert report.against == good.version
    assert all(measure.current is None for measure in report.measures)
    assert report.newest is not None
    report = judge(strange, good, instance, ruleset, newest=generated)
    assert not report.passed, "whatever its own claims are like: an incomplete export fits itself, too"
    assert all(measure.current is not None for measure in report.measures)


@pytest.mark.parametrize(
    ("default_of", "candidate_of", "compared"),
    [
        ("sample_fkrtl.csv", "2022_fkrtl.dta", False),
        ("sample_fkrtl.csv", "sample_fkrtl.parquet", True),
        pytest.param("sample_fkrtl.csv", None, True, marks=pytest.mark.slow),
        ("2022_fkrtl.dta", "2023_fkrtl.dta", True),
        pytest.param("2022_fkrtl.dta", "sample_fkrtl.csv", True, marks=pytest.mark.slow),
    ],
)
def test_only_a_default_of_generated_claims_is_no_yardstick_for_real_ones(
    good: RiskModel,
    other_seed: RiskModel,
    instance: Settings,
    save: Save,
    default_of: str,
    candidate_of: str | None,
    compared: bool,
) -> None:
    registry = Registry.of(instance)
    for model, source in ((good, default_of), (other_seed, candidate_of)):
        save(model)
        if source:
            registry.record_trained(model.version, f"/somewhere/{source}", "a test")
    life.promote_candidate(instance, good.version)
    report = life.judge_candidate(instance, other_seed.version)
    assert all((measure.current is not None) is compared for measure in report.measures)
    assert any("which was trained on generated claims" in note for note in report.notes) is not compared


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("no evidence", lambda _, values: values * 0),
        pytest.param("constant", lambda _, values: values * 0 + 1, marks=pytest.mark.slow),
        ("noise", lambda index, values: np.random.default_rng(index).exponential(1, len(values))),
        ("ten times as large", lambda _, values: values * 10),
        pytest.param("a tenth", lambda _, values: values / 10, marks=pytest.mark.slow),
    ],
)
def test_a_scale_learned_from_garbage_is_refused(
    good: RiskModel,
    claims: pa.Table,
    trained_on: Train,
    instance: Settings,
    ruleset: Ruleset,
    name: str,
    change: Change,
) -> None:
    report = judge(trained_on(with_evidence(claims, change)), good, instance, ruleset)
    assert any("scales are off" in refusal for refusal in report.refusals), (name, report.refusals)


@pytest.mark.parametrize("on", [1, 4, *(pytest.param(on, marks=pytest.mark.slow) for on in (2, 3, 5, 6, 7))])
def test_evidence_of_other_typologies_is_refused(
    good: RiskModel, claims: pa.Table, trained_on: Train, instance: Settings, ruleset: Ruleset, on: int
) -> None:
    names = [f"evidence_{channel.code}" for channel in ruleset.channels if channel.role == "typology"]
    shuffled = {old: names[(place + on) % len(names)] for place, old in enumerate(names)}
    renamed = claims.rename_columns([shuffled.get(name, name) for name in claims.column_names])
    assert not judge(trained_on(renamed), good, instance, ruleset).passed


def test_a_model_of_300_claims_is_refused_and_explained(
    good: RiskModel, claims: pa.Table, trained_on: Train, instance: Settings, ruleset: Ruleset
) -> None:
    few = trained_on(claims.take(np.random.default_rng(300).permutation(claims.num_rows)[:300]))
    report = judge(few, good, instance, ruleset)
    assert any("on claims of another kind, or on too few" in refusal for refusal in report.refusals), report.refusals
    assert "trained on 300 claims only: what is rarer than one in 300 is a guess" in report.notes


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_first_model_without_any_scale_is_refused(
    claims: pa.Table, trained_on: Train, instance: Settings, ruleset: Ruleset, value: float
) -> None:
    report = judge(trained_on(with_evidence(claims, lambda _, v: v * 0 + value)), None, instance, ruleset)
    assert any("gave no scale for upcoding, inflated_bill" in refusal for refusal in report.refusals), report.refusals


def test_the_first_model_of_few_claims_may_lack_scales(
    claims: pa.Table, trained_on: Train, instance: Settings, ruleset: Ruleset
) -> None:
    """A new instance with a small export: its auditors get scores, and the report says on what they rest."""
    few = trained_on(with_evidence(claims.slice(0, 200), lambda _, values: values * 0))
    report = judge(few, None, instance, ruleset)
    assert report.passed, report.refusals
    assert any("they gave no scale for upcoding, inflated_bill" in note for note in report.notes), report.notes


def test_a_model_that_ranks_the_wrong_way_round_is_refused(
    good: RiskModel, instance: Settings, ruleset: Ruleset
) -> None:
    knots = {channel: np.array([1e-9, 1e6]) for channel in good.calibration.evidence}
    flat = {channel: np.array([3.0, 3.0 + 1e-9]) for channel in good.calibration.evidence}
    report = judge(replace(good, calibration=Calibration(knots, flat)), good, instance, ruleset)
    assert any("average precision" in refusal and "is worse than" in refusal for refusal in report.refusals)


def test_other_definitions_of_the_features_are_refused(good: RiskModel, instance: Settings, ruleset: Ruleset) -> None:
    definitions = good.training["definitions"] | {"75_channels": "another", "99_gone": "x"}
    old = replace(good, training=good.training | {"definitions": definitions})
    refusals = judge(old, good, instance, ruleset).refusals
    assert len(refusals) == 1
    assert "defined otherwise when it was trained (75_channels, 99_gone): train one anew" in refusals[0]


def test_under_a_ruleset_of_flags_chance_is_the_floor(claims: pa.Table, trained_on: Train, instance: Settings) -> None:
    """Held to sorting by amount, a forest that takes dear claims for usual would be refused."""
    dear = pc.take(claims["amount_claimed"], pc.sort_indices(claims["amount_claimed"]).slice(claims.num_rows * 9 // 10))
    amounts = pa.chunked_array([pc.take(dear.combine_chunks(), np.arange(claims.num_rows) % len(dear))])
    place = claims.schema.get_field_index("amount_claimed")
    report = judge(
        trained_on(claims.set_column(place, "amount_claimed", amounts)), None, instance, load_ruleset("RULESET_v1")
    )
    assert report.passed, report.refusals
    assert report.scales == ()
    assert any(measure.chance < measure.candidate < measure.amount for measure in report.measures)


def test_the_sets_are_used_again(good: RiskModel, instance: Settings, ruleset: Ruleset) -> None:
    kept = instance.work / "gate" / "noisy-42" / "claims_normalized.parquet"
    made = kept.stat().st_mtime_ns
    judge(good, None, instance, ruleset)
    assert kept.stat().st_mtime_ns == made
    assert list(instance.work.glob("gate/scoring-*")) == []


def test_the_gates_word_holds_for_ruleset_and_code(ruleset: Ruleset, monkeypatch: pytest.MonkeyPatch) -> None:
    held = gate.conditions(ruleset)
    assert gate.conditions(ruleset) == held
    assert gate.conditions(ruleset.model_copy(update={"sha256": "other"})) != held
    monkeypatch.setattr(gate, "DECIDED_BY", gate.DECIDED_BY[1:])
    assert gate.conditions(ruleset) != held


# --- the rules


def measure(candidate: float, current: float | None, tolerance: float = 0.05) -> Measure:
    return Measure(
        name="average_precision", candidate=candidate, current=current, amount=0.06, chance=0.01, tolerance=tolerance
    )


def scale(candidate: float, current: float | None, reaches: float = 4.0, channel: str = "clone") -> Scale:
    return Scale(channel=channel, candidate=candidate, current=current, reaches=reaches)


@pytest.mark.parametrize(
    ("candidate", "current", "refused"),
    [(0.45, 0.5, False), (0.449, 0.5, True), (0.9, 0.5, False), (0.061, None, False), (0.06, None, True)],
)
def test_worse_by_more_than_the_tolerance_or_not_above_the_floor(
    candidate: float, current: float | None, refused: bool
) -> None:
    assert bool(refusals_of((measure(candidate, current),), (), [], beats_amount=True)) is refused


def test_the_floor_of_flags_is_chance() -> None:
    assert refusals_of((measure(0.04, None),), (), [], beats_amount=False) == ()
    assert refusals_of((measure(0.01, None),), (), [], beats_amount=False)


@pytest.mark.parametrize(
    ("candidate", "current", "refused"),
    [(0.7, 0.3, False), (-0.81, 0.3, True), (0.81, -0.3, True), (0.1, 1.2, False), (2.0, None, False)],
)
def test_a_scale_may_be_off_as_far_as_the_current_one_and_a_bit(
    candidate: float, current: float | None, refused: bool
) -> None:
    assert bool(refusals_of((), (scale(candidate, current),), [], beats_amount=True)) is refused


def test_one_typology_without_evidence_is_no_reason() -> None:
    scales = tuple(scale(0, None, reaches, channel) for reaches, channel in ((0, "topup"), (4, "clone"), (4, "repeat")))
    assert refusals_of((), scales, [], beats_amount=True) == ()


def test_the_distance_of_distributions() -> None:
    low, high = np.full(100, 0.1), np.full(50, 0.9)
    assert jensen_shannon(low, low) == 0
    assert jensen_shannon(low, high) == pytest.approx(1)
    assert 0 < jensen_shannon(low, np.concatenate([low, high])) < 1
