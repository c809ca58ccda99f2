"""Lines of a file as bytes: every kind of line end, also where it lies across two blocks of reading."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.claims.text_lines import count_lines


@given(text=st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n"])).map(b"".join))
def test_lines_are_counted_as_python_splits_them(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.csv"
    path.write_bytes(text)
    assert count_lines(path) == len(text.splitlines())


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_line_end_across_two_blocks_counts_once(tmp_path: Path, ending: str, end: bytes) -> None:
    path = tmp_path / f"lines{ending}"
    text = b"a" * ((1 << 20) - 1) + end + b"b" + end
    path.write_bytes(gzip.compress(text) if ending == ".csv.gz" else text)
    assert count_lines(path) == 2
