"""Mutations of the release room: changes that do harm, each with the tests that must notice it.

A mutation's text must stand exactly once in its file; when the code has changed, so must the mutation.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

POWER_PUBLISHING = "tests/release/power_loss/test_publishing.py"
POWER_BACK = "tests/release/power_loss/test_stepping_back.py"
CRASH = "tests/release/test_crash.py"
PUBLISH = "tests/release/test_publish.py"
PUBLISH_REFUSALS = "tests/release/test_publish_refusals.py"
PUBLISH_RUNS = "tests/release/test_publish_runs.py"
PROVIDERS = "tests/release/test_provider_risk.py"
RESTORE = "tests/release/test_restore.py"
RECOVER = "tests/release/test_recover.py"
ROLLBACK = "tests/release/test_rollback.py"
VERIFY = "tests/release/test_verify.py"
JOURNAL = "tests/release/test_journal.py"

NOTICE_FSYNCS = (
    f"{POWER_PUBLISHING}::test_publish[over]",
    f"{POWER_BACK}::test_stepping_back_to_nothing",
    f"{POWER_BACK}::test_stepping_back_killed_then_again[restore-restore]",
    f"{POWER_BACK}::test_a_fence_alone[True]",
    f"{POWER_PUBLISHING}::test_the_journals_reserve_is_whole_again_after_the_next_publish",
    f"{POWER_PUBLISHING}::test_publish[first]",
    f"{POWER_PUBLISHING}::test_publish_killed_then_tried_again[first]",
    f"{POWER_PUBLISHING}::test_publish[collect]",
)
"""The quick ones first: each run ends at the first red."""
SYNCS = {"fsync_file", "fsync_folder", "os.fsync", "os.fdatasync"}
NOT_THE_ROOMS = {"replace_durably"}  # functions of ml/files.py that the room does not use
UNNOTICED = {
    "files.py: make_folders without fsync_folder(folder.parent)": "locked() syncs releases/, "
    "instance/ and the folder it is in anyway; this is for those above, when the first publish makes them too",
}
"""fsyncs whose loss no test can see, each with the reason why it is there all the same."""


@dataclass(frozen=True)
class Mutation:
    """A text of one file of the package, what it is replaced by, and the tests to run: files, or a file and names."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def without_each_fsync(package: Path) -> Iterator[Mutation]:
    """One mutation for every call that syncs, so that a new one is found by itself."""
    met: Counter[str] = Counter()
    for path in [package / "files.py", *sorted((package / "release").glob("*.py"))]:
        source = path.read_text()
        for function in ast.walk(ast.parse(source)):
            if not isinstance(function, ast.FunctionDef) or function.name in NOT_THE_ROOMS:
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) in SYNCS:
                    assert call.lineno == call.end_lineno, f"{path}, line {call.lineno}: a call over several lines"
                    lines = source.splitlines(keepends=True)
                    line = lines[call.lineno - 1]
                    lines[call.lineno - 1] = f"{line[: call.col_offset]}None{line[call.end_col_offset :]}"
                    file = str(path.relative_to(package))
                    name = f"{file}: {function.name} without {ast.unparse(call)}"
                    met[name] += 1
                    name += f", place {met[name]}" if met[name] > 1 else ""
                    yield Mutation(name, file, source, "".join(lines), NOTICE_FSYNCS)


_INTENT = """    with step(Step.INTENT):
        room.journal.append(_record(Event.INTENT if switched else Event.ARCHIVED, release, now))
"""
_SWITCH = """        with step(Step.SWITCH):
            room.switch(release.id)
"""
_SEAL = """            with step(Step.SEAL):
                seal(candidate, token, now, temporary, before.backup, new_id, rows)
"""
_RENAME = """            with step(Step.RENAME):
                temporary.rename(room.releases / new_id)
                fsync_folder(room.releases)
"""
_BACK_DECIDE = """    with step(Step.BACK_DECIDE):
        room.journal.append(fence)
        history = History((*history.records, fence))
"""
_BACK_SWITCH = """    with step(Step.BACK_SWITCH):
        way = _way_back(room, history, live, quick=quick)
        room.switch(way.target)
"""
_ROLLBACK_DECIDE = """        with step(Step.BACK_DECIDE):
            room.journal.append(record)
"""
_ROLLBACK_SWITCH = """        with step(Step.BACK_SWITCH):
            room.switch(target)
"""
_COLLECT_RENAME = "                release.path.rename(trash)"
_COMPARE = "problems = problems or tables.compare_problems(connection, scores=scores, previous_scores=previous_scores)"

BY_HAND = [
    # Two steps swapped.
    Mutation("switch before intent", "release/publish.py", _INTENT + "    if switched:\n" + _SWITCH,
             "    if switched:\n" + _SWITCH + _INTENT + "    if switched:\n",
             (f"{POWER_PUBLISHING}::test_publish[over]",)),
    Mutation("switch before rename", "release/publish.py", _RENAME, "            room.switch(new_id)\n" + _RENAME,
             (f"{POWER_PUBLISHING}::test_publish[over]",)),
    Mutation("rename before seal", "release/publish.py", _SEAL + _RENAME,
             _RENAME + _SEAL.replace("temporary", "room.releases / new_id"),
             (f"{POWER_PUBLISHING}::test_publish[over]",)),
    Mutation("step back: switch before fence", "release/restore.py", _BACK_DECIDE + _BACK_SWITCH,
             _BACK_SWITCH + _BACK_DECIDE, (f"{POWER_BACK}::test_stepping_back[restore]",)),
    Mutation("rollback: switch before decision", "release/restore.py", _ROLLBACK_DECIDE + _ROLLBACK_SWITCH,
             _ROLLBACK_SWITCH + _ROLLBACK_DECIDE, (f"{POWER_BACK}::test_rollback[False]",)),
    Mutation("collect: deleted before renamed", "release/retention.py", _COLLECT_RENAME,
             "                shutil.rmtree(release.path)\n                trash.mkdir()",
             (f"{POWER_PUBLISHING}::test_publish[collect]",)),
    Mutation("link removed before it is made", "files.py", "    temporary.replace(link)\n",
             "    link.unlink(missing_ok=True)\n    temporary.rename(link)\n",
             (f"{POWER_PUBLISHING}::test_publish[over]",)),
    # A step dropped.
    Mutation("no intent", "release/publish.py", _INTENT, "", (f"{POWER_PUBLISHING}::test_publish[over]",)),
    Mutation("no acknowledgement", "release/publish.py",
             "            room.journal.append(_record(Event.SWITCHED, release, now))\n", "            pass\n",
             (f"{CRASH}::test_two_publishers_at_once",)),
    Mutation("collected in silence", "release/retention.py",
             "                room.journal.append(Record(event=Event.COLLECTED, release_id=release.id))\n",
             "                pass\n", (f"{PUBLISH}::test_old_releases_are_collected",)),
    Mutation("recover sweeps nothing", "release/restore.py", "        sweep(room)\n", "",
             (f"{RECOVER}::test_recover_survives_rubbish",)),
    Mutation("no lock", "release/publish.py", "            held.enter_context(room.locked())\n", "",
             (f"{CRASH}::test_a_publisher_does_not_wait_for_ever",)),
    # A check dropped or weakened.
    Mutation("no fence", "release/publish.py", "            _refuse_dead(history, token)\n", "",
             (f"{PUBLISH_RUNS}::test_a_dead_run_may_not_publish",)),
    Mutation("the fence is only for the very try", "release/journal.py",
             "(record.try_number or 0) >= token.try_number", "record.try_number == token.try_number",
             (f"{PUBLISH_RUNS}::test_a_dead_run_may_not_publish",)),
    Mutation("an outlived try may publish", "release/publish.py", "    if newest > token.try_number:\n",
             "    if newest < 0:\n", (f"{PUBLISH_RUNS}::test_an_outlived_try_may_not_publish_over_a_later_one",)),
    Mutation("nothing is recognised", "release/publish.py", "        if done is not None:\n", "        if False:\n",
             (f"{PUBLISH_RUNS}::test_a_run_that_comes_again_gets_what_it_published",)),
    Mutation("what was given up is recognised", "release/publish.py",
             "        if not ours or history.given_up(release.id):\n", "        if not ours:\n",
             (f"{CRASH}::test_a_retry_does_not_take_over_what_was_given_up",)),
    Mutation("unaudited scores", "release/publish.py", "            _require_audited(candidate)\n", "",
             (f"{PUBLISH_REFUSALS}::test_only_what_was_audited_is_published",)),
    Mutation("claims of another day", "release/manifest.py", "        if sha256 != self.input_sha256:\n",
             "        if not sha256:\n",
             (f"{PUBLISH_REFUSALS}::test_claims_rewritten_since_the_scoring_are_refused",)),
    Mutation("tables not compared with Parquet", "release/build.py", _COMPARE, "pass",
             (f"{PUBLISH_REFUSALS}::test_a_table_that_differs_from_its_parquet_file_is_refused",)),
    Mutation("origins not looked at", "release/build.py",
             "            problems = _candidate_problems(connection, candidate)\n", "            problems = []\n",
             (f"{PUBLISH_REFUSALS}::test_a_candidate_that_contradicts_itself_is_refused",)),
    Mutation("providers not looked at", "release/build.py",
             "            problems = problems or tables.provider_problems(connection)\n", "",
             (f"{PROVIDERS}::test_a_release_with_wrong_providers_does_not_become_live",)),
    Mutation("old overwrites new", "release/publish.py",
             "before.data_date is None or release.manifest.data_date >= before.data_date", "True",
             (f"{PUBLISH_RUNS}::test_a_backfill_is_archived",)),
    Mutation("a damaged release as the backup", "release/publish.py", "    if not found:\n", "    if True:\n",
             (f"{PUBLISH}::test_a_damaged_live_release_is_no_backup",)),
    Mutation("a full disk", "release/publish.py", "    if free < needed:\n", "    if free < 0:\n",
             (f"{PUBLISH_REFUSALS}::test_a_full_disk_is_noticed_before_anything_is_built",)),
    Mutation("two ancestors kept", "release/retention.py", "ANCESTORS_KEPT = 3", "ANCESTORS_KEPT = 2",
             (f"{PUBLISH}::test_old_releases_are_collected",)),
    Mutation("the young are collected", "release/retention.py", "now - release.manifest.created_at < room.keep_age",
             "now < release.manifest.created_at", (f"{PUBLISH}::test_old_releases_are_collected",)),
    Mutation("restore whoever is live", "release/restore.py",
             "publisher is None or publisher.run_id != token.run_id or publisher.try_number > token.try_number",
             "publisher is None",
             (f"{RESTORE}::test_a_release_given_up_while_another_was_live_is_not_put_back",)),
    Mutation("restore a release that passed", "release/restore.py", "    if passed:\n", "    if passed is publisher:\n",
             (f"{RESTORE}::test_a_try_that_published_nothing_leaves_what_an_earlier_one_published_well",)),
    Mutation("restore does not see who waits at the door", "release/restore.py",
             "room.last_try_at_the_door(run_id)", "0",
             (f"{RESTORE}::test_a_run_id_alone_fences_a_try_that_still_waits_for_the_lock",)),
    Mutation("an operator's word does not stand", "release/restore.py", "    if history.endorsed(live):\n",
             "    if False:\n", (f"{ROLLBACK}::test_an_operators_word_stands",)),
    Mutation("back to what was given up", "release/verify.py", "    if history.given_up(release_id):\n",
             "    if False:\n", (f"{RESTORE}::test_a_release_given_up_while_another_was_live_is_not_put_back",)),
    Mutation("rollback to what failed its QC", "release/restore.py",
             "    if history.qc_passed(target) is False:\n", "    if False:\n",
             (f"{ROLLBACK}::test_rollback_refuses_a_release_that_failed_its_qc",)),
    Mutation("recover takes from a run at work", "release/restore.py", "or room.is_running(publisher.run_id)", "",
             (f"{RECOVER}::test_recover_leaves_a_run_alone_whose_qc_is_still_to_come",)),
    Mutation("recover moves from damage unasked", "release/restore.py",
             "if why is None and found and give_up_damaged:", "if why is None and found:",
             (f"{RECOVER}::test_recover_says_that_the_live_release_is_damaged_and_leaves_it",)),
    Mutation("verify looks at no hash", "release/verify.py", " and sha256_of(path) != entry.sha256", " and False",
             (f"{VERIFY}::test_a_flipped_bit_is_found",)),
    Mutation("verify looks at no table", "release/verify.py",
             "            found += _table_problems(connection, release)\n", "",
             (f"{VERIFY}::test_tables_are_compared_even_when_the_hashes_were_forged",)),
    Mutation("a manifest that was not published", "release/verify.py",
             "    return _manifest_problems(release, history) + ", "    return ",
             (f"{VERIFY}::test_a_changed_manifest_is_found",)),
    Mutation("size and time are trusted", "release/verify.py",
             "{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}",
             "{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}",
             (f"{RESTORE}::test_restore_notices_a_change_that_hides_behind_the_old_size_and_time",)),
    Mutation("a torn line is appended to", "release/journal.py", "end = _end_of_last_line(descriptor)",
             "end = os.fstat(descriptor).st_size",
             (f"{JOURNAL}::test_every_way_to_tear_the_last_line_is_survived",)),
    Mutation("a torn line counts", "release/journal.py", "            *lines, _unfinished = ", "            lines = ",
             (f"{JOURNAL}::test_every_way_to_tear_the_last_line_is_survived",)),
]  # fmt: skip
