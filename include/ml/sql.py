"""Finds the statements under `include/sql`, so that Airflow's operators and the CLIs run the same text."""

from __future__ import annotations

from pathlib import Path

SQL_ROOT = Path(__file__).resolve().parents[1] / "sql"


def sql_text(name: str) -> str:
    """Return the text of `include/sql/<name>`, e.g. `claims_normalized/40_peer_groups.sql`."""
    return (SQL_ROOT / name).read_text(encoding="utf-8")


def sql_files(folder: str) -> list[str]:
    """Return the statements of a folder in the order of their numbers, as names for `sql_text`."""
    return sorted(path.relative_to(SQL_ROOT).as_posix() for path in (SQL_ROOT / folder).glob("*.sql"))
