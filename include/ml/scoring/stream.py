"""Runs the forest over a claims file in batches, on several threads, with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from ml.model.artefact import RiskModel
from ml.model.features import SOURCE_COLUMNS

BATCH_ROWS = 65_536

Batch = TypeVar("Batch")
Result = TypeVar("Result")


def ml_scores(claims: Path, model: RiskModel, *, threads: int, batch_rows: int = BATCH_ROWS) -> pa.Table:
    """Score every claim of a Parquet file.

    The result does not depend on `threads` or `batch_rows`: a claim's score depends on the claim alone.

    Args:
        claims: a `claims_normalized` Parquet file.
        model: the model.
        threads: batches in work at a time; the forest's compiled part runs without Python's global lock.
        batch_rows: claims a batch.

    Returns:
        Columns `claim_id` and `ml_score`, in the file's order.
    """

    def score(batch: pa.RecordBatch) -> pa.Table:
        scores = model.forest.ml_score(model.features.matrix(batch))
        return pa.table({"claim_id": batch.column("claim_id"), "ml_score": scores})

    with pq.ParquetFile(claims) as file:
        batches = file.iter_batches(batch_rows, columns=["claim_id", *SOURCE_COLUMNS])
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
