"""Runs RULESET_v1's forest over claims in batches, on several threads, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from ml.model.artefact import RiskModel
from ml.parallel import in_order


def ml_scores(batches: Iterable[pa.RecordBatch], model: RiskModel, *, threads: int) -> pa.Table:
    """Score every claim of some batches.

    The result does not depend on `threads` or the batches' size: a claim's score depends on the claim alone.

    Args:
        batches: `claim_id` and `ml.model.features.SOURCE_COLUMNS`.
        model: the model.
        threads: batches in work at a time; the forest's compiled part runs without Python's global lock.

    Returns:
        Columns `claim_id` and `ml_score`, in the batches' order.
    """

    def score(batch: pa.RecordBatch) -> pa.Table:
        scores = model.forest.ml_score(model.features.matrix(batch))
        return pa.table({"claim_id": batch.column("claim_id"), "ml_score": scores})

    return pa.concat_tables(list(in_order(score, batches, threads)))
