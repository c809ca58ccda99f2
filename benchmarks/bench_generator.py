"""Time and memory of a generated sample of the real one's size.

Run: python benchmarks/bench_generator.py [claims] [csv|parquet|dta]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from ml.sample import GeneratorConfig, generate, write

SECONDS, GIGABYTES = 30.0, 3.0  # allowed for 1,176,438 claims as CSV on two cores


def main(claims: int = 1_176_438, fmt: str = "csv") -> None:
    begin = time.perf_counter()
    sample = generate(GeneratorConfig(claims=claims, seed=1))
    generated = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        paths = write(sample, Path(folder) / "raw", fmt)
        megabytes = sum(path.stat().st_size for path in paths.values()) / 1e6
    total = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{claims:,} claims as {fmt}: {generated:.1f} s to generate, {total:.1f} s in all "
          f"({time.process_time():.1f} s of CPU), {peak:.2f} GB peak, {megabytes:,.0f} MB on disk")  # fmt: skip
    if claims == 1_176_438 and fmt == "csv":
        assert total < SECONDS
        assert peak < GIGABYTES


if __name__ == "__main__":
    main(*[int(a) if a.isdigit() else a for a in sys.argv[1:]])  # type: ignore[arg-type]
