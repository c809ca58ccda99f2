"""Stand-ins for what Docker gives a container: its first process, and the run of its health check."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.deploy import deployment as deploy

# `init: true`: starts the command, buries orphans, ends with the command and its exit code. In a container the kernel
# then kills whoever is left.
INIT = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come here, as they come to process 1
main = subprocess.Popen(sys.argv[1:])
while True:
    pid, status = os.wait()
    if pid == main.pid:
        code = os.waitstatus_to_exitcode(status)
        sys.exit(code if code >= 0 else 128 - code)
"""


@dataclass(frozen=True)
class Container:
    """A service's processes on this machine; `init` stands for process 1."""

    init: psutil.Popen
    log: Path

    @property
    def main(self) -> psutil.Process:
        """The service itself."""
        return min(self.init.children(), key=lambda child: float(child.create_time()))


@contextmanager
def container(command: Sequence[str], environ: Mapping[str, str], log: Path) -> Iterator[Container]:
    """Run a service's command under a first process, and end all of it."""
    with log.open("ab") as output:
        init = psutil.Popen([sys.executable, "-c", INIT, *command], env=dict(environ), stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 20
        while not init.children() and time.monotonic() < deadline:
            time.sleep(0.02)
        yield Container(init, log)
    finally:
        left = init.children(recursive=True) if init.poll() is None else []
        for process in [init, *left]:
            if process.is_running():
                process.kill()
        init.wait()


def check(service: str, port: int, *, init: int = 0, patience: float | None = None, pause: float | None = None) -> int:
    """Run a service's health check as Docker does; return the exit code.

    Args:
        port: where the API server listens, on this machine.
        init: what is process 1 in the container.
        patience: seconds of silence allowed, in place of the service's own.
        pause: seconds between the two looks, in place of its own.
    """
    test = deploy.services()[service]["healthcheck"]
    kind, program, flag, code, _, part, *heal = test["test"]
    assert (kind, program, flag) == ("CMD", "python", "-c")
    code = deploy.interpolate(code, {})
    assert code.count(":8080/") == 1
    code = code.replace(":8080/", f":{port}/")
    if pause is not None:
        assert code.count("time.sleep(6)") == 1
        code = code.replace("time.sleep(6)", f"time.sleep({pause})")
    arguments = ["127.0.0.1", part]
    if heal:
        assert heal[1:] == ["1"], "the container's first process"
        arguments += [heal[0] if patience is None else str(patience), str(init)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env={}, capture_output=True, timeout=int(test["timeout"][:-1])
    )
    return done.returncode
