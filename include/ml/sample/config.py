"""What a sample is made of: size, seed, window, fraud, noise and season."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum

WINDOW_DAYS = 365


class Setting(StrEnum):
    """The generator's named settings; each is the method of `GeneratorConfig` of the same name."""

    DEFAULT = "default"
    CLEAN = "clean"
    NOISY = "noisy"
    SPORADIC = "sporadic"
    SHIFTED = "shifted"


@dataclass(frozen=True)
class FraudRates:
    """Share of all claims that carry each fraud pattern, 0..1; the field names are the labels."""

    upcoding: float = 0.0020
    phantom_billing: float = 0.0016
    repeat_billing: float = 0.0018
    cloned_claim: float = 0.0016
    inflated_bill: float = 0.0012
    fragmentation: float = 0.0010
    unnecessary_topup: float = 0.0008

    def as_dict(self) -> dict[str, float]:
        """The rates by label, in a fixed order."""
        return {name: float(rate) for name, rate in asdict(self).items()}

    @property
    def total(self) -> float:
        """Share of claims with any pattern."""
        return sum(self.as_dict().values())

    def scaled(self, factor: float) -> FraudRates:
        """The same mixture at another level; 0 makes a sample without fraud."""
        return FraudRates(**{name: rate * factor for name, rate in self.as_dict().items()})


FRAUD_TYPES: tuple[str, ...] = tuple(FraudRates().as_dict())
"""The labels, in the order of their numbers 1..7 inside the generator; 0 is honest."""


@dataclass(frozen=True)
class GeneratorConfig:
    """All that decides a sample: the same configuration gives the same bytes.

    `until` is the last discharge date of the 365-day window. `bad_provider_share` of the providers do one or two
    patterns systematically, and `bad_provider_fraud_share` of the fraud is theirs where they have enough
    claims for it; the rest is sporadic. `noise` is the share of honest claims with an administrative deviation
    (amount or length of stay). `seasonal_shift` moves the seasons by so many months; `epidemic` multiplies
    the seasonal infections. `providers` defaults to one for about 430 claims, between 3 and 2,900.

    Raises:
        ValueError: a value is outside its range; the message names the field.
    """

    claims: int
    seed: int = 0
    until: date = date(2022, 12, 31)
    fraud: FraudRates = field(default_factory=FraudRates)
    bad_provider_share: float = 0.03
    bad_provider_fraud_share: float = 0.75
    noise: float = 0.01
    seasonal_shift: float = 0.0
    epidemic: float = 1.0
    providers: int | None = None

    def __post_init__(self) -> None:
        if self.claims < 1:
            raise ValueError(f"claims is {self.claims}; it must be 1 or more")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be 0 or more")
        if self.providers is not None and not 1 <= self.providers <= 20_000:
            raise ValueError(f"providers is {self.providers}; it must be 1..20000")
        if not 0 <= self.epidemic <= 20:
            raise ValueError(f"epidemic is {self.epidemic}; it must be 0..20")
        if not -12 <= self.seasonal_shift <= 12:
            raise ValueError(f"seasonal_shift is {self.seasonal_shift} months; it must be -12..12")
        shares = {"bad_provider_share": 1.0, "bad_provider_fraud_share": 1.0, "noise": 0.5}
        for name, most in shares.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0..{most}")
        for name, rate in self.fraud.as_dict().items():
            if not 0 <= rate <= 0.1:
                raise ValueError(f"fraud.{name} is {rate}; it must be 0..0.1 of the claims")

    @property
    def first_day(self) -> date:
        """First discharge date of the window."""
        return self.until - timedelta(days=WINDOW_DAYS - 1)

    @property
    def provider_count(self) -> int:
        """Number of providers."""
        return self.providers or min(max(round(self.claims / 430), 3), 2900)

    def clean(self) -> GeneratorConfig:
        """The same sample setting without administrative noise."""
        return replace(self, noise=0.0)

    def noisy(self) -> GeneratorConfig:
        """The same sample setting with a tenth of the honest claims deviating."""
        return replace(self, noise=0.10)

    def sporadic(self) -> GeneratorConfig:
        """The same amount of fraud, but no systematically bad provider."""
        return replace(self, bad_provider_share=0.0)

    def shifted(self) -> GeneratorConfig:
        """Seasons half a year later and twice the seasonal infections."""
        return replace(self, seasonal_shift=6.0, epidemic=2.0)

    def under(self, setting: Setting) -> GeneratorConfig:
        """The same sample in a named setting; `Setting.DEFAULT` changes nothing."""
        named = {
            Setting.DEFAULT: lambda: self,
            Setting.CLEAN: self.clean,
            Setting.NOISY: self.noisy,
            Setting.SPORADIC: self.sporadic,
            Setting.SHIFTED: self.shifted,
        }
        return named[setting]()
