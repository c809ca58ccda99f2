"""What changed between two releases: claims, the auditors' list, ranks, and where scores and flags have shifted."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict, computed_field

from ml.release import Release
from ml.settings import Settings, duckdb_config
from ml.sql import sql_text


class ComparisonError(RuntimeError):
    """Two releases cannot be compared; the message says which file is wrong."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Side(_Frozen):
    """One of the two releases."""

    release_id: str
    data_date: date
    rows: int
    model_version: str
    ruleset_version: str


class TopClaim(_Frozen):
    """A claim that is among the top-K of one release only. Places count from 1; None: the release lacks the claim.

    `reasons` are those of the release in whose top-K it is, each with `text_id` and `text_en`.
    """

    claim_id: str
    place_a: int | None
    place_b: int | None
    risk_score_a: float | None
    risk_score_b: float | None
    amount_claimed: int | None
    province_name: str
    severity_group: str
    reasons: list[dict[str, Any]]

    def line(self) -> str:
        """Return the claim without its reasons in one line."""
        places = " -> ".join("none" if place is None else f"{place:,}" for place in (self.place_a, self.place_b))
        scores = " -> ".join("-" if risk is None else f"{risk:.3f}" for risk in (self.risk_score_a, self.risk_score_b))
        amount = "" if self.amount_claimed is None else f", Rp{self.amount_claimed:,}"
        return f"{self.claim_id}  place {places}, risk {scores}{amount}, {self.severity_group}, {self.province_name}"


class Shift(_Frozen):
    """A province or a severity in both releases. Shares and means are None where a release has no such claim."""

    value: str
    claims_a: int
    claims_b: int
    mean_risk_score_a: float | None
    mean_risk_score_b: float | None
    flagged_share_a: float | None
    flagged_share_b: float | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def risk_score_shift(self) -> float:
        """Change of the mean risk score; 0 when it cannot be compared."""
        return (self.mean_risk_score_b or 0) - (self.mean_risk_score_a or 0) if self._in_both else 0.0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def flagged_shift(self) -> float:
        """Change of the share of flagged claims; 0 when it cannot be compared."""
        return (self.flagged_share_b or 0) - (self.flagged_share_a or 0) if self._in_both else 0.0

    @property
    def _in_both(self) -> bool:
        return self.claims_a > 0 and self.claims_b > 0


class FlagCount(_Frozen):
    """Claims that carry a flag."""

    flag: str
    claims_a: int
    claims_b: int


class Comparison(_Frozen):
    """From release `a` to release `b`.

    `top_k_kept` counts claims in the top-K of both. `rank_correlation` is Spearman's, of risk_score over the claims
    in both releases; None when it is not defined. Shifts are listed with the largest change of score first.
    """

    a: Side
    b: Side
    only_in_a: int
    only_in_b: int
    in_both: int
    examples_only_in_a: list[str]
    examples_only_in_b: list[str]
    rank_correlation: float | None
    top_k: int
    top_k_kept: int
    entrants: list[TopClaim]
    leavers: list[TopClaim]
    by_province: list[Shift]
    by_severity: list[Shift]
    by_flag: list[FlagCount]

    def lines(self, *, top: int = 0) -> list[str]:
        """Return the gist in a few lines; with `top` also that many of the claims that enter and leave the top-K."""
        ranks = "not defined" if self.rank_correlation is None else f"{self.rank_correlation:.4f}"
        lines = [
            f"Claims     {self.in_both:,} in both, {self.only_in_b:,} new in B, {self.only_in_a:,} no longer in B",
            f"Top {self.top_k:<6} {self.top_k_kept} stay, {len(self.entrants)} come in, {len(self.leavers)} leave",
            f"Ranks      correlation {ranks} (Spearman, of risk_score)",
        ]
        examples = {"new in B": self.examples_only_in_b, "no longer in B": self.examples_only_in_a}
        lines += [f"           {name}, e.g. {', '.join(ids)}" for name, ids in examples.items() if ids]
        for name, claims in (("comes in", self.entrants), ("leaves", self.leavers)):
            lines += [f"           {name}: {claim.line()}" for claim in claims[:top]]
        return lines


def compare_releases(a: Release, b: Release, *, top_k: int, settings: Settings) -> Comparison:
    """Compare two releases from their own files; 1.18 million claims each take a few seconds.

    Raises:
        ComparisonError: a file cannot be read as what it should be.
    """
    settings.work.mkdir(parents=True, exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(dir=settings.work, prefix="qc-") as folder,
            duckdb.connect(config=duckdb_config(settings, Path(folder))) as connection,
        ):
            _attach(connection, a, b)
            connection.execute(sql_text("compare/10_pairs.sql"))

            def rows(name: str, **parameters: Any) -> list[dict[str, Any]]:
                found = connection.sql(sql_text(f"compare/{name}"), params=parameters or None).to_arrow_table()
                return list(found.to_pylist())

            return _comparison(a, b, top_k, rows)
    except duckdb.Error as error:
        raise ComparisonError(f"{a.id} and {b.id} cannot be compared: {error}") from error


def _attach(connection: duckdb.DuckDBPyConnection, a: Release, b: Release) -> None:
    for side, release in (("a", a), ("b", b)):
        if side == "b" and b.database == a.database:  # DuckDB attaches a file only once
            connection.execute("CREATE VIEW side_b AS SELECT * FROM a.claims_high_risk")
            return
        connection.execute(f"ATTACH $database AS {side} (READ_ONLY)", {"database": str(release.database)})
        connection.execute(f"CREATE VIEW side_{side} AS SELECT * FROM {side}.claims_high_risk")


def _comparison(a: Release, b: Release, top_k: int, rows: Callable[..., list[dict[str, Any]]]) -> Comparison:
    listed = rows("top_k.sql", top_k=top_k)
    shifts = rows("shifts.sql")
    return Comparison(
        a=_side(a),
        b=_side(b),
        **rows("claims.sql")[0],
        **rows("rank_correlation.sql")[0],
        top_k=top_k,
        top_k_kept=sum(_within(row["place_a"], top_k) and _within(row["place_b"], top_k) for row in listed),
        entrants=[_top_claim(row, "b") for row in listed if not _within(row["place_a"], top_k)],
        leavers=[_top_claim(row, "a") for row in listed if not _within(row["place_b"], top_k)],
        by_province=_shifts(shifts, "province_name"),
        by_severity=_shifts(shifts, "severity_group"),
        by_flag=[FlagCount(**row) for row in rows("flags.sql")],
    )


def _side(release: Release) -> Side:
    manifest = release.manifest
    return Side(
        release_id=release.id,
        data_date=manifest.data_date,
        rows=manifest.rows,
        model_version=manifest.model_version,
        ruleset_version=manifest.ruleset_version,
    )


def _within(place: int | None, top_k: int) -> bool:
    return place is not None and place <= top_k


def _top_claim(row: dict[str, Any], side: str) -> TopClaim:
    return TopClaim(**row, reasons=json.loads(row[f"reasons_{side}"] or "[]"))


def _shifts(rows: list[dict[str, Any]], dimension: str) -> list[Shift]:
    shifts = [Shift(value=row[dimension], **row) for row in rows if row[dimension] is not None]
    return sorted(shifts, key=lambda shift: (-abs(shift.risk_score_shift), -abs(shift.flagged_shift), shift.value))
