"""Runs the suite through Great Expectations and turns its results into plain records for the QC log."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, Any

from ml.qc.errors import QcError
from ml.qc.suite import Check

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5
"""Claims named per broken expectation."""


@dataclass(frozen=True)
class Outcome:
    """How one check went."""

    check: Check
    success: bool
    observed: Any  # per claim: how many claims break it; otherwise the value looked at (None: nothing to compare)
    claim_ids: list[str]  # up to EXAMPLES of those that break it
    values: list[Any]  # and what stands there

    @property
    def message(self) -> str:
        """One line for people: which expectation, what was seen, which claims, what it means."""
        more = ", ..." if self.claim_ids and self.observed > len(self.claim_ids) else ""
        claims = f" (claims {', '.join(self.claim_ids)}{more})" if self.claim_ids else ""
        seen = f"{self.observed:.6g}" if isinstance(self.observed, float) else str(self.observed)
        unit = " claims break it" if self.check.frame == "claims" else ""
        return f"{self.check.name}: observed {seen}{unit}{claims}. Expected: {self.check.meaning}"

    def and_of(self, part: Outcome) -> Outcome:
        """Return the outcome of the claims looked at before and of those of another part."""
        return replace(
            self,
            success=self.success and part.success,
            observed=self.observed + part.observed,
            claim_ids=[*self.claim_ids, *part.claim_ids][:EXAMPLES],
            values=[*self.values, *part.values][:EXAMPLES],
        )

    def record(self) -> dict[str, Any]:
        """The check as the QC log shows it."""
        return {
            "name": self.check.name,
            "column": self.check.column,
            "severity": self.check.severity,
            "success": self.success,
            "observed": self.observed,
            "meaning": self.check.meaning,
            "expectation": self.check.expectation,
            "arguments": self.check.arguments,
            "claim_ids": self.claim_ids,
            "values": self.values,
        }


def validate(checks: Sequence[Check], frames: Mapping[str, Iterable[pd.DataFrame]]) -> list[Outcome]:
    """Run the checks on their frames and return the outcomes in the order of the checks.

    Args:
        checks: names must be unique.
        frames: by name, each in one or more parts, which are looked at one after another; the index of each is 0..n-1.

    Raises:
        QcError: Great Expectations could not evaluate a check (that is no verdict on the data).
    """
    # Before the import: GX reads it then. The import itself takes seconds, so nobody else pays for it.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # its INFO lines mean nothing to operators
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("release")
    outcomes: dict[str, Outcome] = {}
    for frame_name, parts in frames.items():
        of_frame = {check.name: check for check in checks if check.frame == frame_name}
        if not of_frame:
            continue
        expectations = [_expectation(gx.expectations, check) for check in of_frame.values()]
        batch_definition = source.add_dataframe_asset(frame_name).add_batch_definition_whole_dataframe(frame_name)
        for part in parts:
            # Without `unexpected_index_column_names`: with it, a release that is broken throughout takes minutes.
            results = batch_definition.get_batch({"dataframe": part}).validate(
                gx.ExpectationSuite(name=frame_name, expectations=expectations),
                result_format={"result_format": "SUMMARY", "partial_unexpected_count": EXAMPLES},
            )
            for result in results.results:
                configuration: Any = result.expectation_config
                outcome = _outcome(of_frame[configuration.meta["name"]], result, part)
                before = outcomes.get(outcome.check.name)
                outcomes[outcome.check.name] = before.and_of(outcome) if before else outcome
    return [outcomes[check.name] for check in checks]


def _expectation(classes: Any, check: Check) -> Any:
    # GX's own verdict is False for a failed warning, too: the severity here is for its readers, the gate is ours.
    return getattr(classes, check.expectation)(
        column=check.column, **check.arguments, severity=check.severity, meta={"name": check.name}
    )


def _outcome(check: Check, result: Any, frame: pd.DataFrame) -> Outcome:
    if result.exception_info.get("raised_exception") is not False:
        messages = [info["exception_message"] for info in result.exception_info.values() if isinstance(info, dict)]
        raise QcError(f"{check.name}: Great Expectations could not evaluate it: {'; '.join(messages)}")
    details, success = result.result, bool(result.success)
    if check.frame == "release":
        value = float(frame[check.column].iloc[0])
        return Outcome(check, success, None if isnan(value) else value, [], [])
    broken = frame["claim_id"].iloc[details["partial_unexpected_index_list"][:EXAMPLES]]
    return Outcome(
        check,
        success,
        observed=details["unexpected_count"],
        claim_ids=[str(claim_id) for claim_id in broken.dropna()],
        values=list(details["partial_unexpected_list"]),
    )
