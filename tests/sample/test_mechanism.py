"""How honest claims come about: histories, comorbidities, stays, and what looks like fraud but is not."""

from __future__ import annotations

import numpy as np
import pytest

from ml.sample import FraudRates, GeneratorConfig, generate
from ml.sample.catalogue.diagnoses import DIAGNOSES
from ml.sample.catalogue.groups import GROUPS
from ml.sample.catalogue.tables import CASES
from ml.sample.sampling import GroupedChoice, quotas, scatter
from ml.sample.tariffs import tariff_table
from tests.sample.conftest import Ask, ask_about


@pytest.fixture(scope="module")
def clean() -> Ask:
    """Claims without fraud and without administrative deviations."""
    return ask_about(generate(GeneratorConfig(claims=60_000, seed=7, fraud=FraudRates().scaled(0), noise=0.0)))


def test_severity_follows_from_the_comorbidities(clean: Ask) -> None:
    weights = ", ".join(f"('{item.code.replace('.', '')}', {item.cc})" for item in DIAGNOSES)
    ((wrong,),) = clean(
        f"""
        WITH weight(code, cc) AS (VALUES {weights}),
        heaviest AS (SELECT FKL02, max(cc) AS cc FROM diagnoses JOIN weight ON FKL24 = code GROUP BY 1)
        SELECT count(*) FROM claims LEFT JOIN heaviest USING (FKL02) WHERE FKL10 = 2 AND FKL23 <> coalesce(cc, 0) + 2
        """
    )
    assert wrong == 0


def test_without_noise_the_amount_is_exactly_tariff_plus_topups(clean: Ask) -> None:
    assert clean("SELECT count(*) FROM claims WHERE FKL47 <> FKL32 + topup") == [(0,)]
    known = "FKL09 <> 98 AND FKL13 <> 98"
    assert clean(
        f"SELECT count(*) FROM (SELECT 1 FROM claims WHERE {known} GROUP BY FKL19, FKL09, FKL13, FKL31 "
        "HAVING count(DISTINCT FKL32) > 1)"
    ) == [(0,)]  # fmt: skip


def test_longer_stays_with_severity_and_dearer_with_class_and_ward(clean: Ask) -> None:
    los = [x for (x,) in clean("SELECT avg(los) FROM claims WHERE FKL10 = 2 GROUP BY FKL23 ORDER BY FKL23")]
    assert los == sorted(los)
    table = tariff_table()
    stem = next(i for i, group in enumerate(GROUPS) if group.stem == "J-4-16")
    assert table[stem, 1, 1, 3, 1] > table[stem, 1, 2, 3, 1] > table[stem, 1, 3, 3, 1] > table[stem, 1, 4, 3, 1] > 0
    assert table[stem, 1, 3, 1, 1] > table[stem, 1, 3, 2, 1] > table[stem, 1, 3, 3, 1]
    assert table[stem, 3, 3, 3, 1] > table[stem, 2, 3, 3, 1] > table[stem, 1, 3, 3, 1]
    assert table[stem, 1, 3, 3, 5] > table[stem, 1, 3, 3, 1]


def test_dialysis_patients_come_twice_a_week_and_never_twice_a_day(clean: Ask) -> None:
    ((gap, twice),) = clean(
        """
        WITH visits AS (SELECT FKL03 - lag(FKL03) OVER (PARTITION BY PSTV01 ORDER BY FKL03) AS gap
                        FROM claims WHERE FKL19 = 'N-3-15-0')
        SELECT median(gap), avg((gap = 0)::INT) FROM visits WHERE gap IS NOT NULL
        """
    )
    assert 2 <= gap <= 4
    assert twice < 0.02


def test_chronic_patients_come_monthly_to_the_same_provider(clean: Ask) -> None:
    ((gap, faithful),) = clean(
        """
        WITH visits AS (SELECT FKL03 - lag(FKL03) OVER w AS gap, (facility = lag(facility) OVER w)::INT AS same
                        FROM claims WHERE FKL18 = 'E119' AND FKL10 = 1
                        WINDOW w AS (PARTITION BY PSTV01 ORDER BY FKL03))
        SELECT median(gap), avg(same) FROM visits WHERE gap IS NOT NULL
        """
    )
    assert 25 <= gap <= 35
    assert faithful > 0.95


def test_nobody_is_seen_outside_while_staying_inside(clean: Ask) -> None:
    ((inside, rows),) = clean(
        """
        WITH before AS (SELECT FKL03, max(FKL04) FILTER (FKL10 = 2) OVER (PARTITION BY PSTV01 ORDER BY FKL03, FKL04
                                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until FROM claims)
        SELECT count(*) FILTER (FKL03 < until), count(*) FROM before
        """
    )
    assert inside / rows < 0.001


def test_the_dead_do_not_come_back(clean: Ask) -> None:
    assert clean(
        "SELECT count(*) FROM claims AS dead JOIN claims AS later USING (PSTV01) "
        "WHERE dead.FKL14 = 4 AND later.FKL03 > dead.FKL04"
    ) == [(0,)]  # fmt: skip


def test_honest_lookalikes_are_many(clean: Ask) -> None:
    """Short stays at full cost, revisits within three days, and top-ups also happen without any fraud."""
    ((short, topped, inpatients),) = clean(
        "SELECT count(*) FILTER (los <= 1 AND FKL23 > 2), count(*) FILTER (topup > 0), count(*) "
        "FROM claims WHERE FKL10 = 2"
    )
    assert short > 0.01 * inpatients
    assert topped > 0.005 * inpatients
    ((again,),) = clean(
        "SELECT count(*) FILTER (gap <= 3) FROM (SELECT FKL03 - lag(FKL03) OVER "
        "(PARTITION BY PSTV01, FKL18, FKL30 ORDER BY FKL03) AS gap FROM claims "
        "WHERE FKL19 NOT IN ('N-3-15-0', 'M-3-16-0', 'C-3-20-0'))"
    )
    assert again > 300


def test_families_share_place_segment_and_ward(clean: Ask) -> None:
    assert clean(
        "SELECT count(*) FROM (SELECT PSTV02 FROM claims WHERE FKL12 <> 98 AND FKL13 <> 98 GROUP BY 1 "
        "HAVING count(DISTINCT (FKL12, FKL13, PSTV15)) > 1)"
    ) == [(0,)]  # fmt: skip
    ((people, families),) = clean("SELECT count(DISTINCT PSTV01), count(DISTINCT PSTV02) FROM claims")
    assert 1.2 < people / families < 3


def test_transfers_and_referrals_name_their_sender(clean: Ask) -> None:
    assert clean("SELECT count(*) FROM claims WHERE FKP02 IS NOT NULL AND (FKL25 = 98 OR FKL28 NOT IN (3, 4))") == [
        (0,)
    ]
    assert clean("SELECT count(*) FROM claims WHERE FKP02 IS NULL AND FKL25 <> 98 AND FKL28 NOT IN (1, 2)") == [(0,)]
    ((transfers,),) = clean("SELECT count(*) FROM claims WHERE FKL28 = 1")
    assert transfers > 100


def test_providers_differ_in_size_and_case_mix(clean: Ask) -> None:
    sizes = np.array([n for (n,) in clean("SELECT count(*) FROM claims GROUP BY facility")])
    assert sizes.max() > 5 * np.median(sizes)
    shares = np.array(
        [x for (x,) in clean("SELECT avg((FKL10 = 2)::INT) FROM claims GROUP BY facility HAVING count(*) > 200")]
    )
    assert shares.std() > 0.03


def test_season_settings_change_what_they_say() -> None:
    base = GeneratorConfig(claims=30_000, seed=3)
    count = "SELECT count(*) FILTER (month(FKL04) BETWEEN 8 AND 10), count(*) FROM claims WHERE FKL19 LIKE 'A-4-13-%'"
    ((dry, before),) = ask_about(generate(base))(count)
    ((wet, after),) = ask_about(generate(base.shifted()))(count)
    assert wet > 3 * dry
    assert after > 1.3 * before


def test_every_case_is_reachable(clean: Ask) -> None:
    ((groups,),) = clean("SELECT count(DISTINCT left(FKL19, 6)) FROM claims")
    assert groups == len({case.stem for case in CASES})


def test_grouped_choice_follows_the_weights() -> None:
    choice = GroupedChoice([[1, 0, 3], [5]])
    group = np.repeat([0, 1], 20_000)
    drawn = choice.draw(np.random.default_rng(0), group)
    counts = np.bincount(drawn[:20_000], minlength=3)
    assert counts[1] == 0
    assert counts[2] / 20_000 == pytest.approx(0.75, abs=0.01)
    assert (drawn[20_000:] == 0).all()
    with pytest.raises(ValueError, match="empty group"):
        GroupedChoice([[1.0], [0.0]]).draw(np.random.default_rng(0), np.array([1]))


def test_quotas_sum_up_and_scatter_is_one_to_one() -> None:
    assert quotas([1, 1, 1], 10).tolist() == [4, 3, 3]
    assert len(np.unique(scatter(np.arange(5_000), 100, 5_100, 3))) == 5_000
    with pytest.raises(ValueError, match="more than 10"):
        scatter(np.arange(11), 0, 10, 1)
