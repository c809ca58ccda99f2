"""A file system that is really full: a small tmpfs, which the publisher fills to the last byte."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.release import ReleaseError, ReleaseStore, RunToken
from tests.release import processes
from tests.release.conftest import MakeCandidate

MEGABYTES = 48


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a tmpfs may not be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def store(small: Path) -> ReleaseStore:
    """A store on the small file system."""
    return ReleaseStore(small / "instance", lock_timeout=5, threads=1, memory_limit="500MB")


def fill(folder: Path) -> Path:
    """Take all space that is left, to the last byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    assert shutil.disk_usage(folder).free == 0
    return ballast


def live_model(store: ReleaseStore) -> str:
    live = store.live()
    assert live is not None
    processes.assert_whole(live.database, live.scores, live.id, live.manifest.model_version)
    return live.manifest.model_version


def test_too_little_space_is_told_with_the_numbers(
    small: Path, store: ReleaseStore, make_candidate: MakeCandidate
) -> None:
    store.publish(make_candidate(model="good"), RunToken("good", 1))
    ballast = fill(small)
    with pytest.raises(ReleaseError, match=r"not enough disk space .* MB needed .* 0 MB free"):
        store.publish(make_candidate(model="night"), RunToken("night", 1))
    assert live_model(store) == "good"
    ballast.unlink()
    store.publish(make_candidate(model="night"), RunToken("night", 2))
    assert live_model(store) == "night"


@pytest.mark.parametrize("point", ["after:space", "before:compare", "before:seal", "before:rename", "before:intent"])
def test_the_disk_fills_up_while_publishing(
    small: Path, store: ReleaseStore, make_candidate: MakeCandidate, point: str
) -> None:
    """Either the publish fails and the old release is live, or it succeeds; and it can be repeated with space again."""
    published = store.publish(make_candidate(model="good"), RunToken("good", 1))
    store.record_qc(published.release_id, passed=True, log=None)
    candidate = make_candidate(model="night")
    with processes.halted_at(point, small / "instance", candidate, RunToken("night", 1)) as publisher:
        ballast = fill(small)
        exit_code = publisher.go_on()
    assert exit_code in (0, 1)
    assert live_model(store) == ("night" if exit_code == 0 else "good")
    if point == "after:space":
        assert exit_code == 1
    # The next run begins on the full disk.
    store.recover(current_run="the next one")
    assert live_model(store) == "good"
    ballast.unlink()
    store.publish(candidate, RunToken("night", 2))
    assert live_model(store) == "night"
    assert [store.verify(release.id) for release in store.releases()] == [[]] * len(store.releases())


@pytest.mark.parametrize("way", ["restore", "recover", "rollback"])
def test_going_back_on_a_full_disk(small: Path, store: ReleaseStore, make_candidate: MakeCandidate, way: str) -> None:
    """Red without the reserve: what failed would stay live just because there is no room for a line in the journal."""
    good = store.publish(make_candidate(model="good"), RunToken("good", 1))
    store.record_qc(good.release_id, passed=True, log=None)
    store.publish(make_candidate(model="night"), RunToken("night", 1))
    # A journal that ends exactly with a block: its next line needs a new one.
    journal = small / "instance" / "releases" / "journal.jsonl"
    missing = -journal.stat().st_size % 4096
    with journal.open("ab") as file:
        file.write(b" " * (missing - 1) + b"\n")
    fill(small)
    if way == "restore":
        assert store.restore("night", reason="QC failed").restored
    elif way == "recover":
        assert store.recover().restored
    else:
        assert store.rollback(None, reason="test", who="ops").restored
    assert live_model(store) == "good"
