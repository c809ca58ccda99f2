"""The API as its own process, by its command: what callers see while releases come and go, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import httpx
import psutil
import pytest

from ml.release import ReleaseStore
from ml.serving.tokens import make_token
from ml.settings import PROJECT_ROOT, Settings
from ops.local_airflow.state import free_port
from tests.deploy import deployment as deploy
from tests.nightly.conftest import Night

Publish = Callable[..., Night]

SECRET = "a-secret-for-tests-that-is-long-enough"
QUERY = "/claims/high-risk?service_type=RITL&min_risk=0.1&page_size=200"
READERS = 3


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    """A running API: its address, process and log."""
    port = free_port("127.0.0.1")
    log = tmp_path / "api.log"
    environment = os.environ | {
        "CLAIMS_API_JWT_SECRET": SECRET,
        "CLAIMS_INSTANCE_DIR": str(settings.instance_dir),
        "CLAIMS_API_PORT": str(port),
    }
    command = [sys.executable, "-m", "ml.pipelines.serve_claims"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT, stdout=output, stderr=output)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not answers(address):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield address, process, log
    finally:
        process.kill()
        process.wait()


def answers(address: str) -> bool:
    try:
        return bool(httpx.get(f"{address}/health", timeout=5).json()["status"])
    except httpx.TransportError:
        return False


def test_readers_see_whole_releases_and_no_error_while_releases_come_and_go(
    server: tuple[str, subprocess.Popen[bytes], Path], publish: Publish, store: ReleaseStore
) -> None:
    address, process, log = server
    first = publish("night-0", qc=True).published.release_id
    token = make_token(SECRET, "auditor-1", timedelta(hours=1), datetime.now(UTC))
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "10.9.8.7"}
    done = threading.Event()

    def keep_reading() -> list[tuple[int, str, int, frozenset[str]]]:
        seen = []
        with httpx.Client(base_url=address, headers=headers, timeout=30) as client:
            while not done.is_set():
                answer = client.get(QUERY)
                body = answer.json()
                claims = frozenset(claim["claim_id"] for claim in body.get("data", []))
                meta = body.get("meta", {})
                seen.append((answer.status_code, meta.get("release_id", ""), meta.get("total", -1), claims))
        return seen

    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(keep_reading) for _ in range(READERS)]
        for number in range(1, 5):
            publish(f"night-{number}")
            store.restore(f"night-{number}", reason="for the test")
            time.sleep(0.1)
        last = publish("night-5", qc=True).published.release_id
        time.sleep(0.5)
        done.set()
        seen = [each for reader in readers for each in reader.result()]

    assert {status for status, *_ in seen} == {200}
    assert {first, last} <= {release for _, release, _, _ in seen}
    for release in {release for _, release, _, _ in seen}:
        path = store.get(release).database
        with duckdb.connect(str(path), read_only=True) as connection:
            condition = "service_type = 'RITL' AND risk_score >= 0.1"
            wanted = {
                row[0] for row in connection.sql(f"SELECT claim_id FROM claims_high_risk WHERE {condition}").fetchall()
            }
        for _, _, total, claims in (each for each in seen if each[1] == release):
            assert total == len(wanted)
            assert len(claims) == min(200, total)
            assert claims <= wanted
    assert "'127.0.0.1' 'auditor-1' GET /claims/high-risk" in log.read_text()
    assert "10.9.8.7" not in log.read_text(), "whoever calls may say that he comes from there"
    assert token not in log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) in (0, -signal.SIGTERM)


def test_endless_headers_of_who_has_no_token_are_cut_off(
    server: tuple[str, subprocess.Popen[bytes], Path],
) -> None:
    address, process, _ = server
    began = time.monotonic()
    with socket.create_connection((httpx.URL(address).host, httpx.URL(address).port or 0), timeout=30) as caller:
        with suppress(OSError):
            caller.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: ")
            for _ in range(200):
                caller.sendall(b"x" * 1_000_000)
        assert time.monotonic() - began < 20
    assert answers(address)
    assert psutil.Process(process.pid).memory_info().rss < 500e6


def test_composes_health_check_goes_by_whether_the_api_answers(
    server: tuple[str, subprocess.Popen[bytes], Path], publish: Publish
) -> None:
    address, process, _ = server
    *_, code = deploy.services()["claims-api"]["healthcheck"]["test"]

    def check() -> int:
        told = code.replace("http://127.0.0.1:8090", address)
        assert told != code
        return subprocess.run([sys.executable, "-c", told], capture_output=True, timeout=30, check=False).returncode

    assert httpx.get(f"{address}/health").status_code == 503
    assert check() == 0, "before the first night there is nothing to read, and nothing to start anew"
    publish("night", qc=True)
    assert httpx.get(f"{address}/health").status_code == 200
    assert check() == 0
    process.kill()
    process.wait()
    assert check() != 0


def test_without_a_secret_the_command_ends_with_one_line(settings: Settings) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "ml.pipelines.serve_claims"],
        env={**os.environ, "CLAIMS_API_JWT_SECRET": "", "CLAIMS_INSTANCE_DIR": str(settings.instance_dir)},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("ERROR: CLAIMS_API_JWT_SECRET is not set.")
    assert len(ended.stderr.splitlines()) == 1
