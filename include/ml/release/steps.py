"""The protocol's steps by name (docs/publishing.md has the same names), each a place where a test may pull the plug."""

from __future__ import annotations

import logging
import os
import signal
from enum import StrEnum

logger = logging.getLogger(__name__)

FAILPOINT = "CLAIMS_RELEASE_FAILPOINT"
"""Environment variable for crash tests: the process kills itself (SIGKILL) right after the step of this name."""


class Step(StrEnum):
    """Publish (the first thirteen, in this order) and step back (the last three, in this order)."""

    LOCK = "lock"
    FENCE = "fence"
    RECOGNISE = "recognise"
    SWEEP = "sweep"
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


def reached(step: Step) -> None:
    """Note that a step is complete, and die here if a crash test asked for it."""
    logger.debug("release step %s", step)
    if os.environ.get(FAILPOINT) == step:
        os.kill(os.getpid(), signal.SIGKILL)
