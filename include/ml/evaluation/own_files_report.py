"""What was found on labelled files of one's own, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

from ml.evaluation.figures import AP, AUC, P50, P1000, P_BAD, RECALL, RECALL_OF
from ml.evaluation.own_files import FilesEvaluation
from ml.evaluation.report import CLAIM_SCORERS, MEASURES, NOTHING, PROVIDER_MEASURES, PROVIDER_SCORERS, bold, table

SHOWN = (P50, P1000, AP, RECALL)


def write_files_report(found: FilesEvaluation) -> str:
    """Return the tables, with what they are of above them."""
    parts = [_head(found)]
    if found.frauds:
        parts += [_claims(found), _recalls(found)]
    if found.bad_providers:
        parts.append(_providers(found))
    return "\n\n".join(parts)


def _head(found: FilesEvaluation) -> str:
    lines = [
        f"{found.raw}: {found.claims:,} claims of {found.providers:,} providers. By {found.labels}, {found.frauds:,} "
        f"claims are fraudulent and {found.bad_providers:,} providers bad."
    ]
    if found.strangers:
        lines.append(
            f"{found.strangers:,} more fraudulent claims of the labels are not among them: quarantined, discharged "
            "after the data date, or of other files."
        )
    if found.unknown_providers:
        lines.append(f"{found.unknown_providers:,} more bad providers of the labels have no claim here.")
    lines.append(
        f"ours: risk_score and provider_risk_score of {found.ruleset}. What has no label counts as honest: where not "
        "all were looked at, precision is at least what is said."
    )
    return "\n".join(lines)


def _claims(found: FilesEvaluation) -> str:
    rows = [(bold(scorer), *_figures(found, "claims", scorer, SHOWN)) for scorer in CLAIM_SCORERS]
    return table(("scorer", *(MEASURES[measure] for measure in SHOWN)), rows)


def _recalls(found: FilesEvaluation) -> str:
    kinds = sorted({measure for _, _, measure, _ in found.figures if measure.startswith(RECALL_OF)})
    scorers = CLAIM_SCORERS[:-1]
    rows = [
        (
            kind.removeprefix(RECALL_OF).replace("_", " "),
            *(value for scorer in scorers for value in _figures(found, "claims", scorer, (kind,))),
        )
        for kind in kinds
    ]
    return table(("recall in top 1%", *map(bold, scorers)), rows)


def _providers(found: FilesEvaluation) -> str:
    measures = (AUC, P50, P_BAD)
    rows = [(bold(scorer), *_figures(found, "providers", scorer, measures)) for scorer in PROVIDER_SCORERS]
    return table(("providers", *(PROVIDER_MEASURES[measure] for measure in measures)), rows)


def _figures(found: FilesEvaluation, level: str, scorer: str, measures: tuple[str, ...]) -> Iterator[str]:
    for measure in measures:
        value = found.value(level, scorer, measure)
        yield NOTHING if isnan(value) else f"{value:.2f}"
