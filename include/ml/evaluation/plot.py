"""The evaluation as a picture: each scorer's mean and spread, by measure and setting, and its recall by fraud type."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev
from typing import Any

import altair as alt
import pandas as pd

from ml.evaluation.figures import AMOUNT, AP, OURS, OVERLAP, P50, P1000, RANDOM, RECALL, RECALL_OF, RULES_V1, Evaluation
from ml.sample import FRAUD_TYPES
from ml.sample.config import Setting

FORMATS = (".svg", ".png")
COLOURS = {OURS: "#0b6e4f", RULES_V1: "#d95f02", AMOUNT: "#7570b3", RANDOM: "#999999"}
SHAPES = {OURS: "circle", RULES_V1: "square", AMOUNT: "triangle-up", RANDOM: "cross"}
TITLES = {
    P50: "precision@50",
    P1000: "precision@1000",
    AP: "average precision",
    RECALL: "recall in top 1%",
    OVERLAP: "overlap@1000",
}
FONT = "Arial, Helvetica, Liberation Sans, sans-serif"
LABELS = 125
"""Width of the rows' labels, so that the panels of both parts stand below each other."""
WIDTH, GAP = 920, 18
"""Points of all panels of a part together, and between two of them."""
SCALE = 2.0
"""Pixels a point in a PNG."""


def draw(evaluation: Evaluation, path: Path) -> None:
    """Draw the plot into a file, a .svg or .png by its ending.

    Raises:
        ValueError: another ending.
    """
    check_plot(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _chart(evaluation).save(str(path), scale_factor=SCALE)


def check_plot(path: Path) -> None:
    """Refuse a file that cannot be drawn, before the work and not after it.

    Raises:
        ValueError: the ending is none of `FORMATS`.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"{path}: a plot ends in {' or '.join(FORMATS)}")


def _chart(evaluation: Evaluation) -> alt.VConcatChart:
    settings = [setting.value for setting in evaluation.plan.settings]
    kinds = [kind.replace("_", " ") for kind in FRAUD_TYPES]
    overall = [
        _point(evaluation, scorer, measure, setting) | {"panel": title, "row": setting.value}
        for measure, title in TITLES.items()
        for setting in evaluation.plan.settings
        for scorer in COLOURS
    ]
    by_type = [
        _point(evaluation, scorer, RECALL_OF + kind, setting) | {"panel": setting.value, "row": kind.replace("_", " ")}
        for kind in FRAUD_TYPES
        for setting in evaluation.plan.settings
        for scorer in COLOURS
    ]
    upper = _panels(overall, list(TITLES.values()), settings, "By setting, mean ± standard deviation over the seeds")
    lower = _panels(by_type, settings, kinds, "Share of each fraud type found in the top 1%, by setting")
    chart: alt.VConcatChart = (
        alt.vconcat(upper, lower, spacing=28)
        .configure(font=FONT, background="white")
        .configure_axis(labelFontSize=12, titleFontSize=12, gridColor="#eeeeee", domainColor="#bbbbbb")
        .configure_header(labelFontSize=13, labelFontWeight="bold", title=None)
        .configure_legend(labelFontSize=13, orient="top", title=None, symbolSize=110, columnPadding=24)
        .configure_title(fontSize=15, anchor="start", offset=10)
        .configure_view(stroke="#dddddd")
    )
    return chart


def _point(evaluation: Evaluation, scorer: str, measure: str, setting: Setting) -> dict[str, Any]:
    """Mean and spread of one kind of figure; nulls where there is none."""
    values = evaluation.values("claims", scorer, measure, setting)
    middle = mean(values) if values else None
    side = stdev(values) if len(values) > 1 else 0.0
    low, high = (max(middle - side, 0.0), min(middle + side, 1.0)) if middle is not None else (None, None)
    return {"scorer": scorer, "mean": middle, "low": low, "high": high}


def _panels(points: list[dict[str, Any]], panels: list[str], rows: list[str], title: str) -> alt.FacetChart:
    """Panels side by side on one scale from 0 to 1; in each a line of marks for every row, one mark a scorer."""
    names = alt.Axis(grid=False, ticks=False, labelPadding=8, minExtent=LABELS)
    row = alt.Y("row:N", sort=rows, title=None, axis=names, scale=alt.Scale(padding=0.1))
    lane = alt.YOffset("scorer:N", sort=list(COLOURS), scale=alt.Scale(paddingOuter=0.3))
    colour = alt.Color("scorer:N", sort=list(COLOURS), scale=_scale(COLOURS))
    axis = alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".2~f", title=None)
    value = alt.X("mean:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    base = alt.Chart(pd.DataFrame(points)).encode(y=row, yOffset=lane, color=colour)
    bars = base.mark_rule(strokeWidth=2, opacity=0.55).encode(x=alt.X("low:Q"), x2="high:Q")
    dots = base.mark_point(filled=True, size=62, opacity=1).encode(
        x=value, shape=alt.Shape("scorer:N", sort=list(COLOURS), scale=_scale(SHAPES))
    )
    return (
        alt.layer(bars, dots)
        .properties(width=(WIDTH - GAP * (len(panels) - 1)) / len(panels), height=alt.Step(12))
        .facet(column=alt.Column("panel:N", sort=panels), spacing=GAP)
        .properties(title=title)
    )


def _scale(chosen: dict[str, str]) -> alt.Scale:
    return alt.Scale(domain=list(chosen), range=list(chosen.values()))
