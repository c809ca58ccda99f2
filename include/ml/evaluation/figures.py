"""What is evaluated and what comes out: plain data, without anything that scores."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

from ml.sample.config import Setting
from ml.settings import Settings

TUNED_SEEDS = (1, 2, 31)
TUNED_SETTINGS = (Setting.DEFAULT, Setting.NOISY, Setting.SPORADIC, Setting.SHIFTED, Setting.CLEAN)
"""What rulesets and features were tuned on, as RULESET_v2.json says; figures of these sets prove nothing."""

OURS, RULES_V1, AMOUNT, RANDOM, BEST = "ours", "rules v1", "amount", "random", "best possible"
V1_SUM, V1_MEAN = "rules v1, sum", "rules v1, mean"
BASELINE = "RULESET_v1"

P50, P1000, AP, RECALL, OVERLAP = "P@50", "P@1000", "AP", "recall", "overlap"
AUC, P_BAD = "AUC", "P@bad"
RECALL_OF = "recall of "
"""Followed by a fraud type."""


@dataclass(frozen=True)
class Plan:
    """What to evaluate: every setting with every seed.

    Attributes:
        settings: of the generator.
        seeds: of the generator.
        claims: of each set.
        ruleset: version of the ruleset that is "ours".
        models: how many models are trained on each set, by seed alone different; of one there is no overlap.
    """

    settings: tuple[Setting, ...] = (Setting.CLEAN, Setting.NOISY, Setting.SPORADIC, Setting.SHIFTED)
    seeds: tuple[int, ...] = (11, 12, 13, 14, 15)
    claims: int = 100_000
    ruleset: str = str(Settings.model_fields["ruleset_version"].default)
    models: int = 3


@dataclass(frozen=True)
class SetFacts:
    """What a set holds."""

    setting: Setting
    seed: int
    claims: int
    frauds: int
    providers: int
    bad_providers: int


@dataclass(frozen=True)
class Figure:
    """One number: how a scorer did on one set; NaN where the set has nothing to find.

    `level` is `claims` (measures P@50, P@1000, AP, recall, recall of <type>, overlap) or `providers` (AUC, P@50,
    P@bad).
    """

    setting: Setting
    seed: int
    level: str
    scorer: str
    measure: str
    value: float


@dataclass(frozen=True)
class Evaluation:
    """All sets and figures of a plan, in its order."""

    plan: Plan
    sets: tuple[SetFacts, ...]
    figures: tuple[Figure, ...]

    def by_set(self, level: str, scorer: str, measure: str) -> dict[tuple[Setting, int], float]:
        """Return the figures of one kind that exist, by setting and seed, in the plan's order."""
        return {
            (figure.setting, figure.seed): figure.value
            for figure in self.figures
            if (figure.level, figure.scorer, figure.measure) == (level, scorer, measure) and not isnan(figure.value)
        }

    def values(self, level: str, scorer: str, measure: str, setting: Setting | None = None) -> list[float]:
        """Return the figures of one kind that exist, in the plan's order; of all settings when none is given."""
        found = self.by_set(level, scorer, measure)
        return [value for (of, _seed), value in found.items() if setting in (None, of)]
