"""The book: lines of many processes, and that an alert has one sender, also when one dies or the disk is full."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from ml.alerts import AlertBook, Event, Kind
from ml.alerts.events import MAX_TRIES, SEND_AGAIN_FOR, SENDING_SECONDS


def test_events_come_back_in_order_and_damaged_lines_are_left_out(book: AlertBook) -> None:
    assert book.events() == []
    events = [Event(kind=Kind.BEGUN, dag_id="d", run_id=f"r{number}") for number in range(3)]
    for event in events:
        assert book.note(event)
    path = book.folder / "events.jsonl"
    path.write_bytes(path.read_bytes() + b'{"kind": "begun"\n')
    assert book.events() == events


def test_of_many_senders_one_sends(book: AlertBook) -> None:
    got: list[bool] = []
    barrier = threading.Barrier(8)

    def claim() -> None:
        barrier.wait()
        got.append(book.claim("a failure", "slack"))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]
    assert book.claim("a failure", "email"), "another channel has a right of its own"
    assert book.claim("another failure", "slack")


def test_what_was_sent_stays_sent_and_what_was_not_may_be_tried_again(book: AlertBook) -> None:
    assert book.claim("key", "slack")
    book.settle("key", "slack", sent=False)
    assert book.claim("key", "slack")
    book.settle("key", "slack", sent=True)
    assert not book.claim("key", "slack")


def test_a_sender_that_was_killed_loses_its_right_after_two_minutes(book: AlertBook) -> None:
    assert book.claim("key", "slack")
    (mark,) = (book.folder / "sent").iterdir()
    then = mark.stat().st_mtime - SENDING_SECONDS
    os.utime(mark, (then + 30, then + 30))
    assert not book.claim("key", "slack")
    os.utime(mark, (then - 1, then - 1))
    assert book.claim("key", "slack")
    assert not book.claim("key", "slack")


def test_a_channel_is_tried_three_times(book: AlertBook) -> None:
    for _ in range(MAX_TRIES):
        assert book.claim("key", "slack")
        book.settle("key", "slack", sent=False)
    assert not book.claim("key", "slack")


def test_a_book_that_cannot_be_written_keeps_no_alert_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "alerts").write_text("a file where the folder should be")
    book = AlertBook(tmp_path / "alerts")
    assert not book.note(Event(kind=Kind.BEGUN, dag_id="d"))
    assert book.events() == []
    book.keep("key", {})
    assert book.kept() == []
    assert book.claim("key", "slack")
    assert not book.claim("key", "slack"), "nor does it send two"
    book.settle("key", "slack", sent=True)
    assert not book.claim("key", "slack")
    assert "cannot be written" in caplog.text


def test_a_torn_line_takes_no_other_with_it(book: AlertBook) -> None:
    assert book.note(Event(kind=Kind.BEGUN, dag_id="d", run_id="r1"))
    path = book.folder / "events.jsonl"
    with path.open("ab") as file:
        file.write(b'{"kind": "beg')
    assert book.note(Event(kind=Kind.BEGUN, dag_id="d", run_id="r2"))
    assert [event.run_id for event in book.events()] == ["r1", "r2"]


def test_the_outbox_keeps_an_alert_for_an_hour(book: AlertBook) -> None:
    book.keep("key", {"alert": "as it was"})
    book.keep("key", {"alert": "another wording"})
    assert book.kept() == [{"key": "key", "alert": "as it was"}]
    (path,) = (book.folder / "outbox").iterdir()
    old = path.stat().st_mtime - SEND_AGAIN_FOR.total_seconds() - 1
    os.utime(path, (old, old))
    assert book.kept() == []
    assert not path.exists()
