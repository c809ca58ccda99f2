"""Reads a ruleset: `include/ml/rules/<version>.json`, with its statements in `include/sql/scoring/<version>/`.

A ruleset either raises flags (RULESET_v1) or combines channels (RULESET_v2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ml.files import sha256_of
from ml.sql import SQL_ROOT

RULES = Path(__file__).parent

COMBINATION_THRESHOLDS = frozenset(
    {
        "lead_full_to", "lead_beyond", "other_from", "other_span", "other_share", "context_from", "context_span",
        "money_from", "money_span", "money_share", "half_at", "flag_from", "flag_alone_from", "reason_from",
        "reasons_from_risk",
    }
)  # fmt: skip
"""What a ruleset with channels must say about their combination; its `combination` tells what each is."""

FLAGS = ("short_stay_high_cost", "severity_mismatch", "duplicate_pattern", "high_cost_full_paid")
FLAG_THRESHOLDS = frozenset(
    {"short_stay_max_los", "duplicate_max_days", "full_paid_min_ratio", "high_cost_min_zscore"}
)  # fmt: skip
"""What a ruleset with flags must say: exactly these are what its statements know."""

ANOMALY = "anomaly"
"""The channel of the Isolation Forest; all others have a column of evidence in claims_normalized."""
EVIDENCE = "evidence_"
"""What those columns begin with."""
CHANNELS = (
    "upcoding", "inflated_bill", "short_stay", "topup", "repeat", "fragmentation", "overlap", "clone",
    "single_visit", "provider", ANOMALY,
)  # fmt: skip
"""Every channel a ruleset may have: the fields of the column `channels`, in their order."""


class RulesetError(ValueError):
    """A ruleset is missing or malformed; the message names file and field."""


class Flag(BaseModel):
    """A rule that holds for a claim or does not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    weight: float = Field(ge=0, le=1)
    meaning: str
    source: str


class Channel(BaseModel):
    """A typology of fraud, or a context that makes one more likely; read from the column `evidence_<code>`.

    Typologies of one `fact` read the same of a claim: it counts once, as the one of them says that says most.
    With `rank_alone_to` the evidence is minus the natural logarithm of a probability among the claim's peers (with its
    provider's habit; a severity's weighed by its stay, a high bill's with how far above it is, a clone's a deviance),
    and beyond that the surprise is no more than this probability's; a flag asks for a `flag_alone_from` of that, too.
    At 0 the evidence's own size bounds the surprise everywhere, as the provider's does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    role: Literal["typology", "context"]
    weight: float = Field(ge=0, le=10)
    fact: str = ""
    rank_alone_to: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    meaning: str
    source: str


class Ruleset(BaseModel):
    """Flags or channels, and thresholds, of one version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    source: str
    combination: str
    thresholds: dict[str, float]
    flags: list[Flag] = []
    channels: list[Channel] = []
    sha256: str = ""

    @property
    def raises(self) -> list[str]:
        """The flags a claim can have by it."""
        return [flag.code for flag in self.flags] or [
            channel.code for channel in self.channels if channel.role == "typology"
        ]

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Ruleset:
        if bool(self.flags) == bool(self.channels):
            raise ValueError("there must be flags or channels, and not both")
        known = FLAG_THRESHOLDS if self.flags else COMBINATION_THRESHOLDS
        if wrong := known ^ set(self.thresholds):
            raise ValueError(f"thresholds: missing or unknown: {', '.join(sorted(wrong))}")
        return self

    @model_validator(mode="after")
    def _has_each_flag_once(self) -> Ruleset:
        if self.flags and sorted(flag.code for flag in self.flags) != sorted(FLAGS):
            raise ValueError(f"flags: each of {', '.join(FLAGS)} exactly once, nothing else")
        return self

    @model_validator(mode="after")
    def _can_be_combined(self) -> Ruleset:
        if not self.channels:
            return self
        codes = [channel.code for channel in self.channels]
        if len(set(codes)) < len(codes) or not set(codes) <= set(CHANNELS):
            raise ValueError(f"channels: each of {', '.join(CHANNELS)} at most once, nothing else")
        if all(channel.role == "context" for channel in self.channels):
            raise ValueError("channels: there is no typology, and contexts only support one")
        negative = sorted(name for name, value in self.thresholds.items() if not 0 <= value < float("inf"))
        if negative:
            raise ValueError(f"thresholds: below 0: {', '.join(negative)}")
        if nothing := [name for name in ("half_at", "money_from") if self.thresholds[name] == 0]:
            raise ValueError(f"thresholds: must be above 0: {', '.join(nothing)}")
        if self.thresholds["other_share"] > 1:
            raise ValueError("thresholds: other_share is above 1, so more evidence could lower the score")
        return self


def load_ruleset(version: str) -> Ruleset:
    """Return a ruleset by its version.

    Raises:
        RulesetError: no such file, or a wrong field in it.
    """
    path = RULES / f"{version}.json"
    known = ", ".join(sorted(item.stem for item in RULES.glob("*.json")))
    if Path(version).name != version or not path.is_file():
        raise RulesetError(f"RULESET_VERSION={version}: there is no such ruleset. Known: {known}.")
    try:
        ruleset = Ruleset.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RulesetError(f"{path.name}: {field or 'ruleset'}: {first['msg']}") from None
    if ruleset.version != version:
        raise RulesetError(f"{path.name}: version says {ruleset.version!r}; it must be the file's name.")
    statements = ["10_raised_flags"] if ruleset.flags else [channel.code for channel in ruleset.channels]
    for statement in statements:
        if not (SQL_ROOT / "scoring" / version / f"{statement}.sql").is_file():
            raise RulesetError(f"{path.name}: there is no include/sql/scoring/{version}/{statement}.sql for it.")
    return ruleset.model_copy(update={"sha256": sha256_of(path)})
