"""The protocol's steps by name (docs/publishing.md has the same names and numbers).

A crash test stops a process before or after any of them: `ml.release.failpoint`, which is loaded only when the
environment asks for it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

logger = logging.getLogger(__name__)

FAILPOINT = "CLAIMS_RELEASE_FAILPOINT"
"""Environment variable for crash tests, read once when a process starts: `before:<step>` or `after:<step>`."""


class Step(StrEnum):
    """Publish (1 to 13), step back (B1 to B3) and garbage collection (G1 to G3, inside 13), each in this order."""

    LOCK = "lock"
    FENCE = "fence"
    SWEEP = "sweep"
    RECOGNISE = "recognise"
    SPACE = "space"
    BUILD = "build"
    COMPARE = "compare"
    SEAL = "seal"
    RENAME = "rename"
    INTENT = "intent"
    SWITCH = "switch"
    ACKNOWLEDGE = "acknowledge"
    COLLECT = "collect"

    BACK_DECIDE = "back_decide"
    BACK_SWITCH = "back_switch"
    BACK_ACKNOWLEDGE = "back_acknowledge"

    COLLECT_RENAME = "collect_rename"
    COLLECT_NOTE = "collect_note"
    COLLECT_DELETE = "collect_delete"


watcher: Callable[[str], None] | None = None
"""Told `before:<step>` and `after:<step>`; None outside crash tests."""


@contextmanager
def step(name: Step) -> Iterator[None]:
    """Mark what a step does; a step that raises is not complete."""
    if watcher:
        watcher(f"before:{name}")
    yield
    logger.debug("release step %s", name)
    if watcher:
        watcher(f"after:{name}")


if os.environ.get(FAILPOINT):
    from ml.release import failpoint

    failpoint.arm(os.environ[FAILPOINT])
