"""Tests never read the caller's settings: a stray environment variable or .env must not change their outcome."""

from __future__ import annotations

import os

import pytest

from ml.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CLAIMS_") or name in ("RULESET_VERSION", "REFRESH_TOP_K"):
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
