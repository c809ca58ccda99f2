"""What tests look up in an instance, and how they damage a release of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from ml.release import Published, ReleaseStore, Restored


def sql(database: Path, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(statement).fetchall()


def nothing_left_over(instance: Path) -> bool:
    kept = {".lock", ".reserve"}
    return [path.name for path in (instance / "releases").glob(".*") if path.name not in kept] == []


def live_id(store: ReleaseStore) -> str | None:
    live = store.live()
    return None if live is None else live.id


def is_noop(store: ReleaseStore, restored: Restored, live: Published | None) -> bool:
    expected = None if live is None else live.release_id
    return (
        not restored.restored and restored.live == restored.was == expected == live_id(store) and restored.message != ""
    )


def spoil(published: Published, name: str = "analytics.duckdb") -> None:
    """Flip one bit in the middle of a file."""
    path = published.path / name
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
