"""A folder or a file system that is read-only, a lock that is not given back: writers are told so, readers read on."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from ml.release import ReleaseError, ReleaseStore, Restored
from tests.release.conftest import Candidates
from tests.release.fault_scenarios import CALLS, SCENARIOS, after, failed, live_model, open_store
from tests.release.faults import INSTANCE, Fault, Faulty, holding_the_lock

REFUSED = Fault(None, 1, errno.EACCES, False)


@pytest.mark.parametrize(
    ("folder", "unaffected"), [("", ["record QC"]), ("releases", ["restore", "recover", "rollback", "record QC"])]
)
def test_a_folder_that_nobody_may_write_to(
    tmp_path: Path, candidates: Candidates, folder: str, unaffected: list[str]
) -> None:
    """Red when a call says nothing of what it could not do, or does half of it."""
    template, root = tmp_path / "template", tmp_path / "root"
    with Faulty(root, seccomp=False, powerless=True) as faulty:
        for name in CALLS:
            scenario = SCENARIOS[name]
            template.mkdir()
            scenario.prepare(open_store(template), candidates)
            call = scenario.call(open_store(template), candidates)
            shutil.copytree(template, root, symlinks=True)
            closed = root / INSTANCE / folder
            closed.chmod(0o555)
            try:
                outcome = faulty.run(call)
                assert live_model(open_store(root)) in scenario.seen
            finally:
                closed.chmod(0o755)
            assert (outcome.error is None) == (name in unaffected), f"{name}: {outcome.error}"
            assert outcome.error is None or str(closed) in outcome.error, outcome.error
            after(template, root, scenario, call, REFUSED, outcome)
            shutil.rmtree(root)
            shutil.rmtree(template)


def test_a_file_system_that_has_become_read_only(tmp_path: Path, candidates: Candidates) -> None:
    """As the kernel makes it after an error on the disk: readers read on, whoever writes is told so."""
    template, root = tmp_path / "template", tmp_path / "root"
    root.mkdir()
    mounted = mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(root))
    if mounted.returncode:
        pytest.skip(f"a tmpfs may not be mounted here: {mounted.stderr.strip()}")
    try:
        with Faulty(root, seccomp=False) as faulty:
            for name in CALLS:
                scenario = SCENARIOS[name]
                template.mkdir()
                scenario.prepare(open_store(template), candidates)
                call = scenario.call(open_store(template), candidates)
                shutil.copytree(template, root, symlinks=True, dirs_exist_ok=True)
                assert mount("-o", "remount,ro", str(root)).returncode == 0
                outcome = faulty.run(call)
                assert live_model(open_store(root)) == scenario.seen[0]
                assert mount("-o", "remount,rw", str(root)).returncode == 0
                assert outcome.error is not None
                assert "Read-only file system" in outcome.error
                after(template, root, scenario, call, REFUSED, outcome)
                shutil.rmtree(root / INSTANCE)
                shutil.rmtree(template)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_lock_that_is_not_given_back(tmp_path: Path, candidates: Candidates, stopped: bool) -> None:
    """Whoever writes says whom he waited for; whoever still waits when the holder is killed gets in; readers read."""
    failed(open_store(tmp_path), candidates)
    impatient = ReleaseStore(tmp_path / INSTANCE, lock_timeout=0.1)
    patient = ReleaseStore(tmp_path / INSTANCE, lock_timeout=30)
    restored: list[Restored] = []
    with holding_the_lock(tmp_path) as holder:
        if stopped:
            os.kill(holder, signal.SIGSTOP)
        for name in CALLS:
            method, arguments, options = SCENARIOS[name].call(impatient, candidates)
            with pytest.raises(
                ReleaseError, match=r"/releases/\.lock was held by another process for 0\.1 s: .* try again"
            ):
                getattr(impatient, method)(*arguments, **options)
            assert live_model(impatient) == "night"
        waiting = threading.Thread(target=lambda: restored.append(patient.restore("night", reason="QC failed")))
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive()
        os.kill(holder, signal.SIGKILL)
        waiting.join(10)
        assert restored[0].restored
    assert live_model(impatient) == "good"
