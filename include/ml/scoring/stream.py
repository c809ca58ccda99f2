"""Runs RULESET_v1's forest over claims in batches, on several threads, with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

from ml.model.artefact import RiskModel

Batch = TypeVar("Batch")
Result = TypeVar("Result")


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


def in_order(work: Callable[[Batch], Result], batches: Iterable[Batch], threads: int) -> Iterator[Result]:
    """Yield the results of some work on batches, in their order, while at most `threads` + 1 of them are in memory."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for batch in batches:
            waiting.append(pool.submit(work, batch))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
