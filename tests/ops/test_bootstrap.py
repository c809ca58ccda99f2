"""The set-up of a bare machine: which Python, which wheel, and nothing that the index did not promise."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops import bootstrap
from ops.bootstrap import BootstrapError, IndexFile

ROOT = Path(bootstrap.__file__).resolve().parents[1]
PAGE = "https://index.example/simple/uv/"
WHEELS = [
    IndexFile(name, f"https://files.example/{name}", "0" * 64)
    for name in (
        "uv-0.13.9.tar.gz",
        "uv-0.13.8-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "uv-0.13.9-py3-none-linux_armv6l.whl",
        "uv-0.13.9-py3-none-macosx_11_0_arm64.whl",
        "uv-0.13.9-py3-none-macosx_10_12_x86_64.whl",
        "uv-0.13.9-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "uv-0.13.9-py3-none-musllinux_1_1_x86_64.whl",
        "uv-0.13.9-py3-none-win_amd64.whl",
    )
]


def test_index_page_as_json() -> None:
    files = [
        {"filename": "uv-1.whl", "url": "../../files/uv-1.whl", "hashes": {"sha256": "ab"}},
        {"filename": "uv-0.whl", "url": "https://elsewhere/uv-0.whl", "hashes": {"md5": "weak"}},
    ]
    body = json.dumps({"files": files}).encode()
    assert bootstrap.parse_index(bootstrap.JSON_INDEX + "; charset=utf-8", body, PAGE) == [
        IndexFile("uv-1.whl", "https://index.example/files/uv-1.whl", "ab")
    ]


def test_index_page_as_html() -> None:
    body = b"""<html><body><a href="../../f/uv-1%2Blocal.whl#sha256=ab">uv</a>
        <a href="https://x/uv-2.whl">no hash</a> <a href="https://x/uv-3.whl#md5=cd">weak</a> <a>none</a></body>"""
    assert bootstrap.parse_index("text/html", body, PAGE) == [
        IndexFile("uv-1+local.whl", "https://index.example/f/uv-1%2Blocal.whl", "ab")
    ]


@pytest.mark.parametrize(
    ("system", "machine", "part"),
    [
        ("Linux", "x86_64", "manylinux_2_17_x86_64"),
        ("Linux", "aarch64", "manylinux_2_17_aarch64"),
        ("Darwin", "arm64", "macosx_11_0_arm64"),
        ("Darwin", "x86_64", "macosx_10_12_x86_64"),
    ],
)
def test_wheel_of_this_machine_and_version(system: str, machine: str, part: str) -> None:
    chosen = bootstrap.choose_wheel(WHEELS, "0.13.9", system, machine)
    assert chosen.name.startswith("uv-0.13.9-")
    assert part in chosen.name


@pytest.mark.parametrize(
    ("version", "system", "machine"), [("0.13.7", "Linux", "x86_64"), ("0.13.9", "Linux", "riscv64")]
)
def test_no_wheel_is_said(version: str, system: str, machine: str) -> None:
    with pytest.raises(BootstrapError, match=f"no uv {version} for {system} {machine}"):
        bootstrap.choose_wheel(WHEELS, version, system, machine)


def test_version_comes_from_the_lock() -> None:
    assert bootstrap.locked_version("uvicorn==1\nuv==0.13.9 ; x\n    # via uv==3\n", "uv") == "0.13.9"
    with pytest.raises(BootstrapError, match="does not pin uv"):
        bootstrap.locked_version("uvicorn==1\n", "uv")
    assert bootstrap.locked_version((ROOT / "requirements.txt").read_text(), "uv")


def test_index_of_pip_or_uv_is_respected() -> None:
    assert bootstrap.index_url({}) == "https://pypi.org/simple"
    assert bootstrap.index_url({"PIP_INDEX_URL": "https://a/simple/"}) == "https://a/simple"
    assert bootstrap.index_url({"PIP_INDEX_URL": "https://a", "UV_INDEX_URL": "https://b"}) == "https://b"


def test_uv_inherits_what_pip_was_told(tmp_path: Path) -> None:
    environ = bootstrap.uv_environment({"PIP_INDEX_URL": "https://a", "PIP_CERT": "/ca.pem", "HOME": str(tmp_path)})
    assert environ["UV_DEFAULT_INDEX"] == "https://a"
    assert environ["SSL_CERT_FILE"] == "/ca.pem"
    assert "UV_NO_CACHE" not in environ
    assert "UV_DEFAULT_INDEX" not in bootstrap.uv_environment({"HOME": str(tmp_path)})


@dataclass
class FakeIndex:
    """A package index with one uv wheel, on the loopback interface."""

    url: str
    wheel: bytes
    promised: str
    authorisations: list[str | None] = field(default_factory=list)


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("uv-9.9.9.data/scripts/uv", "#!/bin/sh\necho uv 9.9.9\n")
    machine = platform.machine()
    name = f"uv-9.9.9-py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.whl"
    fake = FakeIndex("", buffer.getvalue(), hashlib.sha256(buffer.getvalue()).hexdigest())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.authorisations.append(self.headers.get("Authorization"))
            page = self.path == "/simple/uv/"
            link = {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": fake.promised}}
            body = json.dumps({"files": [link]}).encode() if page else fake.wheel
            self.send_response(200)
            self.send_header("Content-Type", bootstrap.JSON_INDEX if page else "application/octet-stream")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"127.0.0.1:{server.server_port}/simple"
    yield fake
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(sys.platform != "linux", reason="the fake wheel is one for Linux")
def test_uv_is_fetched_with_the_credentials_of_the_url(index: FakeIndex, tmp_path: Path) -> None:
    target = tmp_path / "kept" / "uv-9.9.9"
    bootstrap.fetch_uv("9.9.9", target, {"PIP_INDEX_URL": f"http://me:p%40ss@{index.url}"})
    assert bootstrap.uv_version(target) == "9.9.9"
    assert index.authorisations == ["Basic bWU6cEBzcw=="] * 2, "the page, and the file beside it"


@pytest.mark.skipif(sys.platform != "linux", reason="the fake wheel is one for Linux")
def test_bytes_that_the_index_did_not_promise_are_refused(index: FakeIndex, tmp_path: Path) -> None:
    index.promised = "0" * 64
    with pytest.raises(BootstrapError, match="SHA-256 differs"):
        bootstrap.fetch_uv("9.9.9", tmp_path / "kept" / "uv", {"PIP_INDEX_URL": f"http://{index.url}"})
    assert not (tmp_path / "kept").exists()


def test_unreachable_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match=r"http://127\.0\.0\.1:9/simple/uv/"):
        bootstrap.fetch_uv("9.9.9", tmp_path / "uv", {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"})


def test_nothing_is_done_when_the_environment_is_up_to_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text("uv==1\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".claims-stamp").write_text(bootstrap.fingerprint(tmp_path))
    bootstrap.build(tmp_path, {})
    assert capsys.readouterr().out == ""
    (tmp_path / "pyproject.toml").write_text("changed")
    assert (tmp_path / ".venv" / ".claims-stamp").read_text() != bootstrap.fingerprint(tmp_path)


def test_environment_of_another_place_is_not_usable(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "a")], check=True)
    assert bootstrap.usable(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert not bootstrap.usable(tmp_path / "a")
    (tmp_path / "c").mkdir()
    assert not bootstrap.usable(tmp_path / "c")


def find_python(folder: Path, **interpreters: str) -> subprocess.CompletedProcess[str]:
    """Run find_python.sh where only these commands exist: name -> body of a shell script."""
    for name, body in interpreters.items():
        script = folder / name.replace("_", ".")
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
    environ = {"PATH": str(folder)} | {k: v for k, v in os.environ.items() if k == "PYTHON"}
    return subprocess.run(
        ["/bin/sh", str(ROOT / "ops" / "find_python.sh")], env=environ, capture_output=True, text=True
    )


def test_first_working_python_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON", raising=False)
    assert find_python(tmp_path, python3_11="exit 127", python3_12="exit 0", python3="exit 0").stdout == "python3.12\n"


def test_real_version_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON", sys.executable)
    assert find_python(tmp_path).stdout.strip() == sys.executable


def test_python_of_the_caller_is_not_replaced_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON", "python2")
    found = find_python(tmp_path, python2="exit 1", python3_11="exit 0")
    assert found.returncode == 1
    assert "PYTHON=python2 is not a working Python 3.11, 3.12 or 3.13" in found.stderr


def test_no_python_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON", raising=False)
    found = find_python(tmp_path, python3="exit 1")
    assert found.returncode == 1
    assert "apt-get install python3" in found.stderr
