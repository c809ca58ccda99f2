"""Labelled sets: generated claims that went through the real ETL, with the truth about each beside them.

The labels never meet the pipeline: it sees the raw files only, in a folder of its own with settings of its own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from ml.claims.etl import ClaimsFile, publish_claims, run_sql_steps, start_build
from ml.files import sha256_of
from ml.sample import GeneratorConfig, generate, write
from ml.sample.files import Format
from ml.settings import Settings
from ml.sql import SQL_ROOT

CLAIMS, LABELS, DESCRIPTION = "claims_normalized.parquet", "labels.parquet", "set.json"
MADE_BY = ("sql/contract", "sql/claims_normalized", "ml/claims", "ml/sample")
"""Folders under `include` that a set's bytes depend on; a change in them makes it anew."""
SECRET = "the patients of a generated set are nobody"  # noqa: S105 - no person's number is behind these keys
GENERATOR = "generator"


@dataclass(frozen=True)
class LabelledSet:
    """A generated claims file and what is known of each claim.

    Attributes:
        name: e.g. `noisy-12`.
        claims: its `claims_normalized`.
        labels: claim_id, fraud_type (`none` is honest), is_fraud, facility, is_bad_provider, bad_provider_patterns;
            one row a claim, in the order of the claims file.
    """

    name: str
    claims: ClaimsFile
    labels: pa.Table


class _OwnSettings(Settings):
    """Settings that nothing but the program decides: no environment variable, no `.env`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def own_settings(folder: Path, *, threads: int = 2, memory_limit: str = "2GB") -> Settings:
    """Return default settings whose instance is a folder, whatever the environment says.

    Args:
        folder: the instance.
        threads: of DuckDB and the forest; no result depends on it.
        memory_limit: of DuckDB.
    """
    return _OwnSettings.model_validate(
        {
            "CLAIMS_INSTANCE_DIR": folder.absolute(),
            "CLAIMS_PATIENT_KEY_SECRET": SECRET,
            "CLAIMS_THREADS": threads,
            "CLAIMS_DUCKDB_MEMORY_LIMIT": memory_limit,
        }
    )


def make_labelled_set(
    config: GeneratorConfig, name: str, folder: Path, *, threads: int = 2, memory_limit: str = "2GB"
) -> LabelledSet:
    """Generate claims and take them through contract, SQL and publication of the ETL, or reuse what is there.

    Only `claims_normalized` and the labels are kept in the folder, with a hash of configuration, code and library
    versions that they were made by: a set made by the same is reused. Two processes may ask for the same set.

    Args:
        config: what to generate.
        name: of the set.
        folder: the set's own folder.
        threads: of the ETL.
        memory_limit: of the ETL.

    Raises:
        RuntimeError: the ETL lost claims or invented some, so that labels and claims do not fit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint = _fingerprint(config)
    with FileLock(folder / ".lock"):
        if not _is_made(folder, fingerprint):
            _make(config, folder, own_settings(folder, threads=threads, memory_limit=memory_limit))
            _describe(folder, fingerprint, config)
        path = folder / CLAIMS
        claims = ClaimsFile(path, config.until, pq.read_metadata(path).num_rows, sha256_of(path), GENERATOR)
        return LabelledSet(name, claims, pq.read_table(folder / LABELS))


def _fingerprint(config: GeneratorConfig) -> str:
    """Hash of all that decides the set's content."""
    digest = hashlib.sha256(json.dumps(asdict(config), default=str, sort_keys=True).encode())
    limits = own_settings(Path())
    digest.update(f"{limits.min_peers} {limits.max_bad_share} {duckdb.__version__} {np.__version__}".encode())
    include = SQL_ROOT.parent
    for folder in MADE_BY:
        for path in sorted((include / folder).rglob("*")):
            if path.suffix in (".py", ".sql", ".json"):
                digest.update(f"{path.relative_to(include)} {sha256_of(path)}".encode())
    return digest.hexdigest()


def _is_made(folder: Path, fingerprint: str) -> bool:
    """Whether a complete set of this fingerprint is there, as it was written."""
    try:
        described = json.loads((folder / DESCRIPTION).read_text())
        files = {name: sha256_of(folder / name) for name in (CLAIMS, LABELS)}
    except (OSError, ValueError):
        return False
    return bool(described.get("made_by") == fingerprint and described.get("files") == files)


def _describe(folder: Path, fingerprint: str, config: GeneratorConfig) -> None:
    """Note what the files are; the last step, so that a killed process leaves no set that looks complete."""
    described = {
        "made_by": fingerprint,
        "config": asdict(config),
        "files": {name: sha256_of(folder / name) for name in (CLAIMS, LABELS)},
    }
    temporary = folder / f"{DESCRIPTION}.tmp"
    temporary.write_text(json.dumps(described, default=str, indent=1))
    temporary.replace(folder / DESCRIPTION)


def _make(config: GeneratorConfig, folder: Path, limits: Settings) -> None:
    for left in folder.glob("building-*"):  # by a killed process; the lock is ours
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix="building-", dir=folder) as name:
        work = Path(name)
        settings = own_settings(work, threads=limits.threads, memory_limit=limits.memory_limit)
        sample = generate(config)
        write(sample, settings.raw, Format.PARQUET, work / LABELS)
        build, _report = start_build(settings, config.until, "evaluation")
        run_sql_steps(settings, build)
        claims = publish_claims(settings, build)
        labels = labels_of(pq.read_table(claims.path, columns=["claim_id"])["claim_id"], pq.read_table(work / LABELS))
        pq.write_table(labels, work / LABELS)
        claims.path.replace(folder / CLAIMS)
        (work / LABELS).replace(folder / LABELS)


def labels_of(claim_ids: pa.ChunkedArray, labels: pa.Table) -> pa.Table:
    """Return the labels in the order of some claims.

    Raises:
        RuntimeError: the labels are not of exactly these claims.
    """
    places = pc.index_in(claim_ids, value_set=labels["claim_id"].combine_chunks())
    if places.null_count or len(pc.unique(places)) != labels.num_rows or len(claim_ids) != labels.num_rows:
        raise RuntimeError(
            f"the ETL made {len(claim_ids):,} claims of {labels.num_rows:,} generated ones, and not each has its "
            "label: a figure over them would be of other claims"
        )
    return labels.take(places)
