"""The tables' form: columns, ids, codes, and that the parts of a row agree with one another."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from ml.claims.layout import DIAGNOSIS, FACILITY_CLASSES, FACILITY_TYPES, FKRTL, OWNERSHIPS, PROVINCES, Kind
from ml.sample import GeneratorConfig, Sample, generate
from ml.sample.catalogue.diagnoses import INDEX
from tests.sample.conftest import Ask, ask_about


def test_columns_in_file_order(sample: Sample) -> None:
    assert sample.visits.column_names == [column.name for column in FKRTL]
    assert sample.diagnoses.column_names == [column.name for column in DIAGNOSIS]


def test_types(sample: Sample) -> None:
    wanted = {
        Kind.DATE: pa.types.is_date,
        Kind.CODE: pa.types.is_integer,
        Kind.AMOUNT: pa.types.is_integer,
        Kind.WEIGHT: pa.types.is_floating,
        Kind.TEXT: lambda kind: pa.types.is_string(kind.value_type if pa.types.is_dictionary(kind) else kind),
    }
    for column in FKRTL:
        assert wanted[column.kind](sample.visits.schema.field(column.name).type), column.name


def test_only_referral_procedure_and_admission_diagnosis_may_be_empty(sample: Sample) -> None:
    empty = {name for name in sample.visits.column_names if sample.visits[name].null_count}
    assert empty == {"FKP02", "FKL30", "FKL15A", "FKL16", "FKL16A"}
    assert 0.1 < sample.visits["FKP02"].null_count / sample.visits.num_rows < 0.4
    assert sum(sample.diagnoses[name].null_count for name in sample.diagnoses.column_names) == 0


def test_claim_ids_are_unique_and_name_facility_and_month(ask: Ask) -> None:
    ((rows, ids, good),) = ask(
        "SELECT count(*), count(DISTINCT FKL02), "
        "count(*) FILTER (regexp_full_match(FKL02, facility || strftime(FKL03, '%m%y') || 'V[0-9]{6}')) FROM claims"
    )
    assert rows == ids == good == 100_000


def test_serials_of_a_facility_grow_with_the_day(ask: Ask) -> None:
    ((back,),) = ask(
        """
        WITH next AS (SELECT FKL03, lead(FKL03) OVER (PARTITION BY facility, left(FKL02, -7) ORDER BY FKL02) AS later
                      FROM claims)
        SELECT count(*) FILTER (later < FKL03) FROM next
        """
    )
    assert back == 0


def test_a_facility_is_one_place_of_one_sort(ask: Ask) -> None:
    known = "FILTER (FKL05 <> 98 AND FKL07 <> 98 AND FKL09 <> 98)"
    assert ask(
        f"SELECT facility FROM claims GROUP BY 1 HAVING count(DISTINCT (FKL05, FKL06, FKL07, FKL08, FKL09)) {known} > 1"
    ) == []  # fmt: skip
    ((facilities,),) = ask("SELECT count(DISTINCT facility) FROM claims")
    assert 200 < facilities <= GeneratorConfig(claims=100_000).provider_count


def test_codes_come_from_their_lists_and_unknown_ones_are_rare(ask: Ask) -> None:
    for field, codes in {
        "FKL05": PROVINCES,
        "FKL07": OWNERSHIPS,
        "FKL08": FACILITY_TYPES,
        "FKL09": FACILITY_CLASSES,
    }.items():
        ((unknown,),) = ask(f"SELECT avg(({field} NOT IN {tuple(codes)})::INT) FROM claims")
        ((others,),) = ask(f"SELECT count(*) FROM claims WHERE {field} NOT IN {(*codes, 98)}")
        assert others == 0
        assert unknown < 0.003
    assert ask("SELECT count(*) FROM claims WHERE FKL05 <> 98 AND FKL06 // 100 <> FKL05") == [(0,)]
    assert ask("SELECT count(*) FROM claims WHERE FKL05 = 98 AND FKL06 <> 9998") == [(0,)]
    assert ask("SELECT count(*) > 0 FROM claims WHERE FKL09 = 98") == [(True,)]
    assert ask("SELECT count(*) FROM claims WHERE (FKL10 = 2) <> (FKL11 = 998) AND FKL11 <> 9999") == [(0,)]
    assert ask("SELECT count(*) FROM claims WHERE FKL31 NOT BETWEEN 1 AND 5 OR FKL10 NOT IN (1, 2)") == [(0,)]


def test_severity_is_the_same_in_code_description_and_number(ask: Ask) -> None:
    """The last part of FKL19 decides: 0 outpatient, I ringan, II sedang, III berat; FKL23 counts them 1..4."""
    found = ask(
        """
        SELECT DISTINCT
            split_part(FKL19, '-', 4), FKL23, FKL10, regexp_extract(FKL19A, '\\((RINGAN|SEDANG|BERAT)\\)$', 1)
        FROM claims ORDER BY 2
        """
    )
    assert found == [("0", 1, 1, ""), ("I", 2, 2, "RINGAN"), ("II", 3, 2, "SEDANG"), ("III", 4, 2, "BERAT")]
    parts = "concat_ws('-', FKL20, FKL21, FKL22, split_part(FKL19, '-', 4))"
    assert ask(f"SELECT count(*) FROM claims WHERE FKL19 <> {parts}") == [(0,)]


def test_diagnosis_columns_agree(ask: Ask) -> None:
    assert ask("SELECT count(*) FROM claims WHERE left(FKL18, 3) <> FKL17A OR left(FKL16, 3) <> FKL15A") == [(0,)]
    assert ask("SELECT count(*) FROM diagnoses WHERE left(FKL24, 3) <> FKL24A") == [(0,)]
    assert ask("SELECT count(*) FROM (SELECT FKL18 FROM claims GROUP BY 1 HAVING count(DISTINCT FKL18A) > 1)") == [(0,)]
    assert ask("SELECT count(*) FROM diagnoses ANTI JOIN claims USING (FKL02)") == [(0,)]
    assert ask("SELECT count(*) FROM (SELECT FKL02, FKL24 FROM diagnoses GROUP BY ALL HAVING count(*) > 1)") == [(0,)]
    ((kinds,),) = ask("SELECT count(DISTINCT FKL18) FROM claims")
    assert 80 < kinds <= len(INDEX)


def test_procedures_are_icd9_codes_with_labels(ask: Ask) -> None:
    ((bad, several),) = ask(
        "SELECT count(*) FILTER (NOT list_reduce([regexp_full_match(x, '[0-9]{3,4} - .+') FOR x IN split(FKL30, ';')], "
        "lambda a, b: a AND b)), count(*) FILTER (contains(FKL30, ';')) FROM claims WHERE FKL30 IS NOT NULL"
    )
    assert bad == 0
    assert several > 10_000


def test_topup_codes_and_tariffs_agree(ask: Ask) -> None:
    for code, tariff in [
        ("FKL33", "FKL34"),
        ("FKL35", "FKL37"),
        ("FKL38", "FKL40"),
        ("FKL41", "FKL43"),
        ("FKL44", "FKL46"),
    ]:
        assert ask(f"SELECT count(*) FROM claims WHERE ({code} = 'NONE') <> ({tariff} = 0)") == [(0,)]
        ((some,),) = ask(f"SELECT count(*) FROM claims WHERE {code} <> 'NONE'")
        assert 0 < some < 1_000


@pytest.mark.parametrize("claims", [1, 2, 10, 200])
def test_small_samples(claims: int) -> None:
    small = generate(GeneratorConfig(claims=claims, seed=5))
    assert small.visits.num_rows == small.labels.num_rows == claims
    assert small.visits["FKL02"].combine_chunks().unique().to_pylist() == small.labels["claim_id"].to_pylist()
    assert set(small.diagnoses["FKL02"].to_pylist()) <= set(small.visits["FKL02"].to_pylist())


def test_until_moves_the_window() -> None:
    ask = ask_about(generate(GeneratorConfig(claims=20_000, until=date(2024, 2, 29))))
    ((first, last, fewest),) = ask("SELECT min(FKL04)::TEXT, max(FKL04)::TEXT, min(FKL04 - FKL03) FROM claims")
    assert (first, last, fewest) == ("2023-03-02", "2024-02-29", 0)
