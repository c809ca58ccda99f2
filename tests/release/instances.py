"""What tests look up in an instance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb


def sql(database: Path, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(statement).fetchall()


def nothing_left_over(instance: Path) -> bool:
    kept = {".lock", ".reserve"}
    return [path.name for path in (instance / "releases").glob(".*") if path.name not in kept] == []
