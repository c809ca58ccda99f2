"""Training: RULESET_v1's Isolation Forest, the anomaly channel's, and the scales of all channels."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.claims.contract import CODE_LISTS
from ml.claims.etl import ClaimsFile, made_with, require_columns
from ml.model.anomaly import ANOMALY_COLUMNS, anomaly_matrix
from ml.model.artefact import ModelError, RiskModel
from ml.model.calibration import Calibration, learn_calibration
from ml.model.features import NUMERIC, as_floats, learn_features
from ml.model.forest import Forest, from_sklearn
from ml.rules import ANOMALY, CHANNELS, EVIDENCE
from ml.settings import Settings, duckdb_config
from ml.sql import sql_files, sql_text

TREES = 200
CONTAMINATION = 0.03
SEED = 20220101
SAMPLE_ROWS = 200_000
ANOMALY_TREES = 100
CALIBRATION_ROWS = 1_000_000
"""Bounds memory; the rarest thousandth of so many claims is still a thousand."""
NEEDED = ("narrow_peer_n", *(EVIDENCE + code for code in CHANNELS if code != ANOMALY), *ANOMALY_COLUMNS)
"""Columns that claims of an earlier version may lack."""
PROBES = [None, -2.0, 0.0, 5e-5, 0.01, 0.3, 1.0, 3.0]
"""Figures that show what the anomaly channel makes of a share or a ratio, within its bounds and beyond."""
NAMED_DEFINITIONS = 5
LEAST_CLAIMS = 2
"""Below it c(max_samples), which path lengths are divided by, is 0 and every score would be NaN."""


def train(claims: Path, data_date: date, seed: int = SEED, *, settings: Settings | None = None) -> RiskModel:
    """Train on a fixed sample of claims. The same claims and seed give the same model, bit for bit.

    RULESET_v1's forest: 200 trees of 256 claims each and contamination 0.03 are the current system's; the sample only
    bounds memory, since each tree sees 256 claims anyway.

    Args:
        claims: a `claims_normalized` Parquet file.
        data_date: its data date, kept with the model.
        seed: of the forests; another one shows how much of a score is chance.
        settings: DuckDB's limits, on which nothing depends, and where it spills; None: as much as the machine has.

    Raises:
        NoClaimsError: the claims lack a column, as another version of the ETL has made them.
        ModelError: fewer than `LEAST_CLAIMS` claims.
    """
    require_columns(claims, data_date, NEEDED)
    sample = _training_sample(claims, settings)
    if sample.num_rows < LEAST_CLAIMS:
        raise ModelError(
            f"{claims}: {sample.num_rows} claims cannot train a model, at least {LEAST_CLAIMS} claims are needed. "
            "Run claims_normalized on more claims first."
        )
    import sklearn  # not at the top: see ml.model.forest
    from sklearn.ensemble import IsolationForest

    features = learn_features(sample)
    forest = IsolationForest(n_estimators=TREES, contamination=CONTAMINATION, random_state=seed)
    forest.fit(features.matrix(sample))
    evidence = _calibration_sample(claims, settings)
    anomaly = IsolationForest(n_estimators=ANOMALY_TREES, random_state=seed)
    anomaly.fit(anomaly_matrix(evidence.slice(0, SAMPLE_ROWS)))
    anomaly_forest = from_sklearn(anomaly)
    training = {
        "data_date": str(data_date),
        "min_peers": made_with(claims).get("min_peers"),
        "rows": sample.num_rows,
        "calibration_rows": evidence.num_rows,
        "seed": seed,
        "trees": TREES,
        "contamination": CONTAMINATION,
        "anomaly_trees": ANOMALY_TREES,
        "definitions": feature_definitions(),
        "versions": {
            "python": ".".join(platform.python_version_tuple()[:2]),
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "duckdb": duckdb.__version__,
            "pyarrow": pa.__version__,
        },
    }
    return RiskModel(
        features=features,
        forest=from_sklearn(forest),
        medians=_medians(sample),
        shares=_shares(sample),
        anomaly=anomaly_forest,
        calibration=_calibration(evidence, anomaly_forest),
        training=training,
    )


MAKE_NO_FEATURE = ("44_severity_counts", "60_unknown_codes", "79_words")
"""Statements of the ETL for the reasons, for the log, and of how texts are kept while they are sorted."""


def feature_definitions() -> dict[str, str]:
    """Return a SHA-256 of what makes a claim's features, by name: every statement without its comments, the code lists,
    and what the anomaly channel makes of some figures.

    A model calibrated on other definitions than those that scored claims come from is not wrong, but its scales are.
    """
    steps = [name for name in sql_files("claims_normalized") if Path(name).name[0].isdigit()]  # the others are checks
    made = {Path(name).stem: _bare(sql_text(name)).encode() for name in (*sql_files("contract"), *steps)}
    for name in MAKE_NO_FEATURE:
        del made[name]
    made["code_lists"] = json.dumps({kind: codes for kind, (_, codes) in CODE_LISTS.items()}).encode()
    made["RULESET_v1_claims"] = _bare(sql_text("scoring/RULESET_v1/05_claims.sql")).encode()
    probes = pa.table(dict.fromkeys(ANOMALY_COLUMNS, PROBES))
    # Rounded, as the last digits of a logarithm are the processor's.
    made["anomaly_features"] = (np.round(anomaly_matrix(probes), 3) + np.float32(0)).tobytes()
    return {name: hashlib.sha256(content).hexdigest() for name, content in made.items()}


def _bare(statement: str) -> str:
    """A statement without comments and line breaks; no text in ours holds two dashes."""
    return " ".join(re.sub(r"--.*", "", statement).split())


def changed_definitions(model: RiskModel, min_peers: int | None = None) -> list[str]:
    """Return what differs from what the model was trained under, or exists on one side: names of definitions, and
    CLAIMS_MIN_PEERS where it is known of both (None: not asked, or claims of an earlier version)."""
    trained, present = model.training.get("definitions", {}), feature_definitions()
    changed = sorted(name for name in trained.keys() | present.keys() if trained.get(name) != present.get(name))
    before = model.training.get("min_peers")
    if None not in (before, min_peers) and before != min_peers:
        changed.append(f"CLAIMS_MIN_PEERS (was {before}, is {min_peers})")
    return changed


def why_scales_may_not_fit(model: RiskModel, claims: ClaimsFile) -> str | None:
    """Say what about some claims' features differs from those of the model's training; None when nothing does."""
    changed = changed_definitions(model, claims.min_peers)
    few = changed if len(changed) <= NAMED_DEFINITIONS else [f"{len(changed)} of them, among them {changed[0]}"]
    return ", ".join(few) or None


def _wanted(claims: Path, sample_rows: int) -> dict[str, object]:
    """How many rows a sample shall have, and an MD5 below which there are a fifth more than that.

    A fifth is a hundred standard deviations at the sizes of our samples.
    """
    share = 1.2 * sample_rows / max(pq.read_metadata(claims).num_rows, 1)
    below = f"{int(share * 16**8):08x}" if share < 1 else "g"  # g comes after every hexadecimal digit
    return {"sample_rows": sample_rows, "below": below}


@contextmanager
def _limited(settings: Settings | None) -> Iterator[duckdb.DuckDBPyConnection]:
    if settings is None:
        with duckdb.connect() as connection:
            yield connection
        return
    settings.work.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="training-", dir=settings.work) as folder,
        duckdb.connect(config=duckdb_config(settings, Path(folder))) as connection,
    ):
        yield connection


def _training_sample(claims: Path, settings: Settings | None) -> pa.Table:
    with _limited(settings) as connection:
        connection.read_parquet(str(claims)).create_view("all_claims")
        connection.execute(sql_text("scoring/RULESET_v1/05_claims.sql"))
        wanted = _wanted(claims, SAMPLE_ROWS)
        return connection.sql(sql_text("model/training_sample.sql"), params=wanted).to_arrow_table()


def _calibration_sample(claims: Path, settings: Settings | None) -> pa.Table:
    with _limited(settings) as connection:
        wanted = {"claims": str(claims)} | _wanted(claims, CALIBRATION_ROWS)
        return connection.sql(sql_text("model/calibration_sample.sql"), params=wanted).to_arrow_table()


def _calibration(claims: pa.Table, anomaly: Forest) -> Calibration:
    evidence = {
        name.removeprefix(EVIDENCE): as_floats(claims.column(name))
        for name in claims.column_names
        if name.startswith(EVIDENCE)
    }
    return learn_calibration(evidence | {ANOMALY: anomaly.anomaly_score(anomaly_matrix(claims))})


def _medians(sample: pa.Table) -> dict[str, dict[str, float]]:
    """Median of every number by service type."""
    result = {}
    for service in sorted(set(sample.column("service_type").to_pylist())):
        rows = sample.filter(pc.equal(sample.column("service_type"), service))
        values = {column: as_floats(rows.column(column)) for column in NUMERIC}
        result[service] = {
            column: float(np.nanmedian(array)) if np.isfinite(array).any() else 0.0 for column, array in values.items()
        }
    return result


def _shares(sample: pa.Table) -> dict[str, dict[str, float]]:
    """How common each facility class and province is."""
    result = {}
    for column in ("facility_class", "province_name"):
        counts = pc.value_counts(sample.column(column).drop_null()).to_pylist()
        result[column] = {
            entry["values"]: entry["counts"] / sample.num_rows
            for entry in sorted(counts, key=lambda entry: str(entry["values"]))
        }
    return result
