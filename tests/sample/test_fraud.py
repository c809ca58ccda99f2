"""The injected fraud: as much as configured, labelled, mostly the bad providers', and done as its name says."""

from __future__ import annotations

import pytest

from ml.sample import FRAUD_TYPES, FraudRates, GeneratorConfig, Sample, generate
from tests.sample.conftest import Ask, ask_about


def test_rates_are_as_configured(ask: Ask) -> None:
    found = dict(ask("SELECT fraud_type, count(*) FROM claims WHERE is_fraud GROUP BY 1"))
    wanted = {name: rate * 100_000 for name, rate in FraudRates().as_dict().items()}
    assert found == pytest.approx(wanted, rel=0.03)
    assert sum(found.values()) == pytest.approx(1_000, rel=0.01)


def test_labels_line_up_with_the_claims(sample: Sample, ask: Ask) -> None:
    assert sample.labels["claim_id"].equals(sample.visits["FKL02"])
    assert ask("SELECT count(*) FROM claims WHERE is_fraud = (fraud_type = 'none')") == [(0,)]
    assert ask("SELECT count(*) FROM claims WHERE is_bad_provider = (bad_provider_patterns = '')") == [(0,)]
    assert {name for (name,) in ask("SELECT DISTINCT fraud_type FROM claims")} == {"none", *FRAUD_TYPES}


def test_a_few_providers_commit_most_of_it(ask: Ask) -> None:
    ((providers, bad),) = ask(
        "SELECT count(DISTINCT facility), count(DISTINCT facility) FILTER (is_bad_provider) FROM claims"
    )
    assert bad / providers == pytest.approx(0.03, abs=0.01)
    ((theirs, systematic),) = ask(
        "SELECT avg(is_bad_provider::INT), avg(contains(bad_provider_patterns, fraud_type)::INT) "
        "FROM claims WHERE is_fraud"
    )
    assert theirs > 0.5
    assert systematic > 0.5
    ((rate_bad, rate_other),) = ask(
        "SELECT avg(is_fraud::INT) FILTER (is_bad_provider), avg(is_fraud::INT) FILTER (NOT is_bad_provider) "
        "FROM claims"
    )
    assert rate_bad > 0.05
    assert 0 < rate_other < 0.01
    patterns = {p for (p,) in ask("SELECT DISTINCT bad_provider_patterns FROM claims WHERE is_bad_provider")}
    assert {len(p.split(";")) for p in patterns} <= {1, 2}


def test_repeat_bills_follow_within_three_days(ask: Ask) -> None:
    ((found,),) = ask(
        """
        SELECT avg((EXISTS (SELECT 1 FROM claims AS first
            WHERE first.PSTV01 = again.PSTV01 AND first.FKL18 = again.FKL18
            AND first.FKL30 IS NOT DISTINCT FROM again.FKL30 AND first.FKL02 <> again.FKL02
            AND abs(first.FKL03 - again.FKL03) <= 3))::INT)
        FROM claims AS again WHERE fraud_type = 'repeat_billing'
        """
    )
    assert found == 1


def test_clones_share_text_and_amount_with_another_patient_of_the_provider(ask: Ask) -> None:
    ((found,),) = ask(
        """
        WITH written AS (SELECT FKL02, string_agg(FKL24, ',' ORDER BY FKL24) AS also FROM diagnoses GROUP BY 1),
        full_text AS (SELECT claims.*, also FROM claims LEFT JOIN written USING (FKL02))
        SELECT avg((EXISTS (SELECT 1 FROM full_text AS original WHERE original.facility = clone.facility
            AND original.PSTV01 <> clone.PSTV01 AND original.FKL18 = clone.FKL18 AND original.FKL19 = clone.FKL19
            AND original.FKL30 IS NOT DISTINCT FROM clone.FKL30 AND original.also IS NOT DISTINCT FROM clone.also
            AND original.FKL47 = clone.FKL47 AND original.los = clone.los))::INT)
        FROM full_text AS clone WHERE fraud_type = 'cloned_claim'
        """
    )
    assert found > 0.98  # a template with a single clone may meet the same patient again


def test_inflated_bills_exceed_the_tariff_of_their_cell(ask: Ask) -> None:
    ((least, median),) = ask(
        """
        WITH tariff AS (SELECT FKL19, FKL09, FKL13, FKL31, mode(FKL32) AS usual FROM claims WHERE NOT is_fraud
                        GROUP BY ALL HAVING count(*) >= 3)
        SELECT min(FKL47 / (usual + topup)), median(FKL47 / (usual + topup))
        FROM claims JOIN tariff USING (FKL19, FKL09, FKL13, FKL31)
        WHERE fraud_type = 'inflated_bill' AND FKL09 <> 98 AND FKL13 <> 98
        """
    )
    assert least > 1.05
    assert 1.4 < median < 2.0


def test_fragments_are_neighbouring_stays_of_one_patient(ask: Ask) -> None:
    pieces = ask(
        "SELECT count(*), count(DISTINCT FKL18), max(FKL03) - min(FKL04), min(los) FROM claims "
        "WHERE fraud_type = 'fragmentation' AND FKL10 = 2 GROUP BY PSTV01, facility"
    )
    assert {n for n, *_ in pieces} <= {2, 3, 4}
    assert all(diagnoses == 1 and days <= 60 and shortest >= 1 for _, diagnoses, days, shortest in pieces)
    assert sum(n == 3 for n, *_ in pieces) >= 3


def test_three_in_ten_fragments_are_the_work_up_of_a_visit_in_the_next_two_days(ask: Ask) -> None:
    ((share, days, before),) = ask(
        """
        SELECT
            avg((later.FKL10 = 1)::INT),
            list_sort(list(DISTINCT earlier.gap) FILTER (earlier.gap IS NOT NULL)),
            count(earlier.gap) / count(*) FILTER (later.FKL10 = 1)
        FROM claims AS later
        LEFT JOIN LATERAL (
            SELECT min(later.FKL03 - visit.FKL03) AS gap
            FROM claims AS visit
            WHERE
                visit.PSTV01 = later.PSTV01 AND visit.facility = later.facility AND visit.FKL18 = later.FKL18
                AND visit.FKL19 <> later.FKL19 AND visit.FKL10 = 1 AND later.FKL10 = 1
                AND later.FKL03 - visit.FKL03 BETWEEN 1 AND 2
        ) AS earlier ON TRUE
        WHERE later.fraud_type = 'fragmentation'
        """
    )
    assert share == pytest.approx(0.3, abs=0.08)
    assert days == [1, 2]
    assert before > 0.95  # whose first visit made room for an invented claim stands alone


def test_upcoded_stays_are_dearer_and_shorter_than_their_severity(ask: Ask) -> None:
    ((upcoded, honest),) = ask(
        "SELECT avg(los) FILTER (fraud_type = 'upcoding'), avg(los) FILTER (NOT is_fraud) FROM claims "
        "WHERE FKL23 = 4 AND FKL19 NOT LIKE 'F-%'"
    )
    assert upcoded < 0.8 * honest


def test_a_quarter_of_upcoding_is_visits_in_the_group_of_a_procedure_that_was_not_done(ask: Ask) -> None:
    ((share, dearer, done, usually_done),) = ask(
        """
        WITH usual AS (
            SELECT FKL18, median(FKL32) AS tariff FROM claims WHERE NOT is_fraud AND FKL10 = 1 GROUP BY FKL18
        ),
        procedure AS (
            SELECT FKL19, avg((coalesce(FKL30, '') <> '')::INT) AS done
            FROM claims WHERE NOT is_fraud AND FKL10 = 1 GROUP BY FKL19
        )
        SELECT
            avg((FKL10 = 1)::INT),
            avg((FKL32 > usual.tariff)::INT) FILTER (FKL10 = 1),
            avg((coalesce(FKL30, '') <> '')::INT) FILTER (FKL10 = 1),
            avg(procedure.done) FILTER (FKL10 = 1)
        FROM claims LEFT JOIN usual USING (FKL18) LEFT JOIN procedure USING (FKL19)
        WHERE fraud_type = 'upcoding'
        """
    )
    assert 0.2 < share < 0.3
    assert dearer > 0.9
    assert done < 0.5 < 0.7 < usually_done


def test_phantom_stays_are_short_and_paid_in_full(ask: Ask) -> None:
    ((stays, short, full),) = ask(
        "SELECT avg((FKL10 = 2)::INT), avg((los <= 1)::INT) FILTER (FKL10 = 2), "
        "avg((FKL47 = FKL32)::INT) FILTER (FKL10 = 2) "
        "FROM claims WHERE fraud_type = 'phantom_billing'"
    )
    assert stays == pytest.approx(0.68, abs=0.1)
    assert short > 0.75
    assert full == 1


def test_phantom_sessions_fill_a_real_course(ask: Ask) -> None:
    ((invented, honest, share),) = ask(
        """
        WITH sessions AS (
            SELECT fraud_type, is_fraud, count(*) OVER (
                PARTITION BY PSTV01, FKL19 ORDER BY FKL03 RANGE BETWEEN INTERVAL 6 DAYS PRECEDING AND CURRENT ROW
            ) AS week
            FROM claims WHERE FKL19 IN ('N-3-15-0', 'M-3-16-0')
        )
        SELECT avg(week) FILTER (fraud_type = 'phantom_billing'), avg(week) FILTER (NOT is_fraud),
            count(*) FILTER (fraud_type = 'phantom_billing')
            / (SELECT count(*) FROM claims WHERE fraud_type = 'phantom_billing')
        FROM sessions
        """
    )
    assert share == pytest.approx(0.15, abs=0.05)
    assert honest < 2.5 < 3.5 < invented


def test_needless_topups_are_topups(ask: Ask) -> None:
    assert ask("SELECT min(topup) > 0, max((FKL47 <> FKL32 + topup)::INT) FROM claims WHERE fraud_type = 'unnecessary_topup'") == [(True, 0)]  # noqa: E501  # fmt: skip


def test_no_single_figure_gives_the_fraud_away(ask: Ask) -> None:
    """Sorting by amount finds some of it, not most: honest dear claims are in the way."""
    ((by_amount,),) = ask("SELECT avg(is_fraud::INT) FROM (SELECT * FROM claims ORDER BY FKL47 DESC LIMIT 1000)")
    assert 0.02 < by_amount < 0.4
    ((by_topup,),) = ask("SELECT avg(is_fraud::INT) FROM claims WHERE topup > 0")
    assert by_topup < 0.6


def test_settings() -> None:
    base = GeneratorConfig(claims=20_000, seed=1)
    honest = ask_about(generate(GeneratorConfig(claims=20_000, seed=1, fraud=FraudRates().scaled(0))))
    assert honest("SELECT count(*) FILTER (is_fraud), count(*) FILTER (is_bad_provider) FROM claims") == [(0, 0)]
    sporadic = ask_about(generate(base.sporadic()))
    assert sporadic("SELECT sum(is_fraud::INT), count(*) FILTER (is_bad_provider) FROM claims") == [(200, 0)]
    heavy = ask_about(generate(GeneratorConfig(claims=20_000, seed=1, fraud=FraudRates().scaled(3))))
    assert heavy("SELECT sum(is_fraud::INT) FROM claims")[0][0] == pytest.approx(600, rel=0.05)
    off_tariff = "SELECT avg((FKL47 <> FKL32 + topup)::INT) FROM claims WHERE NOT is_fraud"
    ((clean,),) = ask_about(generate(base.clean()))(off_tariff)
    ((noisy,),) = ask_about(generate(base.noisy()))(off_tariff)
    assert clean == 0
    assert noisy == pytest.approx(0.06, abs=0.01)  # six in ten deviations are of the amount


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("claims", 0),
        ("seed", -1),
        ("bad_provider_share", 1.5),
        ("noise", 0.6),
        ("providers", 0),
        ("epidemic", -1),
        ("seasonal_shift", 13),
        ("fraud", FraudRates(upcoding=0.2)),
    ],
)
def test_a_wrong_setting_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        GeneratorConfig(**{"claims": 10, field: value})  # type: ignore[arg-type]
