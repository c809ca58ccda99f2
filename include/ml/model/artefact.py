"""Models on disk: `instance/models/<version>/` with `forest.npz` (plain arrays) and `model.json`.

A version is named after the hash of its content, so training again on the same claims gives the same version, and a
changed file no longer fits its name. `default.json` names the version that scoring uses.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ml.files import fsync_file, fsync_folder, replace_durably, sha256_of
from ml.model.features import FeatureSpec
from ml.model.forest import ARRAYS, Forest

FORMAT = 2


class ModelError(RuntimeError):
    """A model is missing, altered or of another format; the message says which and what to do."""


@dataclass(frozen=True)
class RiskModel:
    """All that scoring needs of a model.

    Attributes:
        features: how it sees a claim.
        forest: the trees.
        medians: service type -> number -> median in the training claims; what an explanation compares with.
        shares: facility_class and province_name -> value -> share of the training claims (0..1); tells what is rare.
        training: what it was trained on (data date, rows, seed, library versions); part of the version.
    """

    features: FeatureSpec
    forest: Forest
    medians: dict[str, dict[str, float]]
    shares: dict[str, dict[str, float]]
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The name made of the content's hash, e.g. `iforest-1a2b3c4d5e6f`."""
        return f"iforest-{self.content_sha256[:12]}"

    @property
    def content_sha256(self) -> str:
        """SHA-256 over the description and every array."""
        digest = hashlib.sha256(json.dumps(self.description(), sort_keys=True).encode())
        for name in ARRAYS:
            array = getattr(self.forest, name)
            digest.update(f"{name}:{array.dtype.str}:{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def commonest(self, column: str) -> str:
        """Return the value that most training claims have in a column of `shares` (of equals the first by name)."""
        shares = self.shares[column]
        return min(shares, key=lambda value: (-shares[value], value), default="")

    def description(self) -> dict[str, Any]:
        """Return all but the arrays, as JSON-ready values."""
        return {
            "format": FORMAT,
            "n_features": self.forest.n_features,
            "denominator": self.forest.denominator,
            "offset": self.forest.offset,
            "features": self.features.as_json(),
            "medians": self.medians,
            "shares": self.shares,
            "training": self.training,
        }


def save_model(model: RiskModel, models: Path) -> str:
    """Write a model under its version; an equal one that is there already is left alone.

    Returns:
        The version.
    """
    target = models / model.version
    if target.exists():
        load_model(models, model.version)
        return model.version
    temporary = models / f".{model.version}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    np.savez_compressed(temporary / "forest.npz", **{name: getattr(model.forest, name) for name in ARRAYS})
    description = _model_json(model, {"forest.npz": sha256_of(temporary / "forest.npz")})
    (temporary / "model.json").write_text(json.dumps(description, indent=1, sort_keys=True))
    for name in ("forest.npz", "model.json"):
        fsync_file(temporary / name)
    fsync_folder(temporary)
    temporary.rename(target)
    fsync_folder(models)
    return model.version


def load_model(models: Path, version: str) -> RiskModel:
    """Read a model and check that it is what its name says.

    Raises:
        ModelError: no such version, or its files were altered.
    """
    folder = models / version
    advice = "Train one with python -m ml.pipelines.train_model, or name another with CLAIMS_MODEL_VERSION."
    if Path(version).name != version or not (folder / "model.json").is_file():
        raise ModelError(f"{folder}: there is no model {version!r}. {advice}")
    try:
        text = json.loads((folder / "model.json").read_text())
        if text["format"] != FORMAT:
            raise ModelError(f"{folder}: of format {text['format']}, this program reads format {FORMAT}. {advice}")
        listed = text["files"]["forest.npz"]
        if sha256_of(folder / "forest.npz") != listed:
            raise ModelError(f"{folder / 'forest.npz'}: altered (its SHA-256 is not the one listed). {advice}")
        with np.load(folder / "forest.npz", allow_pickle=False) as arrays:
            forest = Forest(text["n_features"], text["denominator"], text["offset"], **{n: arrays[n] for n in ARRAYS})
        features = FeatureSpec(**text["features"])
        model = RiskModel(features, forest, text["medians"], text["shares"], text["training"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder}: not a readable model ({error}). {advice}") from error
    if model.version != version or text != _model_json(model, text["files"]):
        raise ModelError(f"{folder}: model.json was altered (content of {model.version}). {advice}")
    return model


def _model_json(model: RiskModel, files: dict[str, str]) -> dict[str, Any]:
    return model.description() | {
        "version": model.version,
        "content_sha256": model.content_sha256,
        "feature_names": model.features.names,
        "files": files,
    }


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
        raise ModelError(f"{path}: not readable ({error}). Run python -m ml.pipelines.train_model") from error


def make_default(models: Path, chosen: DefaultModel) -> None:
    """Make a version the one that scoring uses, after checking that it loads."""
    load_model(models, chosen.version)
    temporary = models / f".default.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(chosen)))
    replace_durably(temporary, models / "default.json")
