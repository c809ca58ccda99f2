"""The shapes of the catalogue's rows, and the small notation its tables are written in."""

from __future__ import annotations

from dataclasses import dataclass, field


def weights(text: str) -> dict[str, float]:
    """Read `"A09.9:6 K52.9"` as `{"A09.9": 6.0, "K52.9": 1.0}`: names with weights, 1 where none is written."""
    pairs = (item.partition(":") for item in text.split())
    return {name: float(weight or 1) for name, _, weight in pairs}


@dataclass(frozen=True)
class Diagnosis:
    """An ICD-10 code; `cc` is the severity it adds to a stay as a comorbidity: 0 none, 1 to II, 2 to III."""

    code: str
    label: str
    cc: int = 0

    @property
    def group(self) -> str:
        """The three-character category."""
        return self.code[:3]

    @property
    def group_number(self) -> int:
        """The category's number, A00 = 0, B00 = 100, ... Z99 = 2599."""
        return (ord(self.code[0]) - ord("A")) * 100 + int(self.code[1:3])


@dataclass(frozen=True)
class Group:
    """An INA-CBG without its severity part, e.g. `A-4-14`.

    `tariffs` are rupiah for a government class C hospital in region 1, ward class 3: one value for an outpatient
    group, three (severity I, II, III) for an inpatient one.
    """

    stem: str
    label: str
    tariffs: tuple[int, ...]

    @property
    def outpatient(self) -> bool:
        """Whether the group is RJTL."""
        return len(self.tariffs) == 1


@dataclass(frozen=True)
class Case:
    """A clinical picture: who has it, how it is grouped, what is done, and how often it comes back.

    `weight` is its share of the claims of its service level, in arbitrary units. A patient has a course of
    `visits` visits on average, `gap` days apart, give or take `jitter`. `los` is the median stay in days at
    severity I, `spread` the sigma of its logarithm.
    """

    name: str
    stem: str
    weight: float
    diagnoses: str
    kinds: str
    line: str = "general"
    procedures: str = ""
    pool: str = "common"
    poly: int = 1
    los: float = 0.0
    spread: float = 0.42
    visits: float = 1.0
    most_visits: int = 24
    gap: float = 7.0
    jitter: float = 2.0
    season: str = "flat"
    topups: dict[str, float] = field(default_factory=dict)
    after_stay: bool = False  # a control visit that follows an inpatient stay of the same patient

    @property
    def outpatient(self) -> bool:
        """Whether the case is RJTL."""
        return self.los == 0


@dataclass(frozen=True)
class Topup:
    """A special CMG: the slot (0 sub-acute, 1 procedure, 2 prosthesis, 3 investigation, 4 drug) and its tariff."""

    slot: int
    code: str
    label: str
    tariff: int
