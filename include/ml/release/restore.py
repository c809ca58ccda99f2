"""Restore, recover, rollback: the ways back to a release that was live before. All idempotent, all under the lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ml.release.journal import Event, History, Record
from ml.release.manifest import ReleaseError, Restored, RunToken
from ml.release.retention import sweep
from ml.release.room import Room
from ml.release.steps import Step, step
from ml.release.verify import best_alternative, damage, problems, why_unfit_to_return

IsRunning: TypeAlias = Callable[[str], bool]
"""Tells of a run id whether that run is still at work, so that its QC is still to come."""


def restore(room: Room, who: RunToken | str, reason: str) -> Restored:
    """Put back what was live before a failed run, and declare the run dead (see `ReleaseStore.restore`)."""
    with room.locked():
        history, live = room.journal.read(), room.live_id()
        publisher = None if live is None else room.publisher(history, live)
        token = who if isinstance(who, RunToken) else _latest_try(room, history, publisher, who)
        if token is None:
            return Restored(False, live, live, f"run {who} has not come to publish, nothing to restore")
        why_not = _nothing_to_restore(history, live, publisher, token)
        if live is None or why_not is not None:
            if history.fence(token) is None:
                room.journal.append(_fence(token, None, reason))
            return Restored(False, live, live, why_not or "no release is live, nothing to restore")
        return _step_back(room, history, live, token, reason, quick=True)


def recover(
    room: Room, current_run: str | None, reason: str, is_running: IsRunning, *, give_up_damaged: bool, quick: bool
) -> Restored:
    """Clear up after dead processes and dead runs (see `ReleaseStore.recover`)."""
    if not room.releases.is_dir():
        return Restored(False, None, None, "nothing was ever published here, nothing to recover")
    with room.locked():
        sweep(room)
        try:
            first = live = room.live_id()
        except ReleaseError as error:
            return Restored(False, None, None, f"nothing recovered: {error}", damage=(str(error),))
        messages: list[str] = []
        found: list[str] = []
        while live is not None:  # every round gives one release up, so that this ends
            history = room.journal.read()
            found = damage(room, history, live, quick=quick)
            why = _why_dead(room, history, live, current_run, is_running)
            if why is None and found and give_up_damaged:
                why = f"the live release is damaged ({'; '.join(found)})"
            if why is None:
                break
            back = _step_back(room, history, live, room.publisher(history, live), f"{reason}: {why}", quick=False)
            messages.append(f"{why}; {back.message}")
            live, found = back.live, []
        if live is not None and found:
            messages.append(_damaged_message(room, live, found))
        message = " ".join(messages) or "nothing to recover"
        return Restored(live != first, live, first, message, damage=tuple(found))


def _damaged_message(room: Room, live: str, found: list[str]) -> str:
    best = best_alternative(room, room.journal.read(), live)
    advice = f"the best alternative is {best}: roll back to it" if best else "no other release is good: publish anew"
    return f"THE LIVE RELEASE {live} IS DAMAGED and was left live ({'; '.join(found)}); {advice}"


def rollback(room: Room, to: str | None, reason: str, who: str, *, instead_of: str | None) -> Restored:
    """Put the release an operator chose back (see `ReleaseStore.rollback`)."""
    with room.locked():
        history, live = room.journal.read(), room.live_id()
        if to is not None and to == live:
            return Restored(False, live, live, f"{to} is live already, nothing to roll back")
        if instead_of is not None and live != instead_of:
            raise ReleaseError(
                f"not rolled back: meanwhile {live or 'no release'} is live, no longer {instead_of}. "
                "Look again, then decide"
            )
        target = rollback_target(room, history, live, to)
        record = Record(event=Event.ROLLED_BACK, release_id=target, previous=live, reason=reason, who=who)
        with step(Step.BACK_DECIDE):
            room.journal.append(record)
        with step(Step.BACK_SWITCH):
            room.switch(target)
        return Restored(True, target, live, f"{who} rolled back from {live or 'no release'} to {target}: {reason}")


def rollback_target(room: Room, history: History, live: str | None, to: str | None) -> str:
    """Return the release a rollback would put back.

    Raises:
        ReleaseError: it does not verify or failed its QC, or there is none; names the best alternative.
    """
    target = to if to is not None else best_alternative(room, history, live, anywhere=live is None)
    if target is None:
        raise ReleaseError("no older release is fit to be put back; list the releases and name one")
    wrong = problems(room, history, target)
    if history.qc_passed(target) is False:
        wrong.append(f"{target}: failed its QC")
    if wrong:
        best = best_alternative(room, history, live, not_to=target)
        advice = f"the best alternative is {best}" if best else "and no other release is fit to be put back"
        raise ReleaseError(f"not rolled back to {target}: {'; '.join(wrong)}; {advice}")
    return target


def _latest_try(room: Room, history: History, publisher: RunToken | None, run_id: str) -> RunToken | None:
    """A run without a try means all its tries so far; None when no try of it has come to publish yet.

    Then there is nothing to fence: a run whose scoring failed is to be repaired and cleared, and the first try of its
    publishing task must be let in.
    """
    live_try = publisher.try_number if publisher is not None and publisher.run_id == run_id else 0
    last = max(history.last_try(run_id), room.last_try_at_the_door(run_id), live_try)
    return RunToken(run_id, last) if last else None


def _nothing_to_restore(history: History, live: str | None, publisher: RunToken | None, token: RunToken) -> str | None:
    """Why the live release stays; None when it is to be given up."""
    if live is None:
        return "no release is live, nothing to restore"
    if publisher is None or publisher.run_id != token.run_id or publisher.try_number > token.try_number:
        return f"the live release {live} is not of {_name(token)}, nothing to restore"
    if history.endorsed(live):
        return f"an operator has put {live} back since, his decision stands"
    passed = history.qc_passed(live)
    if passed:
        return f"the live release {live} has passed its QC and stays: what failed in {_name(token)} failed later"
    fence = history.fence(publisher)
    # A failed QC decides also after the run was declared dead: a release that stayed may fail when QC looks again.
    if passed is None and fence is not None and fence.release_id != live:
        return f"{_name(token)} was restored before, {live} is what it was restored to"
    return None


def _why_dead(room: Room, history: History, live: str, current_run: str | None, is_running: IsRunning) -> str | None:
    """Why the live release is what a dead run left: its QC failed, or never came and nobody is left to run it."""
    publisher, passed = history.publisher(live), history.qc_passed(live)
    if passed or history.endorsed(live):
        return None
    if passed is None:
        if publisher is None:
            return None  # the journal was lost, which is no reason to take everything away
        if publisher.run_id == current_run or is_running(publisher.run_id) or room.is_running(publisher.run_id):
            return None  # its QC is still to come
    return f"{_name(publisher)} published {live}, and its QC {'never passed' if passed is None else 'failed'}"


def _step_back(
    room: Room, history: History, live: str, token: RunToken | None, reason: str, *, quick: bool
) -> Restored:
    """Declare the run dead, then make the nearest good ancestor of the live release live again."""
    fence = _fence(token, live, reason)
    with step(Step.BACK_DECIDE):
        room.journal.append(fence)
        history = History((*history.records, fence))
    with step(Step.BACK_SWITCH):
        way = _way_back(room, history, live, quick=quick)
        room.switch(way.target)
    with step(Step.BACK_ACKNOWLEDGE):
        room.journal.append(Record(event=Event.RESTORED, release_id=way.target, previous=live, reason=reason))
    if way.target is None:
        message = f"gave up {live}; no release is live now, readers are told so"
    else:
        message = f"gave up {live}; {way.target} is live again"
    return Restored(True, way.target, live, message + "".join(f"; passed over {why}" for why in way.passed_over))


@dataclass(frozen=True)
class _Way:
    """Where to go back to (None: nowhere) and what was passed over."""

    target: str | None
    passed_over: list[str]


def _way_back(room: Room, history: History, live: str, *, quick: bool) -> _Way:
    passed_over: list[str] = []
    for older in room.ancestors(history, live):
        why = why_unfit_to_return(room, history, older, quick=quick)
        if why is None:
            return _Way(older, passed_over)
        if (room.releases / older).exists():  # the collected ones are no news
            passed_over.append(why)
    return _Way(None, passed_over)


def _fence(token: RunToken | None, release_id: str | None, reason: str) -> Record:
    run_id, try_number = (None, None) if token is None else (token.run_id, token.try_number)
    return Record(event=Event.FENCED, release_id=release_id, run_id=run_id, try_number=try_number, reason=reason)


def _name(token: RunToken | None) -> str:
    return "an unknown run" if token is None else f"run {token.run_id} (up to try {token.try_number})"
