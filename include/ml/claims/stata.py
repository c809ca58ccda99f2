"""Copies a Stata file into a Parquet file, chunk by chunk; apart, as pandas takes a second to import."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat

from ml.claims.raw_files import RawInputError

CHUNK_ROWS = 100_000


def column_names(path: Path) -> list[str]:
    """Return the column names of a .dta file.

    Raises:
        ValueError: it is no such file.
    """
    return list(_header(path).column_names)


def copy_as_parquet(path: Path, matched: dict[str, str], target: Path) -> Path:
    """Write the columns `matched` (layout's name -> file's name) of a .dta file to the Parquet file `target`.

    Raises:
        RawInputError: the file has fewer rows than its header promises.
        ValueError: it is damaged.
    """
    writer: pq.ParquetWriter | None = None
    rows = 0
    expected = _header(path).number_rows  # pandas may stop early, silently, on a file cut between rows
    with pd.read_stata(path, chunksize=CHUNK_ROWS, convert_categoricals=False) as reader:
        for chunk in reader:
            table = _chunk_table(chunk, matched)
            writer = writer or pq.ParquetWriter(target, table.schema)
            writer.write_table(table)
            rows += table.num_rows
    if writer is not None:
        writer.close()
    if rows != expected or writer is None:
        raise RawInputError(
            f"{path}: holds {rows:,} of the {expected:,} rows its header promises. "
            "The file is truncated or empty: copy or export it again."
        )
    return target


def _header(path: Path) -> pyreadstat.metadata_container:
    try:
        return pyreadstat.read_dta(str(path), metadataonly=True)[1]
    except pyreadstat.ReadstatError as error:
        raise ValueError(str(error)) from error


def _chunk_table(chunk: pd.DataFrame, matched: dict[str, str]) -> pa.Table:
    """One chunk with a schema that is the same for all: whole columns may be missing in one chunk only."""
    arrays = []
    for source in matched.values():
        array = pa.Array.from_pandas(chunk[source])
        if pa.types.is_timestamp(array.type):
            array = array.cast(pa.date32(), safe=False).cast(pa.string())
        elif pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
            array = array.cast(pa.float64())
        else:
            array = array.cast(pa.string())
        arrays.append(array)
    return pa.table(arrays, names=list(matched))
