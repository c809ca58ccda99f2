"""For crash tests only: stops this very process before or after a step of the protocol, as a power cut would."""

from __future__ import annotations

import os
import signal

from ml.release import steps

ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def arm(point: str) -> None:
    """Stop this process at `<before|after>:<step>[:<kill|stop>]`; kill is the default, stop lets a test go on later.

    Raises:
        ValueError: there is no such point.
    """
    moment, _, rest = point.partition(":")
    name, _, action = rest.partition(":")
    if moment not in ("before", "after") or name not in list(steps.Step) or (action or "kill") not in ACTIONS:
        raise ValueError(f"{steps.FAILPOINT}={point!r}: it must be <before|after>:<step>[:<kill|stop>]")
    wanted, number = f"{moment}:{name}", ACTIONS[action or "kill"]

    def watch(reached: str) -> None:
        if reached == wanted:
            os.kill(os.getpid(), number)

    steps.watcher = watch
