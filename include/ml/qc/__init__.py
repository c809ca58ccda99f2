"""Quality control of what readers see: Great Expectations over a live release, the QC logs and their summary."""

from ml.qc.check import QcResult, run_quality_check
from ml.qc.errors import QcError
from ml.qc.summary import write_summary

__all__ = ["QcError", "QcResult", "run_quality_check", "write_summary"]
