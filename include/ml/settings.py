"""Every setting of the project, typed, from the environment (or a `.env` file in the project root).

The README's table is tested against this class, so a new field is not complete before it stands there too.
"""

from __future__ import annotations

from datetime import time
from functools import cached_property
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml.clock import SCORING_TIME

PROJECT_ROOT = Path(__file__).resolve().parents[2]


class SettingsError(ValueError):
    """A setting has a wrong value; the message names the environment variable."""


def _from_the_root(value: Path) -> Path:
    """The same folder wherever a command, a cron job or a task stands; an absolute path, or one of ~, stays so."""
    return PROJECT_ROOT / value.expanduser()


Folder: TypeAlias = Annotated[Path, AfterValidator(_from_the_root)]


def _with_colon(value: object) -> object:
    """06.00, as it is written in Indonesian, for 06:00."""
    return value.replace(".", ":") if isinstance(value, str) else value


def _after_scoring(value: time) -> time:
    if value.tzinfo is not None or value <= SCORING_TIME:
        raise ValueError(f"must be a time of day in WIB after {SCORING_TIME:%H:%M}, when scoring begins")
    return value


A_CENTURY_DAYS = 36_500
"""For ever: what a date still has room for."""


class Settings(BaseSettings):
    """Paths, limits and versions. Read once a process through `load_settings`."""

    model_config = SettingsConfigDict(
        env_file=PROJECT_ROOT / ".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    instance_dir: Folder = Field(
        default=PROJECT_ROOT / "instance",
        validation_alias="CLAIMS_INSTANCE_DIR",
        description="Root of everything the system writes: releases, logs, models, warehouse, quarantine. "
        "A relative path begins at the project root.",
    )
    raw_dir: Folder | None = Field(
        default=None,
        validation_alias="CLAIMS_RAW_DIR",
        description="Folder with the `*fkrtl*` and `*diagnosissekunder*` files; empty means `raw/` in the instance. "
        "A relative path begins at the project root.",
    )
    patient_key_secret: SecretStr | None = Field(
        default=None,
        min_length=16,
        validation_alias="CLAIMS_PATIENT_KEY_SECRET",
        description="Secret of the keyed hash that replaces patient numbers (16 characters or more). "
        "The ETL refuses to run without it.",
    )
    max_bad_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        validation_alias="CLAIMS_MAX_BAD_SHARE",
        description="Share of rows per raw file that may break the contract (and go to quarantine) "
        "before the ETL fails.",
    )
    min_peers: int = Field(
        default=20,
        ge=1,
        le=1_000_000,
        validation_alias="CLAIMS_MIN_PEERS",
        description="Claims a peer group must have; a smaller one is widened step by step (RULESET_v1 keeps its own).",
    )
    ruleset_version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        default="RULESET_v2",
        validation_alias="RULESET_VERSION",
        description="Ruleset file under `include/ml/rules/` that scoring uses.",
    )
    model_version: str | None = Field(
        default=None,
        validation_alias="CLAIMS_MODEL_VERSION",
        description="Model to score with; empty means the default one of `instance/models`.",
    )
    top_k: int = Field(
        default=50,
        ge=1,
        le=10_000,
        validation_alias="REFRESH_TOP_K",
        description="How many of the riskiest claims QC looks at (the auditors' list).",
    )
    etl_deadline_hours: float = Field(
        default=4,
        gt=0,
        le=20,
        validation_alias="CLAIMS_ETL_DEADLINE_HOURS",
        description="How long a scoring run waits for the ETL of its data date, in hours; at most 20, so that the run "
        "ends before the next night's.",
    )
    qc_amount_drift: float = Field(
        default=0.5,
        gt=0,
        validation_alias="CLAIMS_QC_AMOUNT_DRIFT",
        description="Relative change of `amount_claimed_top_k_mean` against the last run from which QC warns.",
    )
    qc_los_drift: float = Field(
        default=0.25,
        gt=0,
        le=1,
        validation_alias="CLAIMS_QC_LOS_DRIFT",
        description="Change of the top-K share of LOS <= 1 against the last run (in share points) from which QC warns.",
    )
    qc_concentration: float = Field(
        default=0.8,
        gt=0,
        le=1,
        validation_alias="CLAIMS_QC_CONCENTRATION",
        description="Share of the top-K in one province from which QC warns.",
    )
    qc_row_drop: float = Field(
        default=0.8,
        ge=0.2,
        le=1,
        validation_alias="CLAIMS_QC_ROW_DROP",
        description="Share of the claims of the last passed run that may be missing before QC fails, so that a broken "
        "export replaces nothing; it warns from 0.2 on. 1: never.",
    )
    keep_releases: int = Field(
        default=7,
        ge=4,
        validation_alias="CLAIMS_KEEP_RELEASES",
        description="How many of the newest releases are kept; besides them the live one, its three ancestors and any "
        "younger than `CLAIMS_KEEP_DAYS`.",
    )
    keep_days: float = Field(
        default=1,
        ge=1,
        le=A_CENTURY_DAYS,
        validation_alias="CLAIMS_KEEP_DAYS",
        description="Age in days up to which every release is kept; at least one.",
    )
    recover_from_damage: bool = Field(
        default=False,
        validation_alias="CLAIMS_RECOVER_FROM_DAMAGE",
        description="Whether a run that finds the live release damaged goes back to its newest verified ancestor by "
        "itself. Otherwise it says so and leaves the choice to the operator.",
    )
    keep_quarantine_days: float = Field(
        default=30,
        ge=1,
        le=A_CENTURY_DAYS,
        validation_alias="CLAIMS_KEEP_QUARANTINE_DAYS",
        description="Age in days from which an ETL run's quarantined rows are deleted.",
    )
    keep_qc_logs_days: float = Field(
        default=400,
        ge=1,
        le=A_CENTURY_DAYS,
        validation_alias="CLAIMS_KEEP_QC_LOGS_DAYS",
        description="Age in days from which QC logs are deleted.",
    )
    alert_emails: str = Field(
        default="",
        pattern=r"^\s*([^@\s,]+@[^@\s,]+(\s*,\s*[^@\s,]+@[^@\s,]+)*)?\s*$",
        validation_alias="CLAIMS_ALERT_EMAILS",
        description="Who gets alerts by e-mail, separated by commas; empty: nobody. "
        "Sent through the connection `smtp_default`.",
    )
    alert_deadline: Annotated[time, BeforeValidator(_with_colon), AfterValidator(_after_scoring)] = Field(
        default=time(6, 0),
        validation_alias="CLAIMS_ALERT_DEADLINE",
        description="Time of day (WIB, HH:MM) at which scores of the night's data date must be live; "
        "otherwise an alert goes out.",
    )
    retry_delay_seconds: float = Field(
        default=60,
        gt=0,
        le=3600,
        validation_alias="CLAIMS_RETRY_DELAY_SECONDS",
        description="How long a failed task of the ETL, of scoring or training waits before it is tried again, up to "
        "twice.",
    )
    lock_timeout_seconds: float = Field(
        default=600,
        gt=0,
        le=86_400,
        validation_alias="CLAIMS_LOCK_TIMEOUT_SECONDS",
        description="How long a publisher waits for another one before it fails.",
    )
    memory_limit: Annotated[str, StringConstraints(pattern=r"^[1-9]\d*(\.\d+)?\s?(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$")] = (
        Field(
            default="1500MB",
            validation_alias="CLAIMS_DUCKDB_MEMORY_LIMIT",
            description="Memory DuckDB may use in one task before it spills to disk.",
        )
    )
    threads: int = Field(
        default=2,
        ge=1,
        le=256,
        validation_alias="CLAIMS_THREADS",
        description="Threads DuckDB and the forest use in one task.",
    )
    api_jwt_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        validation_alias="CLAIMS_API_JWT_SECRET",
        description="Secret that the auditors' API checks tokens with (JWT, HS256; 32 characters or more). "
        "The API refuses to start without it.",
    )
    api_host: str = Field(
        default="127.0.0.1",
        validation_alias="CLAIMS_API_HOST",
        description="Address the auditors' API listens on.",
    )
    api_port: int = Field(
        default=8090,
        ge=1,
        le=65535,
        validation_alias="CLAIMS_API_PORT",
        description="Port the auditors' API listens on.",
    )

    @cached_property
    def raw(self) -> Path:
        """Folder of the raw files."""
        return self.raw_dir or self.instance_dir / "raw"

    @property
    def alert_recipients(self) -> list[str]:
        """Addresses that get alerts by e-mail."""
        return [address.strip() for address in self.alert_emails.split(",") if address.strip()]

    @property
    def data(self) -> Path:
        """Folder of the Parquet files that readers and scoring use."""
        return self.instance_dir / "data"

    @property
    def logs(self) -> Path:
        """Folder of the QC logs."""
        return self.instance_dir / "logs"

    @property
    def models(self) -> Path:
        """Folder of the model artefacts."""
        return self.instance_dir / "models"

    @property
    def quarantine(self) -> Path:
        """Folder of the rows that broke the contract."""
        return self.instance_dir / "quarantine"

    @property
    def warehouse(self) -> Path:
        """The ETL's DuckDB file; only the ETL writes it."""
        return self.instance_dir / "warehouse.duckdb"

    @property
    def work(self) -> Path:
        """Folder for what a run builds before it is complete."""
        return self.instance_dir / "work"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: a value is wrong; one line per variable, with the variable's name.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" + _shown(item)
            for item in error.errors(include_url=False)
        ]
        raise SettingsError("Wrong settings:\n  " + "\n  ".join(lines)) from None


def load_settings_leniently() -> Settings:
    """Read the settings, with the default for each that is wrong: for what must work then, too (restoring, alerts)."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = {str(item["loc"][0]) for item in error.errors(include_url=False)}
        fields = Settings.model_fields.values()
        return Settings(
            **{str(field.validation_alias): field.default for field in fields if field.validation_alias in wrong}
        )


def _shown(item: object) -> str:
    """The offending value, unless it is a secret's."""
    assert isinstance(item, dict)  # noqa: S101
    if {"CLAIMS_PATIENT_KEY_SECRET", "CLAIMS_API_JWT_SECRET"} & set(item["loc"]):
        return ""
    return f" (got {item['input']!r})"


def duckdb_config(settings: Settings, folder: Path) -> dict[str, str | bool | int | float | list[str]]:
    """Return DuckDB's limits, with a spill folder beside what is being built."""
    return {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "temp_directory": str(folder / "spill"),
    }
