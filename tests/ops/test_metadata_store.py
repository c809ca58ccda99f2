"""The PostgreSQL of the stack: starts as root or not, at any path, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from ops.local_airflow import metadata_store
from ops.local_airflow.metadata_store import MetadataStore
from ops.local_airflow.state import make_run_dir


@pytest.fixture
def fallback(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for /var/lib; everybody can pass through it, unlike through pytest's folders."""
    folder = Path(tempfile.mkdtemp(prefix="claims-fallback-"))
    folder.chmod(0o755)
    monkeypatch.setattr(metadata_store, "ROOTS_FALLBACK", folder)
    return folder


@pytest.fixture
def store(fallback: Path, tmp_path: Path) -> Iterator[MetadataStore]:
    # A long path and one with a space: sockets have short names, command lines have words.
    run_dir = tmp_path / "a folder" / ("x" * 60) / "run"
    make_run_dir(run_dir)
    made = MetadataStore(run_dir, run_dir / "logs")
    yield made
    made.stop()
    made.remove()
    fallback.rmdir() if fallback.exists() else None


def answer(store: MetadataStore) -> str:
    with psycopg2.connect(host=str(store.socket_dir), user="airflow", dbname="postgres") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        cursor.execute("INSERT INTO kept VALUES ('kept')")
        cursor.execute("SELECT string_agg(word, ' ') || ' ' || current_setting('listen_addresses') FROM kept")
        (found,) = cursor.fetchone() or ("",)
    return str(found)


def servers(store: MetadataStore) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(store.data) in (p.info["cmdline"] or [])]


def test_data_outlive_a_restart_and_a_kill(store: MetadataStore) -> None:
    store.start(os.environ)
    assert answer(store) == "kept ", "listens on no network address"
    store.stamp.write_text("schema")
    assert store.stop()
    assert servers(store) == []
    assert not store.stop()
    store.start(os.environ)
    (server,) = servers(store)
    server.kill()
    server.wait(10)
    store.start(os.environ)
    assert answer(store) == "kept kept "
    assert store.stamp.read_text() == "schema"


def test_only_its_owner_gets_in(store: MetadataStore) -> None:
    store.start(os.environ)
    for folder in (store.data, store.socket_dir):
        assert folder.stat().st_mode & 0o077 == 0
    (server,) = servers(store)
    assert server.uids().real != 0, "PostgreSQL never runs as root"


def test_socket_of_a_long_path_lies_elsewhere(fallback: Path) -> None:
    run_dir = fallback / ("x" * 100) / "run"
    make_run_dir(run_dir)
    run_dir.parent.chmod(0o755)
    store = MetadataStore(run_dir, run_dir / "logs")
    assert store.data.is_relative_to(run_dir)
    try:
        store.start(os.environ)
        assert answer(store) == "kept "
    finally:
        store.stop()
        shutil.rmtree(fallback)
    assert not store.socket_dir.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another place")
def test_folders_above_the_checkout_are_not_opened_for_root(store: MetadataStore, fallback: Path) -> None:
    closed = [folder for folder in store.run_dir.parents if not folder.stat().st_mode & 0o001]
    assert closed, "pytest's own folder is closed to others"
    store.start(os.environ)
    assert store.home.parent == fallback
    assert not any(folder.stat().st_mode & 0o001 for folder in closed)


def test_roots_other_place_is_cleared_of_what_is_gone(fallback: Path, tmp_path: Path) -> None:
    for name, state_directory in {"gone": tmp_path / "removed", "kept": tmp_path}.items():
        (fallback / name / "data-18").mkdir(parents=True)
        (fallback / name / "state-directory").write_text(str(state_directory))
    (fallback / "someone's").mkdir()
    metadata_store._remove_abandoned()
    assert sorted(path.name for path in fallback.iterdir()) == ["kept", "someone's"]
    shutil.rmtree(fallback)
