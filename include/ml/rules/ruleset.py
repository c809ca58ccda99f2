"""Reads a ruleset: `include/ml/rules/<version>.json` with its flags' SQL in `include/sql/scoring/<version>/`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml.files import sha256_of

RULES = Path(__file__).parent


class RulesetError(ValueError):
    """A ruleset is missing or malformed; the message names file and field."""


class Flag(BaseModel):
    """A rule that holds for a claim or does not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    weight: float = Field(ge=0, le=1)
    meaning: str
    source: str


class Ruleset(BaseModel):
    """Flags, weights and thresholds of one version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    source: str
    combination: str
    thresholds: dict[str, float]
    flags: list[Flag] = Field(min_length=1)
    sha256: str = ""


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
        raise RulesetError(f"{path.name}: {field}: {first['msg']}") from None
    if ruleset.version != version:
        raise RulesetError(f"{path.name}: version says {ruleset.version!r}; it must be the file's name.")
    return ruleset.model_copy(update={"sha256": sha256_of(path)})
