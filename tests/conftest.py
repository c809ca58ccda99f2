"""Tests never read the caller's settings: a stray environment variable or .env must not change their outcome.

Those that share a stack run in one worker, so that it is started once.
"""

from __future__ import annotations

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from ml.settings import Settings

ONE_STACK = "tests/e2e/failures/"  # its files share a stack that takes minutes to start


class ByFileOrStack(LoadFileScheduling):
    """`--dist=loadfile`, but the files that share a stack go to one worker, one after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return ONE_STACK if nodeid.startswith(ONE_STACK) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileOrStack | None:
    return ByFileOrStack(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CLAIMS_") or name in ("RULESET_VERSION", "REFRESH_TOP_K"):
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
