"""What the gate measured and what follows from it: plain data, and the rules by which a candidate is refused."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, computed_field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Quality(_Frozen):
    """How well one ranking finds the fraud of a labelled set; all from 0 to 1."""

    average_precision: float
    precision_at_50: float
    precision_in_top_1_percent: float


MEASURES = tuple(Quality.model_fields)
NAMES = {
    "average_precision": "average precision",
    "precision_at_50": "precision@50",
    "precision_in_top_1_percent": "precision in the top 1%",
}


class SetFigures(_Frozen):
    """One labelled set. `amount` sorts by amount_claimed; chance finds `fraud_share` whatever the measure."""

    name: str
    claims: int
    fraud_share: float
    candidate: Quality
    current: Quality | None
    amount: Quality


class Measure(_Frozen):
    """The mean of one measure over the sets, and by how much a candidate may be worse than the current model."""

    name: str
    candidate: float
    current: float | None
    amount: float
    chance: float
    tolerance: float


class Scale(_Frozen):
    """How far a typology's scale is off, in decades of rarity: +1 calls one claim in 100 one in 1,000.

    `candidate`, `current`: median over the sets' claims that are rarer than one in 100 in truth. `reaches`: the largest
    surprise the training claims had; 0 when they had no evidence or all the same.
    """

    channel: str
    candidate: float
    current: float | None
    reaches: float


class Newest(_Frozen):
    """What the candidate would change on the newest claims of the instance, which have no labels.

    Attributes:
        overlap: K -> share of the K riskiest claims that both models list.
        score_shift: Jensen-Shannon distance of the two distributions of risk_score, 0 (same) to 1 (nothing in common).
        above_half_before, above_half_after: share of claims with a risk_score above 0.5.
    """

    data_date: date
    claims: int
    overlap: dict[int, float]
    score_shift: float
    above_half_before: float
    above_half_after: float


class GateReport(_Frozen):
    """The gate's word on a candidate.

    Attributes:
        against: the default it was compared with; None for the first model.
        conditions: hash of ruleset and code that the figures hold for.
        refusals: why it must not become the default; empty when it passed.
        notes: what a person should know besides.
    """

    version: str
    against: str | None
    ruleset: str
    judged_at: AwareDatetime
    conditions: str
    sets: tuple[SetFigures, ...]
    measures: tuple[Measure, ...]
    scales: tuple[Scale, ...]
    newest: Newest | None
    refusals: tuple[str, ...]
    notes: tuple[str, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether it may become the default."""
        return not self.refusals

    @property
    def summary(self) -> dict[str, Any]:
        """What the log keeps of it."""
        newest = self.newest.model_dump(mode="json") if self.newest else None
        return {
            "ruleset": self.ruleset,
            "sets": [each.name for each in self.sets],
            "candidate": {each.name: round(each.candidate, 4) for each in self.measures},
            "current": {each.name: round(each.current, 4) for each in self.measures if each.current is not None},
            "amount": {each.name: round(each.amount, 4) for each in self.measures},
            "scales": {each.channel: round(each.candidate, 3) for each in self.scales},
            "newest": newest,
        }


SCALE_TOLERANCE = 0.5
"""Decades by which a typology's scale may be further off than the current model's: a factor of three in rarity.

Scales of 50,000 other claims of the same kind are off by 0.3 to 0.4 at most, and all alike; the worst one learned from
zeros, constants, noise or another typology's column by 1.1 to 2.1, from a definition in another unit (twice as large)
by 1.6 (docs/models.md, by benchmarks/bench_gate.py).
"""
BLANK = 0.1
"""A scale that reaches less says nothing: every claim with evidence is as common as any."""


def blank_scales(scales: tuple[Scale, ...]) -> list[str]:
    """Return the channels of which the training claims had no evidence, or all the same."""
    return [each.channel for each in scales if each.reaches < BLANK]


def refusals_of(
    measures: tuple[Measure, ...],
    scales: tuple[Scale, ...],
    changed: list[str],
    *,
    beats_amount: bool,
    first_of_few: bool = False,
) -> tuple[str, ...]:
    """Return why a candidate must not become the default; empty when it may.

    Args:
        measures: of the labelled sets.
        scales: of the ruleset's typologies.
        changed: definitions of features that have changed since its training.
        beats_amount: whether it must find more than sorting by amount does; else more than chance.
        first_of_few: whether it is the first model of an instance with few claims: that they lack evidence of some
            kinds is no wonder, and without a model nobody gets scores.
    """
    found = []
    if changed:
        found.append(
            f"its features were defined otherwise when it was trained ({', '.join(changed)}): train one anew with "
            "python -m ml.pipelines.train_model"
        )
    for each in measures:
        name = NAMES[each.name]
        floor, what = (each.amount, "sorting by amount") if beats_amount else (each.chance, "chance")
        if each.candidate <= floor:
            found.append(f"{name} {each.candidate:.3f} is not above the {floor:.3f} of {what}")
        if each.current is not None and each.candidate < each.current - each.tolerance:
            found.append(
                f"{name} {each.candidate:.3f} is worse than the current model's {each.current:.3f} by more than the "
                f"{each.tolerance:.3f} that chance explains"
            )
    blank = blank_scales(scales)
    if not first_of_few and scales and len(blank) > len(scales) / 2:
        found.append(f"its training claims gave no scale for {', '.join(blank)}: they had no evidence, or all the same")
    off = [
        f"{each.channel} {each.candidate:+.2f} ({each.current:+.2f})"
        for each in scales
        if each.current is not None and abs(each.candidate) > abs(each.current) + SCALE_TOLERANCE
    ]
    if off:
        found.append(
            f"its scales are off by more decades of rarity than the current model's: {', '.join(off)}; it was trained "
            "on claims of another kind, or on too few"
        )
    return tuple(found)
