"""Which model is the default: `default.json` points at it, `log.jsonl` tells how it got there; one writer at a time."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from ml.files import make_folders
from ml.model.artefact import DefaultModel, ModelError, default_model, load_model, make_default
from ml.promotion.log import CHANGES, Entry, Event, ModelLog, defaults_so_far
from ml.promotion.report import GateReport
from ml.rules import Ruleset
from ml.scoring.channels import require_scales
from ml.settings import Settings

UNKNOWN = "unknown"


class PromotionError(ModelError):
    """A promotion or demotion is refused; the message says why and what to do."""


class NotJudgedError(PromotionError):
    """The gate has not passed this model against the present default under the present conditions."""


class DemotedError(PromotionError):
    """Somebody has demoted this model; only somebody who says why may bring it back."""


@dataclass(frozen=True)
class Registry:
    """The models of an instance. Reading takes no lock; everything that writes does."""

    models: Path
    lock_timeout: float

    @classmethod
    def of(cls, settings: Settings) -> Registry:
        """Return an instance's registry."""
        return cls(settings.models, settings.lock_timeout_seconds)

    @property
    def log(self) -> ModelLog:
        """The log of all models."""
        return ModelLog(self.models / "log.jsonl")

    @property
    def default(self) -> DefaultModel | None:
        """What scoring uses.

        Raises:
            ModelError: `default.json` cannot be read.
        """
        return default_model(self.models)

    @property
    def versions(self) -> list[str]:
        """Every model there is, by name; whether it loads is another question."""
        return sorted(path.parent.name for path in self.models.glob("[!.]*/model.json"))

    @property
    def default_version(self) -> str | None:
        """The default's version; the log's last one where `default.json` is unreadable (a promotion heals that)."""
        if self.default_is_readable:
            return self.default.version if self.default else None
        path = defaults_so_far(self.log.read())
        return path[-1] if path else None

    @property
    def default_is_readable(self) -> bool:
        """Whether `default.json` is well-formed, or not there."""
        try:
            default_model(self.models)
        except ModelError:
            return False
        return True

    def record_trained(self, version: str, trained_on: str, who: str) -> None:
        """Note a training: on which raw file, and by whom.

        The same claims give the same version: where that is the default, only what it was trained on is new.
        """
        with self._locked():
            default = self.default if self.default_is_readable and self.default_version == version else None
            if default and default.trained_on != trained_on:
                make_default(self.models, replace(default, trained_on=trained_on))
            self.log.append(Entry(event=Event.TRAINED, version=version, trained_on=trained_on, who=who))

    def record_gate(self, report: GateReport, who: str) -> None:
        """Note what the gate said, with its figures."""
        with self._locked():
            self.log.append(
                Entry(
                    event=Event.GATE_PASSED if report.passed else Event.GATE_REFUSED,
                    version=report.version,
                    previous=report.against,
                    who=who,
                    reason="; ".join(report.refusals) or None,
                    conditions=report.conditions,
                    figures=report.summary,
                )
            )

    def has_passed(self, version: str, conditions: str) -> bool:
        """Whether the gate's last word on a model is a pass against the present default, under these conditions."""
        for entry in reversed(self.log.read()):
            if entry.version == version and entry.event in (Event.GATE_PASSED, Event.GATE_REFUSED):
                fits = (entry.previous, entry.conditions) == (self.default_version, conditions)
                return entry.event is Event.GATE_PASSED and fits
        return False

    def promote(
        self, version: str, *, conditions: str, who: str, reason: str | None = None, force: bool = False
    ) -> Entry:
        """Make a model the default.

        Args:
            version: the model.
            conditions: those the gate must have passed it under; see `ml.promotion.gate.conditions`.
            who: user or DAG run.
            reason: kept in the log; a forced promotion needs one.
            force: whatever the gate says.

        Raises:
            DemotedError: it was demoted, and this is no force.
            NotJudgedError: no fitting pass of the gate is in the log (the default may have changed meanwhile).
            PromotionError: it is the default already, or force without a reason.
            ModelError: it cannot be loaded.
        """
        if force and not (reason or "").strip():
            raise PromotionError("--force passes over the gate and needs a --reason, which the log keeps.")
        load_model(self.models, version)
        with self._locked():
            previous = self.default_version
            if previous == version and self.default_is_readable:
                raise PromotionError(f"{version} is the default already.")
            if not force:
                self._refuse_demoted(version)
            if not force and previous != version and not self.has_passed(version, conditions):
                raise NotJudgedError(
                    f"{version} has not passed the gate against the present default ({previous or 'none'}): "
                    f"python -m ml.pipelines.models promote {version}"
                )
            return self._change(Event.PROMOTED, version, previous, who, reason, forced=force)

    def demote(self, *, who: str, reason: str, ruleset: Ruleset | None = None) -> Entry:
        """Make the default before the present one the default again, if it can score by the ruleset.

        Raises:
            PromotionError: no reason, or the log knows no earlier default.
            ModelError: that one cannot be loaded any more, or lacks a channel of the ruleset.
        """
        if not reason.strip():
            raise PromotionError("A demotion needs a --reason, which the log keeps.")
        with self._locked():
            path = defaults_so_far(self.log.read())
            if self.default_version is None or len(path) < 2:
                raise PromotionError(
                    "No earlier default is in the log. Name one: python -m ml.pipelines.models promote VERSION"
                )
            earlier = load_model(self.models, path[-2])
            if ruleset:
                require_scales(earlier, ruleset)
            return self._change(Event.DEMOTED, path[-2], path[-1], who, reason)

    def trained_on(self, version: str) -> str:
        """Return the raw file that a model's claims came from, as the log says."""
        for entry in reversed(self.log.read()):
            if entry.version == version and entry.trained_on:
                return entry.trained_on
        return UNKNOWN

    def _refuse_demoted(self, version: str) -> None:
        """Training on the same claims makes the same model: it must not come back by itself."""
        for entry in reversed(self.log.read()):
            if entry.version == version and entry.event in CHANGES:
                return
            if entry.event is Event.DEMOTED and entry.previous == version:
                raise DemotedError(
                    f"{version} was demoted by {entry.who} on {entry.at:%Y-%m-%d %H:%M} UTC because: {entry.reason}. "
                    f"To bring it back: python -m ml.pipelines.models promote {version} --force --reason TEXT"
                )

    def _change(
        self, event: Event, version: str, previous: str | None, who: str, reason: str | None, *, forced: bool = False
    ) -> Entry:
        """Log first: a crash before the switch leaves a line that the next writer corrects, never a silent switch."""
        entry = Entry(
            event=event, version=version, previous=previous, who=who, reason=reason, forced=forced or None,
            trained_on=self.trained_on(version),
        )  # fmt: skip
        self.log.append(entry)
        since = entry.at.isoformat(timespec="seconds")
        make_default(self.models, DefaultModel(version, since, entry.trained_on or UNKNOWN))
        return entry

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the registry's file lock; the kernel frees it when the process dies.

        Raises:
            PromotionError: another process held it for longer than `lock_timeout` seconds.
        """
        make_folders(self.models)
        lock = FileLock(self.models / ".lock")
        try:
            lock.acquire(timeout=self.lock_timeout)
        except Timeout:
            raise PromotionError(
                f"{lock.lock_file} was held by another process for {self.lock_timeout:g} s: "
                "a promotion or demotion is still running; try again when it has ended"
            ) from None
        try:
            self._settle()
            yield
        finally:
            lock.release()

    def _settle(self) -> None:
        """Let the log follow the pointer, where a crash or a hand has left them apart."""
        actual = self.default_version
        changes = [entry.version for entry in self.log.read() if entry.event in CHANGES]
        logged = changes[-1] if changes else None
        if actual is not None and actual != logged:
            reason = f"default.json names it, the log {logged or 'no default'}"
            trained_on = self.default.trained_on if self.default else UNKNOWN
            self.log.append(
                Entry(
                    event=Event.FOUND,
                    version=actual,
                    previous=logged,
                    who=user(),
                    reason=reason,
                    trained_on=trained_on,
                )
            )


def user() -> str:
    """Return whose hands are on the keyboard, also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        return f"uid {os.getuid()}"
