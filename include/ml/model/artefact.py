"""Models on disk: `instance/models/<version>/` with plain arrays (`*.npz`) and `model.json`.

A version is named after the hash of its content, so training again on the same claims gives the same version, and a
changed file no longer fits its name. `default.json` names the version that scoring uses.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ml.clock import now, stamp
from ml.files import fsync_file, fsync_folder, replace_durably, sha256_of
from ml.model.anomaly import FEATURES
from ml.model.calibration import Calibration
from ml.model.features import FeatureSpec
from ml.model.forest import ARRAYS, Forest
from ml.model.gate_file import GATE_FILE, GateFileError, read_gate_file

log = logging.getLogger(__name__)

FORMAT = 3
ARRAY_FILES = ("forest.npz", "anomaly.npz", "calibration.npz")


class ModelError(RuntimeError):
    """A model is missing, altered or of another format; the message says which and what to do."""


@dataclass(frozen=True)
class RiskModel:
    """All that scoring needs of a model, for either kind of ruleset.

    Attributes:
        features: how RULESET_v1's forest sees a claim.
        forest: RULESET_v1's trees.
        medians: service type -> number -> median in the training claims; what an explanation of that forest compares
            with.
        shares: facility_class and province_name -> value -> share of the training claims (0..1); tells what is rare.
        anomaly: the trees of the anomaly channel, on the features of `ml.model.anomaly`.
        calibration: each channel's scale of surprise.
        training: what it was trained on (data date, rows, seed, library versions, hashes of the features'
            definitions); part of the version.
    """

    features: FeatureSpec
    forest: Forest
    medians: dict[str, dict[str, float]]
    shares: dict[str, dict[str, float]]
    anomaly: Forest
    calibration: Calibration
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The name made of the content's hash, e.g. `risk-1a2b3c4d5e6f`."""
        return f"risk-{self.content_sha256[:12]}"

    @property
    def content_sha256(self) -> str:
        """SHA-256 over the description and every array."""
        digest = hashlib.sha256(json.dumps(self.description(), sort_keys=True).encode())
        for file, arrays in self.arrays().items():
            for name, array in arrays.items():
                digest.update(f"{file}:{name}:{array.dtype.str}:{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def arrays(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the arrays by file and name."""
        return {
            "forest.npz": {name: getattr(self.forest, name) for name in ARRAYS},
            "anomaly.npz": {name: getattr(self.anomaly, name) for name in ARRAYS},
            "calibration.npz": {
                f"{channel}.{part}": getattr(self.calibration, part)[channel]
                for channel in sorted(self.calibration.evidence)
                for part in ("evidence", "surprise")
            },
        }

    def commonest(self, column: str) -> str:
        """Return the value that most training claims have in a column of `shares` (of equals the first by name)."""
        shares = self.shares[column]
        return min(shares, key=lambda value: (-shares[value], value), default="")

    def description(self) -> dict[str, Any]:
        """Return all but the arrays, as JSON-ready values."""
        return {
            "format": FORMAT,
            "forest": _forest_json(self.forest),
            "anomaly": _forest_json(self.anomaly),
            "channels": sorted(self.calibration.evidence),
            "features": self.features.as_json(),
            "medians": self.medians,
            "shares": self.shares,
            "training": self.training,
        }


def save_model(model: RiskModel, models: Path) -> str:
    """Write a model under its version; an equal one that is there already is left alone.

    One that was altered is moved aside, so that training anew on the same claims heals it. Of two trainings that end at
    the same time the second waits for the first.

    Returns:
        The version.
    """
    models.mkdir(parents=True, exist_ok=True)
    with FileLock(models / ".saving.lock"):
        return _save_model(model, models)


def _save_model(model: RiskModel, models: Path) -> str:
    target = models / model.version
    if target.exists():
        try:
            load_model(models, model.version)
        except ModelError as error:
            aside = models / f".{model.version}.damaged-{stamp(now())}"
            log.warning("%s It is moved to %s, and written anew.", error, aside)
            target.rename(aside)
        else:
            return model.version
    temporary = models / f".{model.version}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, arrays in model.arrays().items():
        np.savez_compressed(temporary / name, allow_pickle=False, **arrays)
    description = _model_json(model, {name: sha256_of(temporary / name) for name in ARRAY_FILES})
    (temporary / "model.json").write_text(_as_text(description))
    for name in (*ARRAY_FILES, "model.json"):
        fsync_file(temporary / name)
    fsync_folder(temporary)
    temporary.rename(target)
    fsync_folder(models)
    return model.version


def load_model(models: Path, version: str) -> RiskModel:
    """Read a model and check that it is what its name says.

    Raises:
        ModelError: no such version, its files were altered, or the folder holds another file.
    """
    folder = models / version
    advice = (
        "`python -m ml.pipelines.models list` shows those there are: name another with CLAIMS_MODEL_VERSION, or go "
        "back to the default before with python -m ml.pipelines.models demote --reason TEXT; python -m "
        "ml.pipelines.train_model makes a new one."
    )
    if Path(version).name != version or not (folder / "model.json").is_file():
        raise ModelError(f"{folder}: there is no model {version!r}. {advice}")
    try:
        written = (folder / "model.json").read_text()
        text = json.loads(written)
        if text["format"] != FORMAT:
            raise ModelError(f"{folder}: of format {text['format']}, this program reads format {FORMAT}. {advice}")
        if set(text["files"]) != set(ARRAY_FILES):
            raise ModelError(f"{folder}: model.json lists other files than {', '.join(ARRAY_FILES)}. {advice}")
        _refuse_unlisted(folder)
        arrays = {}
        for name in ARRAY_FILES:
            if sha256_of(folder / name) != text["files"][name]:
                raise ModelError(f"{folder / name}: altered (its SHA-256 is not the one listed). {advice}")
            with np.load(folder / name, allow_pickle=False) as loaded:
                arrays[name] = {key: loaded[key] for key in loaded.files}
        model = RiskModel(
            features=FeatureSpec(**text["features"]),
            forest=Forest(**text["forest"], **arrays["forest.npz"]),
            medians=text["medians"],
            shares=text["shares"],
            anomaly=Forest(**text["anomaly"], **arrays["anomaly.npz"]),
            calibration=Calibration(
                *(
                    {channel: arrays["calibration.npz"][f"{channel}.{part}"] for channel in text["channels"]}
                    for part in ("evidence", "surprise")
                )
            ),
            training=text["training"],
        )
    except (OSError, EOFError, BadZipFile, zlib.error, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder}: not a readable model ({error}). {advice}") from error
    held = {name: sorted(arrays[name]) for name in ARRAY_FILES}
    if held != {name: sorted(known) for name, known in model.arrays().items()}:
        raise ModelError(f"{folder}: its files hold other arrays than a model's. {advice}")
    if model.version != version or written != _as_text(_model_json(model, text["files"])):
        raise ModelError(f"{folder}: model.json was altered (content of {model.version}). {advice}")
    return model


def _refuse_unlisted(folder: Path) -> None:
    """A file that nobody vouches for is no part of a model, whatever it would do there."""
    known = {*ARRAY_FILES, "model.json", GATE_FILE}
    if unlisted := sorted(path.name for path in folder.iterdir() if path.name not in known):
        raise ModelError(
            f"{folder}: holds {', '.join(unlisted)}, which model.json does not list. Find out who put it there, then "
            "move it out of the folder."
        )
    try:
        read_gate_file(folder)
    except GateFileError as error:
        raise ModelError(str(error)) from None


def _model_json(model: RiskModel, files: dict[str, str]) -> dict[str, Any]:
    return model.description() | {
        "version": model.version,
        "content_sha256": model.content_sha256,
        "feature_names": model.features.names,
        "anomaly_feature_names": list(FEATURES),
        "files": files,
    }


def _as_text(description: dict[str, Any]) -> str:
    """How model.json is written, to the byte."""
    return json.dumps(description, indent=1, sort_keys=True)


def _forest_json(forest: Forest) -> dict[str, float]:
    return {"n_features": forest.n_features, "denominator": forest.denominator, "offset": forest.offset}


@dataclass(frozen=True)
class DefaultModel:
    """Which version scoring uses, since when (UTC, ISO 8601), and the raw file behind its training claims."""

    version: str
    since: str
    trained_on: str


def default_model(models: Path) -> DefaultModel | None:
    """Return what scoring uses, None before the first model.

    Raises:
        ModelError: `default.json` is not what `make_default` writes.
    """
    path = models / "default.json"
    if not path.exists():
        return None
    try:
        return DefaultModel(**json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: not readable ({error}). `python -m ml.pipelines.models log` tells the last default: make it the "
            "default again with python -m ml.pipelines.models promote VERSION"
        ) from error


def make_default(models: Path, chosen: DefaultModel) -> None:
    """Make a version the one that scoring uses, after checking that it loads."""
    load_model(models, chosen.version)
    temporary = models / f".default.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(chosen)))
    replace_durably(temporary, models / "default.json")
