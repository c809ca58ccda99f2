"""Runs the forest over a claims file in batches, on several threads, with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.model.artefact import RiskModel
from ml.model.features import SOURCE_COLUMNS

BATCH_ROWS = 65_536


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

    with pq.ParquetFile(claims) as file, ThreadPoolExecutor(threads) as pool:
        batches = file.iter_batches(batch_rows, columns=["claim_id", *SOURCE_COLUMNS])
        parts = list(_in_order((pool.submit(score, batch) for batch in batches), ahead=threads + 1))
    return pa.concat_tables(parts)


def _in_order(futures: Iterator[Future[pa.Table]], ahead: int) -> Iterator[pa.Table]:
    """Yield results in order while at most `ahead` batches are in memory."""
    waiting: deque[Future[pa.Table]] = deque()
    for future in futures:
        waiting.append(future)
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
