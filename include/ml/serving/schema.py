"""What the API is asked and what it answers. Money in rupiah, durations in days, scores and shares 0 to 1."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    ValidationInfo,
    field_validator,
)

from ml.claims import layout

HIGH_RISK = 0.5
"""From here on a claim is listed unless the caller says otherwise, and counts as high-risk of its provider."""

MAX_PAGE_SIZE = 200
READ_ROWS = 50
"""How far down a list was read, when nobody says."""

Pattern = Literal[
    "severity", "dearer_code", "inflated_bill", "short_stay", "topup", "repeat", "fragmentation", "overlap", "clone",
    "single_visit",
]  # fmt: skip


Flag = Literal[
    "upcoding", "inflated_bill", "short_stay", "topup", "repeat", "fragmentation", "overlap", "clone", "single_visit",
    "short_stay_high_cost", "severity_mismatch", "duplicate_pattern", "high_cost_full_paid",
]  # fmt: skip
"""The flags of both rulesets."""


def _known_province(code: int | None) -> int | None:
    if code is not None and code not in layout.PROVINCES:
        raise ValueError(f"no BPS province code; known: {', '.join(map(str, sorted(layout.PROVINCES)))}")
    return code


def _upper(text: object) -> object:
    return text.upper() if isinstance(text, str) else text


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _plain(number: object) -> object:
    if isinstance(number, str) and "_" in number:  # pydantic reads 3_2 as 32, and 0_1 as 1
        raise ValueError("a number is written in digits")
    return number


def _iso_day(day: object) -> object:
    if isinstance(day, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
        raise ValueError("a date is written as YYYY-MM-DD")  # pydantic takes 0 for seconds since 1970
    return day


_Int = Annotated[int, BeforeValidator(_plain)]
_Float = Annotated[float, BeforeValidator(_plain)]
_Day = Annotated[date, BeforeValidator(_iso_day)]


class ClaimQuery(BaseModel):
    """Which release is asked, of `GET /claims/{claim_id}`."""

    # A slip in a filter's name must not answer with all claims.
    model_config = ConfigDict(extra="forbid")

    release: str | None = Field(
        default=None,
        max_length=200,
        description="`meta.release_id` of an earlier answer: further pages or a claim of it, after a switch, too.",
    )


class _Page(ClaimQuery):
    page: _Int = Field(default=1, ge=1, le=1_000_000, description="Which page, counted from 1.")
    page_size: _Int = Field(default=50, ge=1, le=MAX_PAGE_SIZE, description="Rows a page.")

    @property
    def skipped(self) -> int:
        """Rows on the pages before."""
        return (self.page - 1) * self.page_size


class ClaimsQuery(_Page):
    """Filters, order and page of `GET /claims/high-risk`."""

    service_type: Annotated[Literal["RITL", "RJTL"] | None, BeforeValidator(_upper)] = Field(
        default=None, description="RITL: inpatient, RJTL: outpatient."
    )
    severity: Annotated[Literal["rawat_jalan", "ringan", "sedang", "berat"] | None, BeforeValidator(_lower)] = Field(
        default=None, description="From the INA-CBG code: I ringan, II sedang, III berat, 0 rawat_jalan."
    )
    province: _Int | None = Field(default=None, ge=0, le=9999, description="BPS code of the facility's province.")
    facility: str | None = Field(default=None, max_length=60, description="The provider's `facility_key`.")
    flag: Flag | None = Field(default=None, description="Claims with this flag, e.g. `upcoding`.")
    discharged_from: _Day | None = Field(default=None, description="First day of discharge, as YYYY-MM-DD.")
    discharged_to: _Day | None = Field(default=None, description="Last day of discharge, that day included.")
    min_risk: _Float = Field(default=HIGH_RISK, ge=0, le=1, allow_inf_nan=False, description="Lowest `risk_score`.")
    min_excess: _Int = Field(default=0, ge=0, le=10**13, description="Lowest `excess_amount`, in rupiah.")
    max_per_facility: _Int | None = Field(
        default=None, ge=1, le=1000, description="Of each facility only its first so many: a list of many facilities."
    )
    read_release: str | None = Field(
        default=None,
        max_length=200,
        description="`meta.release_id` of the same list as it was read: its first `read_rows` claims are left out.",
    )
    read_rows: _Int | None = Field(
        default=None, ge=1, le=10_000, description=f"How far down that list was read; {READ_ROWS} when it is not said."
    )
    sort: Literal["risk", "excess"] = Field(
        default="risk", description="By risk, or by excess: the rupiah that an audit could recover."
    )

    @field_validator("discharged_to")
    @classmethod
    def _not_before_the_first(cls, last: date | None, others: ValidationInfo) -> date | None:
        first = others.data.get("discharged_from")
        if first is not None and last is not None and last < first:
            raise ValueError("is before discharged_from: no claim can be between them")
        return last

    @field_validator("read_rows")
    @classmethod
    def _of_a_release(cls, rows: int | None, others: ValidationInfo) -> int | None:
        # Alone it would leave nothing out, and answer with what has been read.
        if rows is not None and others.data.get("read_release", "") is None:
            raise ValueError("says how far down a list was read; read_release must say which")
        return rows


class ProvidersQuery(_Page):
    """Filters and page of `GET /providers/high-risk`."""

    province: Annotated[_Int | None, AfterValidator(_known_province)] = Field(
        default=None, description="BPS code of the province."
    )
    facility: str | None = Field(default=None, max_length=60, description="One provider, by a claim's `facility_key`.")
    pattern: Pattern | None = Field(default=None, description="Providers whose clearest habit is this.")


class Reason(BaseModel):
    """Why a claim or provider is listed: the same sentence in two languages, and its numbers."""

    code: str
    text_id: str
    text_en: str
    figures: dict[str, Any]


class _Row(BaseModel):
    # What does not fit is told in the log, and claims are not to stand there.
    model_config = ConfigDict(hide_input_in_errors=True)


class Claim(_Row):
    """A claim with its scores. Columns: docs/features.md; of persons nothing but the claim id."""

    claim_id: str
    risk_score: float
    excess_amount: int
    reasons: Json[list[Reason]]
    flags: list[str]
    channels: dict[str, float | None] | None
    rule_score: float | None
    ml_score: float | None
    ml_score_normalized: float | None
    facility_key: str
    facility_key_source: str | None
    provider_risk_score: float | None
    provider_rank: int | None
    province_code: int | None
    province_name: str | None
    regency_code: int | None
    facility_ownership: str | None
    facility_type: str | None
    facility_class: str | None
    service_type: str
    severity_group: str
    severity_level: int | None
    admission_date: date
    discharge_date: date
    los: int
    ward_class: int | None
    tariff_region: int | None
    primary_diagnosis: str
    primary_diagnosis_group: str | None
    primary_diagnosis_label: str | None
    # Releases of before have neither this, nor secondary_diagnoses, nor topup_codes.
    admission_diagnosis: str | None = None
    secondary_diagnoses: str | None = None
    procedure_codes: str | None
    procedure_count: int | None
    comorbidity_count: int | None
    inacbg_code: str
    inacbg_description: str | None
    inacbg_tariff: int | None
    topup_amount: int | None
    topup_codes: str | None = None
    amount_claimed: int
    amount_paid: int | None
    amount_gap: int | None
    paid_ratio: float | None
    price_median: float | None
    price_n: int | None
    los_share_low: float | None
    peer_level: int | None
    peer_n: int | None
    peer_mean: float | None
    peer_p90: float | None
    peer_std: float | None
    cost_zscore: float | None
    duplicate_pattern: bool | None
    duplicate_gap_days: int | None


class Provider(_Row):
    """A provider of the table `provider_risk`. `pattern` is its clearest habit, the reasons have the numbers."""

    rank: int
    facility_key: str
    facility_key_source: str
    provider_risk_score: float
    claims: int
    high_risk_claims: int = Field(description=f"Claims with a risk_score of {HIGH_RISK} or more.")
    amount_claimed: int
    excess_amount: int
    pattern: str | None
    deviance: float = Field(description="How clearly more of its claims have strong evidence than expected, in nats.")
    strong_observed: int | None = Field(default=None, description="Its claims with strong evidence of any pattern.")
    strong_expected: float | None = Field(default=None, description="As many as its stays and visits would bring.")
    reasons: Json[list[Reason]]
    province_name: str
    regency_code: int | None
    facility_ownership: str
    facility_type: str
    facility_class: str


class Meta(BaseModel):
    """Which release an answer is of."""

    release_id: str
    data_date: date = Field(description="Jakarta date up to which claims are in.")
    published_at: datetime
    qc_passed: bool | None = Field(description="null: published, its QC is still to come.")
    model_version: str
    ruleset_version: str
    notice: str | None = Field(default=None, description="What the reader should know, in Bahasa Indonesia.")


class PageMeta(Meta):
    """Which release a page is of, and where in the list it stands."""

    total: int = Field(description="Rows that match the filters, on all pages.")
    page: int
    page_size: int
    pages: int


class ClaimsPage(BaseModel):
    """The answer of `GET /claims/high-risk`."""

    data: list[Claim]
    meta: PageMeta


class OneClaim(BaseModel):
    """The answer of `GET /claims/{claim_id}`."""

    data: Claim
    meta: Meta


class ProvidersPage(BaseModel):
    """The answer of `GET /providers/high-risk`."""

    data: list[Provider]
    meta: PageMeta


class Error(BaseModel):
    """Why nothing else is answered. A wrong parameter has a list instead, with the parameter's name in `loc`."""

    detail: str


class Health(BaseModel):
    """The answer of `GET /health`: nothing about claims, as it asks for no token."""

    status: Literal["ok", "no release"]
