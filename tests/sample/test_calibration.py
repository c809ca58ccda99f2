"""The sample against the published aggregates of the 2022 BPJS sample data, at 100,000 claims."""

from __future__ import annotations

import numpy as np
import pytest

from ml.sample import Sample
from tests.sample.conftest import Ask

# Quantity in SQL over the claims, aggregate of the real sample, absolute tolerance. Quantiles of the amount are tight:
# they sit on single tariffs. Mean and sd hang on a few dear stays (a 100,000-claim sample's own spread is 1% and 5%).
AGGREGATES = {
    "inpatient share": ("avg((FKL10 = 2)::INT)", 0.117, 0.001),
    "LOS 0": ("avg((los = 0)::INT)", 0.885, 0.005),
    "LOS 1": ("avg((los = 1)::INT)", 0.018, 0.003),
    "LOS 2": ("avg((los = 2)::INT)", 0.032, 0.003),
    "LOS 3": ("avg((los = 3)::INT)", 0.027, 0.003),
    "LOS 4": ("avg((los = 4)::INT)", 0.015, 0.003),
    "LOS <= 1": ("avg((los <= 1)::INT)", 0.904, 0.005),
    "severity number, mean": ("avg(FKL23)", 1.150, 0.01),
    "amount claimed, mean": ("avg(FKL47)", 867_679, 30_000),
    "amount claimed, sd": ("stddev_pop(FKL47)", 2_830_000, 400_000),
    "amount claimed, min": ("min(FKL47)", 69_400, 0),
    "amount claimed, p25": ("quantile_cont(FKL47, 0.25)", 183_900, 2_000),
    "amount claimed, median": ("quantile_cont(FKL47, 0.50)", 192_100, 4_000),
    "amount claimed, p75": ("quantile_cont(FKL47, 0.75)", 380_500, 15_000),
    "paid share of claimed": ("sum(FKL48) / sum(FKL47)", 0.9987, 0.0010),
    "facility class, median": ("median(FKL09)", 7, 0),
    "private or Pemkab": ("avg((FKL07 IN (3, 9))::INT)", 0.84, 0.05),
}


@pytest.mark.parametrize("name", AGGREGATES)
def test_aggregate(ask: Ask, name: str) -> None:
    quantity, wanted, tolerance = AGGREGATES[name]
    ((found,),) = ask(f"SELECT {quantity} FROM claims")
    assert found == pytest.approx(wanted, abs=tolerance)


def test_tails(ask: Ask) -> None:
    ((dearest, longest, least_paid, most_over),) = ask(
        "SELECT max(FKL47), max(los), min(FKL48), max(FKL48 - FKL47) FROM claims"
    )
    assert 80_000_000 < dearest <= 396_900_000
    assert 60 < longest <= 314
    assert least_paid == 0
    assert most_over == 0


def test_secondary_diagnoses(sample: Sample, ask: Ask) -> None:
    ((with_some,),) = ask("SELECT count(DISTINCT FKL02) FROM diagnoses")
    assert sample.diagnoses.num_rows / sample.visits.num_rows == pytest.approx(1.077, abs=0.03)
    assert 1 - with_some / sample.visits.num_rows == pytest.approx(0.22, abs=0.01)


def test_private_hospitals_come_first_and_pemkab_second(ask: Ask) -> None:
    order = [code for (code,) in ask("SELECT FKL07 FROM claims GROUP BY 1 ORDER BY count(*) DESC")]
    assert order[:2] == [9, 3]


def test_most_amounts_are_the_groups_tariff(ask: Ask) -> None:
    """Within INA-CBG x provider (its class and region) x ward the honest spread is close to zero."""
    ((odd,),) = ask(
        """
        WITH usual AS (
            SELECT *, mode(FKL47 - topup) OVER (PARTITION BY cell) AS tariff, count(*) OVER (PARTITION BY cell) AS n
            FROM claims WHERE NOT is_fraud AND FKL13 <= 3
        )
        SELECT avg((FKL47 <> tariff + topup)::INT) FROM usual WHERE n >= 5
        """
    )
    assert 0.001 < odd < 0.012


def test_days_spread_over_the_year_with_weekdays_and_seasons(ask: Ask) -> None:
    ((first, last, days),) = ask("SELECT min(FKL04)::TEXT, max(FKL04)::TEXT, count(DISTINCT FKL04) FROM claims")
    assert (first, last, days) == ("2022-01-01", "2022-12-31", 365)
    months = np.array([n for (n,) in ask("SELECT count(*) FROM claims GROUP BY month(FKL04)")])
    assert months.min() > 0.85 * months.mean()
    ((sunday, weekday),) = ask(
        "SELECT count(*) FILTER (isodow(FKL04) = 7), count(*) FILTER (isodow(FKL04) < 6) / 5 "
        "FROM claims WHERE FKL10 = 1"
    )
    assert sunday < 0.2 * weekday
    ((spring, autumn),) = ask(
        "SELECT count(*) FILTER (month(FKL04) BETWEEN 2 AND 4), count(*) FILTER (month(FKL04) BETWEEN 8 AND 10) "
        "FROM claims WHERE FKL19 LIKE 'A-4-13-%'"
    )
    assert spring > 2 * autumn
