"""The journal: a torn last line never counted, and nothing else is lost."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ml.release import ReleaseError
from ml.release.journal import Event, Journal, Record


def qc(release_id: str) -> Record:
    return Record(event=Event.QC, release_id=release_id, passed=True)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def test_records_come_back_in_order(journal: Journal) -> None:
    assert journal.read().records == ()
    records = [qc("a"), Record(event=Event.FENCED, run_id='r"\n', try_number=2, reason="Überlänge"), qc("b")]
    for record in records:
        journal.append(record)
    assert journal.read().records == tuple(records)


def test_every_way_to_tear_the_last_line_is_survived(journal: Journal) -> None:
    kept, torn, next_one = qc("kept"), qc("torn"), qc("next")
    journal.append(kept)
    whole = journal.path.stat().st_size
    journal.append(torn)
    content = journal.path.read_bytes()
    for length in range(whole, len(content)):
        journal.path.write_bytes(content[:length])
        assert journal.read().records == (kept,)
        journal.append(next_one)
        assert journal.read().records == (kept, next_one)
        assert b"torn" not in journal.path.read_bytes()


def test_a_torn_line_longer_than_a_block_is_survived(journal: Journal) -> None:
    journal.append(qc("kept"))
    with journal.path.open("ab") as file:
        file.write(b"x" * 10_000)
    journal.append(qc("next"))
    assert [record.release_id for record in journal.read().records] == ["kept", "next"]


def test_a_damaged_line_further_up_is_left_out_with_a_warning(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abc":
        journal.append(qc(name))
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(lines[0] + b"\x00\xfe{\n" + lines[2])
    with caplog.at_level(logging.WARNING):
        assert [record.release_id for record in journal.read().records] == ["a", "c"]
    assert "line 2 is damaged" in caplog.text


def test_a_journal_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="cannot be written"):
        Journal(tmp_path / "missing" / "journal.jsonl").append(qc("a"))
