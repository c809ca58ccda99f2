"""Judges the scores on labelled files of the raw layout that our generator did not make: claims that auditors have
looked at, or another team's synthetic ones.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import SecretStr

from ml.claims.contract import ContractError
from ml.claims.etl import publish_claims, run_sql_steps, start_build
from ml.evaluation.evaluate import judge, score_set
from ml.evaluation.figures import BASELINE, OURS, RULES_V1
from ml.evaluation.labelled import LabelledSet
from ml.evaluation.metrics import HONEST
from ml.rules import load_ruleset
from ml.settings import Settings

log = logging.getLogger(__name__)

CLAIM_ID, FACILITY = "claim_id", "facility_key"
FRAUD_TYPE, BAD_PROVIDER = "fraud_type", "is_bad_provider"
YES, NO = ("true", "1", "yes"), ("false", "0", "no", "")


@dataclass(frozen=True)
class Labels:
    """What is known of claims and providers.

    Attributes:
        fraud_types: by claim id; honest claims need not be in it.
        suspects: claim ids whose providers are bad.
        bad_providers: facility keys of bad providers, where the file names providers.
    """

    fraud_types: pd.Series[str]
    suspects: frozenset[str]
    bad_providers: frozenset[str]


@dataclass(frozen=True)
class FilesEvaluation:
    """What was judged and how it went.

    Attributes:
        raw: the folder of the raw files.
        labels: the labels' file.
        ruleset: version of "ours".
        claims, frauds, providers, bad_providers: how many the set holds.
        strangers: fraudulent claims of the labels that are not among the claims: quarantined, discharged after the data
            date, or of other files.
        unknown_providers: bad providers of the labels that have no claim here.
        figures: level, scorer, measure and value, as in `ml.evaluation.figures.Figure`.
    """

    raw: Path
    labels: Path
    ruleset: str
    claims: int
    frauds: int
    providers: int
    bad_providers: int
    strangers: int
    unknown_providers: int
    figures: tuple[tuple[str, str, str, float], ...]

    def value(self, level: str, scorer: str, measure: str) -> float:
        """Return one figure; NaN where there is none."""
        found = (value for *of, value in self.figures if of == [level, scorer, measure])
        return next(found, float("nan"))


def evaluate_files(
    raw: Path,
    labels: Path,
    data_date: date,
    ruleset: str,
    settings: Settings,
) -> FilesEvaluation:
    """Take raw files through the ETL, train a model on their claims, score them, and compare with the labels.

    The pipeline never sees the labels. Nothing is kept, but for the quarantine of files that break the contract; the
    sweep of the work folder (`ml.nightly`) takes that, and what a killed process left, after two days.

    Args:
        raw: the folder of the two raw files.
        labels: the labels' file, see `read_labels`.
        data_date: Jakarta date; claims discharged later are not known.
        ruleset: the ruleset to judge.
        settings: what the contract and the peer groups ask for, limits, and where the temporary folder is made; it
            holds claims as the instance does.

    Raises:
        RawInputError: the raw files cannot be used.
        RulesetError: there is no such ruleset.
        ValueError: the labels cannot be read, or are not of these claims.
    """
    rulesets = {OURS: load_ruleset(ruleset), RULES_V1: load_ruleset(BASELINE)}
    known = read_labels(labels)
    with _folder_of_its_own(settings.work / "evaluation") as folder:
        # The patients may be real, and nothing has to know their keys again: a secret that nobody can look up.
        secret = SecretStr(secrets.token_hex(32))
        own = settings.model_copy(
            update={"instance_dir": folder, "raw_dir": raw.absolute(), "patient_key_secret": secret}
        )
        build, report = start_build(own, data_date, "evaluation")
        for line in report.lines():
            log.info(line)
        run_sql_steps(own, build)
        claims = publish_claims(own, build)
        told = pq.read_table(claims.path, columns=[CLAIM_ID, FACILITY]).to_pandas()
        told[FRAUD_TYPE] = known.fraud_types.reindex(told[CLAIM_ID], fill_value=HONEST).to_numpy()
        told["is_fraud"] = told[FRAUD_TYPE] != HONEST
        told[BAD_PROVIDER] = told[CLAIM_ID].isin(known.suspects) | told[FACILITY].isin(known.bad_providers)
        if not (told["is_fraud"] | told[BAD_PROVIDER]).any():
            raise ValueError(f"{labels}: no claim or provider that it calls bad is among the {claims.rows:,} claims")
        labelled = LabelledSet(raw.name, claims, pa.Table.from_pandas(told, preserve_index=False))
        score = partial(
            score_set, folder=folder / "scoring", threads=settings.threads, memory_limit=settings.memory_limit
        )
        figures = judge(labelled, rulesets, 1, score, own)
    frauds = int(told["is_fraud"].sum())
    return FilesEvaluation(
        raw=raw,
        labels=labels,
        ruleset=ruleset,
        claims=claims.rows,
        frauds=frauds,
        providers=told[FACILITY].nunique(),
        bad_providers=told[FACILITY][told[BAD_PROVIDER]].nunique(),
        strangers=int((known.fraud_types != HONEST).sum()) - frauds,
        unknown_providers=len(known.bad_providers - {*told[FACILITY]}),
        figures=tuple(figures),
    )


@contextmanager
def _folder_of_its_own(parent: Path) -> Iterator[Path]:
    """A folder that is gone afterwards, but for the quarantine where an error says to look into it."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="own-files-", dir=parent))
    try:
        yield folder
    except ContractError:
        for part in folder.iterdir():
            if part.name != "quarantine":
                shutil.rmtree(part, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def read_labels(path: Path) -> Labels:
    """Read what is known of claims, or of providers.

    Args:
        path: a .csv or .parquet file, of claims: `claim_id` (FKL02) and `fraud_type` (any names; empty or `none` is an
            honest claim, as is every claim without a row), and perhaps `is_bad_provider` (true or false: the claim's
            provider cheats systematically); or of providers: `facility_key` (the digits before MMYY and V of FKL02) and
            `is_bad_provider`. Other columns are not read.

    Raises:
        ValueError: no such file, another ending, a missing column, a claim or provider with two rows, or a value
            that is neither true nor false.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path}: labels are a .csv or a .parquet file")
    if not path.is_file():
        raise ValueError(f"{path}: no such file; --labels names the .csv or .parquet with what is known")
    try:
        is_csv = path.suffix == ".csv"
        rows = pd.read_csv(path, dtype=str, keep_default_na=False) if is_csv else pd.read_parquet(path)
    except (OSError, ValueError) as error:  # what pandas and pyarrow say of a damaged file does not name it
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: cannot be read as {path.suffix} in UTF-8 ({reason}); write it again") from error
    of_claims = CLAIM_ID in rows.columns
    key, needed = (CLAIM_ID, FRAUD_TYPE) if of_claims else (FACILITY, BAD_PROVIDER)
    if not {key, needed} <= {*rows.columns}:
        raise ValueError(
            f"{path}: has the columns {', '.join(map(str, rows.columns))}; {CLAIM_ID} and {FRAUD_TYPE} are needed, or "
            f"{FACILITY} and {BAD_PROVIDER}"
        )
    keys = _text(rows[key])
    for row in rows.index[keys.duplicated()]:
        raise ValueError(f"{path}: row {row + 1} is the second of {key} {keys[row]}; one is wanted")
    bad = keys[_truth(path, rows[BAD_PROVIDER])] if BAD_PROVIDER in rows.columns else keys[:0]
    if not of_claims:
        return Labels(pd.Series(dtype=str), frozenset(), frozenset(bad))
    kinds = _text(rows[FRAUD_TYPE])
    return Labels(kinds.mask(kinds == "", HONEST).set_axis(keys), frozenset(bad), frozenset())


def _text(column: pd.Series[str]) -> pd.Series[str]:
    return column.fillna("").astype(str).str.strip()


def _truth(path: Path, column: pd.Series[str]) -> pd.Series[bool]:
    said = _text(column).str.lower()
    for row in said.index[~said.isin((*YES, *NO))]:
        raise ValueError(f"{path}: row {row + 1}: {BAD_PROVIDER} is {said[row]!r}, neither true nor false")
    return said.isin(YES)
