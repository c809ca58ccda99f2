"""Finds the two raw files and opens each as a stream of text rows, whatever its format.

A file is never loaded whole: CSV and Parquet are scanned by DuckDB, `.dta` goes through a temporary Parquet file.
"""

from __future__ import annotations

import csv
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ml.claims.layout import Column, Kind
from ml.claims.text_lines import blank_lines, count_lines, ends_with_newline, open_bytes, open_text

FORMATS = (".csv", ".csv.gz", ".parquet", ".dta")
NO_CSV = {
    b"\xff\xfe": "written in UTF-16. Export it in UTF-8.",
    b"\xfe\xff": "written in UTF-16. Export it in UTF-8.",
    b"\x1f\x8b": "compressed by gzip, whatever its name says. Name it .csv.gz, or unpack it.",
    b"PK\x03\x04": "a workbook (.xlsx) or an archive (.zip), whatever its name says. Save it as CSV, or unpack it.",
    b"PAR1": "Parquet, whatever its name says. Name it .parquet.",
}
"""How files begin that are no CSV, and what to do with them."""


class RawInputError(ValueError):
    """The raw files cannot be used; the message names the file (and column or row) and what to do."""


@dataclass(frozen=True)
class RejectedLine:
    """A line of a CSV file that is no row of the layout."""

    source_row: int  # 1 is the first row after the header
    reason: str


@dataclass
class RawFile:
    """One raw file, opened as a view of its text as it stands there."""

    path: Path
    view: str
    columns: list[str]  # the layout's, in lower case, as the view has them
    order: list[str] = field(default_factory=list)  # all columns of the file, in its order: where fields slip to
    is_csv: bool = False  # the view then has `swallows` too: whether a field of the row runs over a line end
    rejected: list[RejectedLine] = field(default_factory=list)

    @property
    def numbered_view(self) -> str:
        """The same view with `row_no` (1 is the first row): read on one thread, so only for rows one looks for."""
        return f"(SELECT row_number() OVER () AS row_no, * FROM {self.view})"


def find_raw_file(folder: Path, mark: str) -> Path:
    """Return the one file of a folder whose name holds `mark` and ends in a known format.

    Raises:
        RawInputError: no such folder, no such file, or more than one.
    """
    if not folder.is_dir():
        raise RawInputError(f"{folder}: no such folder. Set CLAIMS_RAW_DIR to the folder with the raw files.")
    found = sorted(
        path
        for path in folder.iterdir()
        if mark in path.name.lower() and path.name.lower().endswith(FORMATS) and path.is_file()
    )
    if not found:
        raise RawInputError(
            f"{folder}: no file matches *{mark}* with one of the endings {', '.join(FORMATS)}. Put the export there."
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise RawInputError(f"{folder}: more than one file matches *{mark}*: {names}. Leave only the one to use.")
    return found[0]


def open_raw_file(
    connection: duckdb.DuckDBPyConnection, path: Path, columns: tuple[Column, ...], view: str, scratch: Path
) -> RawFile:
    """Make the temporary view `view` over a raw file: the layout's columns as text.

    Rows are read when the view is: use `reading` around that, and `finish_reading` after it.

    Args:
        connection: where the view is made.
        path: a .csv, .csv.gz, .parquet or .dta file.
        columns: the layout; the file may have its columns in any case and order, and others besides.
        view: the view's name.
        scratch: an existing folder for temporary files.

    Raises:
        RawInputError: empty file, missing or repeated column, not in the format its ending says, truncated.
    """
    if path.stat().st_size == 0:
        raise RawInputError(f"{path}: the file is empty (0 bytes). Export or copy it again.")
    raw = RawFile(path, view, [column.name.lower() for column in columns])
    with reading(raw):
        if path.name.lower().endswith((".csv", ".csv.gz")):
            _open_csv(connection, raw, columns)
        elif path.suffix.lower() == ".dta":
            _open_stata(connection, raw, columns, scratch)
        else:
            _open_parquet(connection, raw, columns, path)
    return raw


@contextmanager
def reading(raw: RawFile) -> Iterator[None]:
    """Turn what a library says of a damaged file into an error that names the file and what to do."""
    try:
        yield
    except (RawInputError, duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException):
        raise  # ours, or a mistake in our SQL: not the file's fault
    except (duckdb.Error, pa.ArrowInvalid, OSError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RawInputError(
            f"{raw.path}: cannot be read to its end ({reason}). "
            "The file is damaged, truncated or not what its ending says: copy or export it again."
        ) from error


def finish_reading(connection: duckdb.DuckDBPyConnection, raw: RawFile, table: str) -> None:
    """Collect the malformed lines of the scan that has just read the whole view.

    Args:
        connection: the one that scanned.
        raw: the file; its `rejected` is filled.
        table: what the scan gave, in the file's order.

    Raises:
        RawInputError: the file has no rows at all, breaks off in the middle of its last row, or a quote swallows rows.
    """
    parsed = connection.sql(f"SELECT count(*) FROM {table}").fetchall()[0][0]
    if rejected := _take_rejects(connection):
        _refuse_open_quote(raw, rejected)
        blank = blank_lines(raw.path)
        raw.rejected = [
            RejectedLine(line - 1 - bisect(blank, line), f"malformed line: {reason}") for line, reason in rejected
        ]
    _refuse_swallowed_rows(connection, raw, parsed)
    if parsed == 0 and not raw.rejected:
        raise RawInputError(f"{raw.path}: the file has a header but no rows. Export it again.")
    last = raw.rejected[-1] if raw.rejected else None
    if last and last.source_row >= parsed + len(raw.rejected) and not ends_with_newline(raw.path):
        raise RawInputError(
            f"{raw.path}: ends in the middle of row {last.source_row:,} ({last.reason}). "
            "The file is truncated: copy or export it again."
        )


def _take_rejects(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str]]:
    """Return line and reason of what DuckDB has rejected since the last call."""
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchall():
        return []
    rejected: list[tuple[int, str]] = connection.sql(
        "SELECT line, any_value(error_message) FROM reject_errors GROUP BY line ORDER BY line"
    ).fetchall()
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    return rejected


def _refuse_open_quote(raw: RawFile, rejected: list[tuple[int, str]]) -> None:
    """A quote that is never closed swallows every row after it."""
    for line, reason in rejected:
        if "unterminated quote" in reason:
            raise RawInputError(
                f"{raw.path}: line {line:,} opens a quote that is not closed where its field ends, so the rows after "
                "it cannot be told apart. Remove the stray quote or export the file again."
            )


def _refuse_swallowed_rows(connection: duckdb.DuckDBPyConnection, raw: RawFile, parsed: int) -> None:
    """No field of the layout runs over a line end; where one does, a stray quote has swallowed the rows in it.

    A file with as many lines as rows has no such field. To look at every field is a tenth of the time that a file
    takes, and done only where the lines do not add up (blank or malformed ones).
    """
    with reading(raw):
        if not raw.is_csv or (not raw.rejected and count_lines(raw.path) == parsed + 1):
            return
        first = connection.sql(f"SELECT min(row_no) FROM {raw.numbered_view} WHERE swallows").fetchall()[0][0]
    _take_rejects(connection)  # the same once more
    if first is not None:
        raise RawInputError(
            f"{raw.path}: cannot be read to its end (a field of row {first:,} runs over a line end: is there a stray "
            "quote?). Remove the stray quote or export the file again."
        )


def _match_columns(path: Path, names: list[str], columns: tuple[Column, ...]) -> dict[str, str]:
    """Map each layout column to the file's own name for it."""
    by_upper: dict[str, str] = {}
    for name in names:
        upper = name.strip().upper()
        if upper in by_upper and any(upper == column.name for column in columns):
            raise RawInputError(f"{path}: column {upper} appears more than once. Keep the one to use.")
        by_upper[upper] = name
    missing = [column for column in columns if column.name not in by_upper]
    if missing:
        listed = ", ".join(f"{column.name} ({column.meaning})" for column in missing)
        raise RawInputError(f"{path}: missing column {listed}. Export it again with the whole layout.")
    return {column.name: by_upper[column.name] for column in columns}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _csv_header(path: Path) -> tuple[str, list[str]]:
    """Return the delimiter and the column names of a CSV file."""
    with open_bytes(path) as stream:
        begin = stream.read(4)
    for mark, what in NO_CSV.items():
        if begin.startswith(mark):
            raise RawInputError(f"{path}: {what}")
    with open_text(path) as lines:
        first = lines.readline(1_000_000)
    if not first.strip():
        raise RawInputError(f"{path}: the first line is blank; it must name the columns.")
    delimiter = max(",;\t|", key=first.count)
    return delimiter, next(csv.reader([first], delimiter=delimiter))


def _open_csv(connection: duckdb.DuckDBPyConnection, raw: RawFile, columns: tuple[Column, ...]) -> None:
    delimiter, names = _csv_header(raw.path)
    matched = _match_columns(raw.path, names, columns)
    raw.order = names
    # Positions, because DuckDB's own header matching knows nothing of case, order or blanks around a name.
    positions = {name: f"c{index}" for index, name in enumerate(names)}
    types = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(names)))
    selected = ", ".join(f"{positions[source]} AS {name.lower()}" for name, source in matched.items())
    reader = (
        f"read_csv({_literal(str(raw.path))}, auto_detect=false, header=true, delim={_literal(delimiter)}, "
        f"quote='\"', escape='\"', columns={{{types}}}, store_rejects=true, max_line_size=4194304)"
    )
    whole = "concat(" + ", ".join(positions.values()) + ")"
    swallows = f"contains({whole}, chr(10)) OR contains({whole}, chr(13))"
    raw.is_csv = True
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {raw.view} AS SELECT {selected}, {swallows} AS swallows FROM {reader}"
    )


def _open_parquet(
    connection: duckdb.DuckDBPyConnection, raw: RawFile, columns: tuple[Column, ...], parquet: Path
) -> None:
    schema = pq.read_schema(parquet)
    matched = _match_columns(raw.path, schema.names, columns)
    raw.order = schema.names
    for name, source in matched.items():
        if pa.types.is_nested(schema.field(source).type):
            raise RawInputError(
                f"{raw.path}: column {name} holds {schema.field(source).type}; one plain value is wanted."
            )
    kinds = {column.name: column.kind for column in columns}
    selected = ", ".join(
        f"{_as_text(_quoted(source), schema.field(source).type, kinds[name])} AS {name.lower()}"
        for name, source in matched.items()
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {raw.view} AS SELECT {selected} FROM read_parquet({_literal(str(parquet))})"
    )


def _as_text(column: str, kind: pa.DataType, wanted: Kind) -> str:
    """The SQL for a column as text; numbers in a text column lose the '.0' that Stata and pandas gave them."""
    if wanted is Kind.TEXT and pa.types.is_floating(kind):
        whole = f"{column} = floor({column}) AND abs({column}) < 1e15"
        return (
            f"CASE WHEN isnan({column}) THEN NULL WHEN {whole} THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) "
            f"ELSE CAST({column} AS VARCHAR) END"
        )
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return f"decode({column})"
    return f"CAST({column} AS VARCHAR)"


def _open_stata(
    connection: duckdb.DuckDBPyConnection, raw: RawFile, columns: tuple[Column, ...], scratch: Path
) -> None:
    """Open a .dta file by way of a temporary Parquet file with its layout columns."""
    from ml.claims import stata  # brings pandas: a second that other formats need not wait

    names = stata.column_names(raw.path)
    matched = _match_columns(raw.path, names, columns)
    copy = stata.copy_as_parquet(raw.path, matched, scratch / f"{raw.path.stem}.parquet")
    _open_parquet(connection, raw, columns, copy)
    raw.order = names  # the copy's is the layout's
