"""Builds `.venv` from the lock with nothing but the standard library; does nothing when it is up to date.

Debian's bare `python3` has neither pip nor ensurepip. Then uv, which installs the rest, is taken from the package
index as a wheel: its SHA-256 must be the one the index names.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import html.parser
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_INDEX = "https://pypi.org/simple"
JSON_INDEX = "application/vnd.pypi.simple.v1+json"
TIMEOUT_SECONDS = 60


class BootstrapError(Exception):
    """The environment cannot be built; the message says what to do."""


@dataclass(frozen=True)
class IndexFile:
    """One file of a package index page."""

    name: str
    url: str
    sha256: str


def main() -> int:
    """Build or refresh the environment; return the exit code."""
    try:
        with (ROOT / "requirements.txt").open() as lock:  # two `make` at once must not build the same folder
            fcntl.flock(lock, fcntl.LOCK_EX)
            build(ROOT, dict(os.environ))
    except BootstrapError as error:
        print(f"Setting up .venv failed: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"Setting up .venv failed: {error}", file=sys.stderr)
        return 1
    return 0


def build(root: Path, environ: dict[str, str]) -> None:
    """Make `<root>/.venv` hold exactly the lock's packages and the project itself."""
    venv = root / ".venv"
    stamp = venv / ".claims-stamp"
    wanted = fingerprint(root)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("Setting up .venv from requirements.txt ...", flush=True)
    stamp.unlink(missing_ok=True)
    if not usable(venv):
        shutil.rmtree(venv, ignore_errors=True)
        make_venv(venv)
    environ = uv_environment(environ)
    uv = find_uv(root, venv, environ)
    python = str(venv / "bin" / "python")
    run([uv, "pip", "sync", "--quiet", "--python", python, str(root / "requirements.txt")], environ)
    editable = ["--no-deps", "--no-build-isolation", "--editable", str(root)]
    run([uv, "pip", "install", "--quiet", "--python", python, *editable], environ)
    stamp.write_text(wanted)


def fingerprint(root: Path) -> str:
    """What the environment depends on: the lock, the project's metadata, this Python, and the place itself."""
    digest = hashlib.sha256()
    for name in ("requirements.txt", "pyproject.toml"):
        digest.update((root / name).read_bytes())
    digest.update(f"{root} {sys.version_info[:2]} {platform.machine()}".encode())
    return digest.hexdigest()


def usable(venv: Path) -> bool:
    """Whether there is an environment of this Python version at this very place (scripts carry its path)."""
    python = venv / "bin" / "python"
    try:
        asked = subprocess.run(
            [python, "-c", "import sys; print(sys.prefix, *sys.version_info[:2])"], capture_output=True, text=True
        )
    except OSError:
        return False
    return asked.returncode == 0 and asked.stdout.strip() == f"{venv} {sys.version_info[0]} {sys.version_info[1]}"


def make_venv(venv: Path) -> None:
    """Create an empty environment, with pip when Python brings it along.

    Raises:
        BootstrapError: this Python cannot make environments at all.
    """
    if importlib.util.find_spec("venv") is None:
        raise BootstrapError(
            f"{sys.executable} has no `venv` module; install the full package (apt-get install python3)."
        )
    pip = [] if importlib.util.find_spec("ensurepip") else ["--without-pip"]
    if subprocess.run([sys.executable, "-m", "venv", *pip, str(venv)], capture_output=True).returncode == 0:
        return
    # Debian leaves a part of ensurepip in place that fails when it is called.
    shutil.rmtree(venv, ignore_errors=True)
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)], dict(os.environ))


def find_uv(root: Path, venv: Path, environ: Mapping[str, str]) -> str:
    """Return a uv of the locked version: the environment's, or one fetched with pip or from the index."""
    version = locked_version((root / "requirements.txt").read_text(), "uv")
    kept = root / ".venv-bootstrap" / f"uv-{version}"
    for candidate in (venv / "bin" / "uv", kept):
        if candidate.exists() and uv_version(candidate) == version:
            return str(candidate)
    if (venv / "bin" / "pip").exists():
        run([str(venv / "bin" / "pip"), "install", "--quiet", f"uv=={version}"], environ)
        return str(venv / "bin" / "uv")
    fetch_uv(version, kept, environ)
    return str(kept)


def uv_version(uv: Path) -> str:
    """Return what `uv --version` says, "" when it does not run."""
    try:
        words = subprocess.run([uv, "--version"], capture_output=True, text=True).stdout.split()
    except OSError:
        return ""
    return words[1] if len(words) > 1 else ""


def locked_version(lock: str, package: str) -> str:
    """Return the version a lock pins.

    Raises:
        BootstrapError: the lock does not pin the package.
    """
    found = re.search(rf"^{re.escape(package)}==([^\s;]+)", lock, re.MULTILINE)
    if not found:
        raise BootstrapError(f"requirements.txt does not pin {package}; run `make lock` where {package} is installed.")
    return found.group(1)


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Hand pip's settings on to uv, which reads only its own, and avoid a cache it cannot write."""
    result = dict(environ)
    if index := index_url(environ, default=""):
        result.setdefault("UV_DEFAULT_INDEX", index)
    if certificates := environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile:
        result.setdefault("SSL_CERT_FILE", certificates)
    home = Path(environ.get("UV_CACHE_DIR") or environ.get("XDG_CACHE_HOME") or environ.get("HOME") or "/nonexistent")
    while not home.exists():
        home = home.parent
    if not os.access(home, os.W_OK):
        result["UV_NO_CACHE"] = "1"
    return result


def index_url(environ: Mapping[str, str], default: str = DEFAULT_INDEX) -> str:
    """Return the package index that pip's or uv's own variables name."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if url := environ.get(name):
            return url.rstrip("/")
    return default


def fetch_uv(version: str, target: Path, environ: Mapping[str, str]) -> None:
    """Take the uv program out of the index's wheel for this machine.

    Raises:
        BootstrapError: no such wheel, no connection, or not the bytes the index promised.
    """
    page = f"{index_url(environ)}/uv/"
    content_type, body = download(page, environ, accept=f"{JSON_INDEX}, text/html;q=0.5")
    wheel = choose_wheel(parse_index(content_type, body, page), version, platform.system(), platform.machine())
    _, data = download(wheel.url, environ)
    if hashlib.sha256(data).hexdigest() != wheel.sha256:
        raise BootstrapError(f"{wheel.name} is not the file that the index names (SHA-256 differs).")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        program = archive.read(f"uv-{version}.data/scripts/uv")
    target.parent.mkdir(exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(program)
    partial.chmod(0o755)
    partial.replace(target)


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]


def parse_index(content_type: str, body: bytes, page: str) -> list[IndexFile]:
    """Read an index page, in the JSON form (PEP 691) or the HTML one (PEP 503); files without SHA-256 are left out."""
    if content_type.partition(";")[0].strip() == JSON_INDEX:
        return [
            IndexFile(file["filename"], urllib.parse.urljoin(page, file["url"]), file["hashes"]["sha256"])
            for file in json.loads(body)["files"]
            if "sha256" in file["hashes"]
        ]
    links = _Links()
    links.feed(body.decode())
    files = []
    for href in links.hrefs:
        url, _, fragment = urllib.parse.urljoin(page, href).partition("#")
        name = urllib.parse.unquote(url.rpartition("/")[2])
        if fragment.startswith("sha256="):
            files.append(IndexFile(name, url, fragment.removeprefix("sha256=")))
    return files


def choose_wheel(files: list[IndexFile], version: str, system: str, machine: str) -> IndexFile:
    """Return the wheel of a version for a machine.

    Raises:
        BootstrapError: the index has none.
    """
    platforms = {"Linux": "manylinux", "Darwin": "macosx"}
    machines = {"arm64": "arm64|aarch64", "aarch64": "arm64|aarch64"}
    wanted = re.compile(
        rf"uv-{re.escape(version)}-py3-none-\S*{platforms.get(system, system.lower())}\S*"
        rf"_({machines.get(machine, re.escape(machine))})\b\S*\.whl"
    )
    for file in files:
        if wanted.fullmatch(file.name):
            return file
    raise BootstrapError(f"The package index has no uv {version} for {system} {machine}.")


def download(url: str, environ: Mapping[str, str], accept: str = "*/*") -> tuple[str, bytes]:
    """Return content type and body; a user and password in the URL are sent as basic authentication.

    Raises:
        BootstrapError: the server cannot be reached, trusted, or refuses.
    """
    parts = urllib.parse.urlsplit(url)
    shown = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(shown)  # noqa: S310  the user's own index
    request.add_header("Accept", accept)
    request.add_header("User-Agent", "claims-risk-scoring-bootstrap")
    if parts.username:
        secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        # Unredirected: another server must not get to know it.
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
    context = ssl.create_default_context(cafile=environ.get("PIP_CERT"))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context) as answer:  # noqa: S310
            return answer.headers.get("Content-Type", ""), answer.read()
    except (OSError, urllib.error.URLError) as error:
        hint = ""
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = " This system trusts no such certificate: apt-get install ca-certificates, or set SSL_CERT_FILE."
        raise BootstrapError(f"{shown}: {error}.{hint}") from error


def run(command: list[str], environ: Mapping[str, str]) -> None:
    """Run a command, its output shown.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run(command, check=True, env=dict(environ), cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
