"""Seccomp user notification by hand: a process asks another one before each of its chosen system calls.

`install` puts a filter on the calling thread and on all that it starts later, and returns a listener. Whoever holds the
listener answers every such call with an errno, or lets it go on. It needs no privilege, no compiler and no library,
and meets what DuckDB's own code does as well as what Python does. seccomp_unotify(2) tells the details.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

WRITE, FSYNC, NAME = "write", "fsync", "name"
KINDS = (WRITE, FSYNC, NAME)
"""What changes a file's content, what forces it to disk, and what changes names (or the permissions behind them)."""


@dataclass(frozen=True)
class Syscall:
    """A system call, its number on each machine (None: not there), and which arguments say what file it is about."""

    name: str
    kind: str
    x86_64: int | None
    aarch64: int | None
    places: tuple[tuple[int | None, int | None], ...]  # (descriptor or folder, path)
    flags: int | None = None  # the argument with the flags of an open: only with O_CREAT it changes a name


_FD = ((0, None),)
_PATH = ((None, 0),)
_AT = ((0, 1),)
SYSCALLS = (
    Syscall("write", WRITE, 1, 64, _FD),
    Syscall("pwrite64", WRITE, 18, 68, _FD),
    Syscall("writev", WRITE, 20, 66, _FD),
    Syscall("pwritev", WRITE, 296, 70, _FD),
    Syscall("pwritev2", WRITE, 328, 287, _FD),
    Syscall("sendfile", WRITE, 40, 71, _FD),
    Syscall("copy_file_range", WRITE, 326, 285, ((2, None),)),
    Syscall("truncate", WRITE, 76, 45, _PATH),
    Syscall("ftruncate", WRITE, 77, 46, _FD),
    Syscall("fallocate", WRITE, 285, 47, _FD),
    Syscall("fsync", FSYNC, 74, 82, _FD),
    Syscall("fdatasync", FSYNC, 75, 83, _FD),
    Syscall("sync_file_range", FSYNC, 277, 84, _FD),
    Syscall("rename", NAME, 82, None, ((None, 0), (None, 1))),
    Syscall("renameat", NAME, 264, 38, ((0, 1), (2, 3))),
    Syscall("renameat2", NAME, 316, 276, ((0, 1), (2, 3))),
    Syscall("symlink", NAME, 88, None, ((None, 1),)),
    Syscall("symlinkat", NAME, 266, 36, ((1, 2),)),
    Syscall("link", NAME, 86, None, ((None, 1),)),
    Syscall("linkat", NAME, 265, 37, ((2, 3),)),
    Syscall("unlink", NAME, 87, None, _PATH),
    Syscall("unlinkat", NAME, 263, 35, _AT),
    Syscall("mkdir", NAME, 83, None, _PATH),
    Syscall("mkdirat", NAME, 258, 34, _AT),
    Syscall("rmdir", NAME, 84, None, _PATH),
    Syscall("open", NAME, 2, None, _PATH, flags=1),
    Syscall("openat", NAME, 257, 56, _AT, flags=2),
    Syscall("chmod", NAME, 90, None, _PATH),
    Syscall("fchmod", NAME, 91, 52, _FD),
    Syscall("fchmodat", NAME, 268, 53, _AT),
)

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _NEW_LISTENER, _NO_NEW_PRIVS = 1, 1 << 3, 38
_ALLOW, _USER_NOTIF = 0x7FFF0000, 0x7FC00000
_LOAD, _IF_EQUAL, _IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06  # BPF, words
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_NOTIFICATION, _RESPONSE = struct.Struct("QIIiIQ6Q"), struct.Struct("QqiI")
_AT_FDCWD = -100


class UnavailableError(Exception):
    """This machine does not let a process filter its system calls; the message says why."""


@lru_cache
def numbers() -> dict[int, Syscall]:
    """The system calls by their numbers here."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _ARCH or sys.maxsize < 2**32:
        raise UnavailableError(f"seccomp user notification: not prepared for {sys.platform} on {machine}")
    return {number: call for call in SYSCALLS if (number := getattr(call, machine)) is not None}


def install() -> int:
    """Have this thread, and what it starts from now on, ask before the calls above; return the listener's descriptor.

    Raises:
        UnavailableError: the kernel or a container's own filter does not allow it.
    """
    program = _program(numbers())
    buffer = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise UnavailableError(f"prctl(PR_SET_NO_NEW_PRIVS): {os.strerror(ctypes.get_errno())}")
    seccomp = ctypes.c_long(_SECCOMP[platform.machine()])
    libc.syscall.restype = ctypes.c_long
    listener: int = libc.syscall(seccomp, ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(_NEW_LISTENER), filters)
    if listener < 0:
        raise UnavailableError(f"seccomp user notification: {os.strerror(ctypes.get_errno())}")
    return listener


def _program(calls: dict[int, Syscall]) -> bytes:
    """The filter: of another architecture, allow; one of the calls, notify (an open only with O_CREAT); else allow."""
    ask, allow = _bpf(_RETURN, _USER_NOTIF), _bpf(_RETURN, _ALLOW)
    code = _bpf(_LOAD, 4) + _bpf(_IF_EQUAL, _ARCH[platform.machine()], 1, 0) + allow + _bpf(_LOAD, 0)
    for number, call in calls.items():
        if call.flags is None:
            code += _bpf(_IF_EQUAL, number, 0, 1) + ask
        else:
            flags = 16 + 8 * call.flags  # both machines are little-endian: the low word comes first
            code += _bpf(_IF_EQUAL, number, 0, 4) + _bpf(_LOAD, flags)
            code += _bpf(_IF_SET, os.O_CREAT, 0, 1) + ask + allow
    return code + allow


def _bpf(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


@dataclass(frozen=True)
class Question:
    """A system call that waits for an answer."""

    id: int
    call: Syscall
    paths: tuple[Path, ...]


def receive(listener: int) -> Question | None:
    """Return the next question; None when whoever asked has died meanwhile."""
    buffer = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer)
        number, thread, _, call_number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
        call = numbers()[call_number]
        return Question(number, call, tuple(_path(thread, arguments, *place) for place in call.places))
    except FileNotFoundError:
        return None


def answer(listener: int, question: Question, error: int | None) -> None:
    """Let the call go on, or have it fail with an errno without being done."""
    reply = _RESPONSE.pack(question.id, 0, -error if error else 0, 0 if error else _CONTINUE)
    try:
        fcntl.ioctl(listener, _SEND, reply)
    except FileNotFoundError:
        return  # it was killed


def _path(thread: int, arguments: Any, descriptor: int | None, path: int | None) -> Path:
    """The file a call is about; the thread stands still meanwhile."""
    base = "cwd"
    if descriptor is not None:
        number = ctypes.c_int32(arguments[descriptor] & 0xFFFFFFFF).value
        base = "cwd" if number == _AT_FDCWD else f"fd/{number}"
    if path is None:
        return Path(os.readlink(f"/proc/{thread}/{base}"))  # noqa: PTH115 - may be `pipe:[1]`
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - a number, not a path of ours
        text = b""
        while b"\0" not in text:
            place = arguments[path] + len(text)
            memory.seek(place)
            text += memory.read(4096 - place % 4096)  # not beyond a page that may be the last one
    name = Path(os.fsdecode(text[: text.index(b"\0")]))
    return name if name.is_absolute() else Path(os.readlink(f"/proc/{thread}/{base}")) / name  # noqa: PTH115
