"""A process in which the Nth write, fsync or change of a name fails, and perhaps all that come after it.

`Faulty` calls methods of the store in a process of its own. That process asks before each such system call on a file
of the instance (`tests.release.bpf`), DuckDB's included; a thread here counts them and lets them go on or fail. Where
seccomp is not to be had, functions of `os` are wrapped instead: the same faults, without DuckDB's calls and the writes
of buffered files.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

from ml.release import ReleaseError, ReleaseStore
from tests.release import bpf
from tests.release.bpf import FSYNC, NAME, WRITE
from tests.release.processes import SPAWN

Call: TypeAlias = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A method of the store with its arguments."""

Look: TypeAlias = Callable[[str], None]
"""Told of each call before it is answered, while the process stands still."""

INSTANCE = "instance"


@dataclass(frozen=True)
class Fault:
    """What fails: the call with number `at` (from 1) of a kind, or of all kinds together, once or from then on."""

    kind: str | None
    at: int
    error: int
    stays: bool

    def __str__(self) -> str:
        since = "from" if self.stays else "at"
        return f"{errno.errorcode[self.error]} {since} {self.kind or 'change'} {self.at}"


class Met(NamedTuple):
    """A system call on a file of the instance: its kind, its name with the path, and whether it was made to fail."""

    kind: str
    label: str
    failed: bool


@dataclass
class Plan:
    """Counts the calls on files under `root`, and decides which of them fail."""

    root: Path
    fault: Fault | None = None
    look: Look | None = None
    met: list[Met] = field(default_factory=list)

    def meet(self, name: str, kind: str, paths: tuple[Path, ...]) -> int | None:
        """Return the errno of a call that is about to be made, or None if it goes on."""
        inside = [str(path.relative_to(self.root)) for path in paths if path.is_relative_to(self.root)]
        if not inside:
            return None
        label = f"{name} {inside[-1]}"
        if self.look is not None:
            self.look(label)
        error = None
        if self.fault is not None and self.fault.kind in (None, kind):
            number = 1 + sum(self.fault.kind in (None, met.kind) for met in self.met)
            if number == self.fault.at or (self.fault.stays and number > self.fault.at):
                error = self.fault.error
        self.met.append(Met(kind, label, error is not None))
        return error


@dataclass(frozen=True)
class Outcome:
    """What a call of the store came to; `clear` says whether its error tells a human what happened and where."""

    result: Any
    error: str | None
    clear: bool
    still_open: list[str]
    met: list[Met]

    @property
    def labels(self) -> list[str]:
        """All calls, in order."""
        return [met.label for met in self.met]

    @property
    def failed(self) -> list[str]:
        """The calls that were made to fail."""
        return [met.label for met in self.met if met.failed]

    @property
    def counts(self) -> Counter[str]:
        """The number of calls of each kind."""
        return Counter(met.kind for met in self.met)


class Faulty:
    """A process that works in `root / INSTANCE` and meets faults; a new one is started when it dies of one.

    A `powerless` one is bound by permissions, even as root.
    """

    def __init__(self, root: Path, *, seccomp: bool, powerless: bool = False) -> None:
        self.root, self.seccomp, self.powerless = root, seccomp, powerless
        self._process: ForkServerProcess | None = None
        self._pipe: Connection[Any, Any] | None = None
        self._plan = Plan(root)
        self._broken: BaseException | None = None

    def __enter__(self) -> Faulty:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join(30)

    def run(self, call: Call, fault: Fault | None = None, look: Look | None = None) -> Outcome:
        """Call a method of the store and have it meet a fault, or only count."""
        if self._process is None or not self._process.is_alive():
            self._start()
        assert self._pipe is not None
        self._plan = Plan(self.root, fault, look)
        self._pipe.send((call, None if self.seccomp else fault))
        try:
            assert self._pipe.poll(60), f"{call[0]} hangs with {fault}"
            result, error, clear, still_open, met = self._pipe.recv()
        except EOFError:
            assert self._process is not None
            self._process.join(30)
            death = f"the process died with exit code {self._process.exitcode}"
            return Outcome(None, death, False, [], self._plan.met)
        if self._broken is not None:
            raise self._broken
        return Outcome(result, error, clear, still_open, self._plan.met if self.seccomp else met)

    def _start(self) -> None:
        """Start the process and, before it does anything, take over its listener."""
        address = f"\0claims-faults-{uuid4().hex}"  # abstract: it needs no file and so no short path
        self._pipe, far = SPAWN.Pipe()
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(60)
            door.bind(address)
            door.listen(1)
            arguments = (far, self.root, address if self.seccomp else None, self.powerless)
            self._process = SPAWN.Process(target=_serve, args=arguments, daemon=True)
            self._process.start()
            far.close()
            if self.seccomp:
                with door.accept()[0] as visitor:
                    reason, listeners, _, _ = socket.recv_fds(visitor, 1000, 1)
                if not listeners:
                    raise bpf.UnavailableError(reason.decode())
                threading.Thread(target=self._supervise, args=(listeners[0],), daemon=True).start()

    def _supervise(self, listener: int) -> None:
        """Answer the process until it is dead."""
        waiting = select.poll()
        waiting.register(listener, select.POLLIN)
        while waiting.poll()[0][1] & select.POLLIN:
            question = bpf.receive(listener)
            if question is None:
                continue
            try:
                error = self._plan.meet(question.call.name, question.call.kind, question.paths)
            except BaseException as broken:
                self._broken, error = broken, None
            bpf.answer(listener, question, error)
        os.close(listener)


def _serve(pipe: Connection[Any, Any], root: Path, address: str | None, powerless: bool) -> None:
    plan = Plan(root)
    if powerless:
        _give_up_power()
    if address is None:
        _wrap_os(lambda *call: plan.meet(*call))
    else:
        with socket.socket(socket.AF_UNIX) as way:
            way.connect(address)
            try:
                socket.send_fds(way, [b"-"], [bpf.install()])
            except bpf.UnavailableError as error:
                way.sendmsg([str(error).encode()])
                return
    while True:
        try:
            (method, arguments, options), fault = pipe.recv()
        except EOFError:
            return
        plan = Plan(root, fault)
        result, told, clear = None, None, True
        store = ReleaseStore(root / INSTANCE, lock_timeout=5, keep=1, threads=1, memory_limit="500MB")
        try:
            result = getattr(store, method)(*arguments, **options)
        except Exception as caught:
            clear = isinstance(caught, ReleaseError) or (isinstance(caught, OSError) and caught.filename is not None)
            told = f"{type(caught).__name__}: {caught}"
        plan.fault = None
        pipe.send((result, told, clear, _still_open(root), plan.met))


def _give_up_power() -> None:
    """Drop all capabilities: to root, too, a folder may now be closed."""
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    assert ctypes.CDLL(None).capset(header, none) == 0


@contextmanager
def holding_the_lock(root: Path) -> Iterator[int]:
    """Have another process hold the room's lock, and kill it at the end of the block; hands out its id."""
    held = SPAWN.Event()
    process = SPAWN.Process(target=_hold, args=(root / INSTANCE / "releases" / ".lock", held), daemon=True)
    process.start()
    try:
        assert held.wait(30)
        assert process.pid is not None
        yield process.pid
    finally:
        process.kill()
        process.join(30)


def _hold(lock: Path, held: Event) -> None:
    with lock.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held.set()
        signal.pause()


def _still_open(root: Path) -> list[str]:
    """Files of the instance that this process has not closed."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            targets.append(descriptor.readlink())
        except FileNotFoundError:  # the one that lists them
            continue
    return [str(target.relative_to(root)) for target in targets if target.is_relative_to(root)]


_WRAPPED = {
    "fsync": FSYNC,
    "write": WRITE,
    "pwrite": WRITE,
    "ftruncate": WRITE,
    "rename": NAME,
    "replace": NAME,
    "symlink": NAME,
    "mkdir": NAME,
    "unlink": NAME,
    "rmdir": NAME,
    "chmod": NAME,
}


def _wrap_os(meet: Callable[[str, str, tuple[Path, ...]], int | None]) -> None:
    """Have the functions of `os` ask first, as the system calls below them would."""

    def wrap(name: str, kind: str) -> None:
        real = getattr(os, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            error = meet("rename" if name == "replace" else name, kind, _paths(name, arguments, options))
            if error is not None:
                paths = arguments[:1] if not isinstance(arguments[0], int) else ()
                raise OSError(error, os.strerror(error), *map(str, paths))
            return real(*arguments, **options)

        setattr(os, name, wrapped)

    for name, kind in _WRAPPED.items():
        wrap(name, kind)


def _paths(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Path, ...]:
    first = 1 if name == "symlink" else 0
    given = arguments[first : 2 if name in ("rename", "replace", "symlink") else 1]
    folder = options.get("dir_fd")
    base = Path() if folder is None else _of_descriptor(folder)
    return tuple(_of_descriptor(each) if isinstance(each, int) else base / each for each in given)


def _of_descriptor(descriptor: int) -> Path:
    return Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - may be `pipe:[1]`
