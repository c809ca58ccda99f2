"""The release room: publish, restore, recover and verify releases of the scores (protocol: docs/publishing.md).

Knows nothing of Airflow, of scoring and of QC: it is handed two Parquet files and shows readers exactly one complete
release at a time.
"""

from ml.release.manifest import (
    Candidate,
    ChangedCandidateError,
    Manifest,
    Published,
    Release,
    ReleaseError,
    Restored,
    RunToken,
)
from ml.release.store import ReleaseStore

__all__ = [
    "Candidate",
    "ChangedCandidateError",
    "Manifest",
    "Published",
    "Release",
    "ReleaseError",
    "ReleaseStore",
    "Restored",
    "RunToken",
]
