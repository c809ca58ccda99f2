"""What the SQL makes of claims, on claims small enough to check by hand."""

from __future__ import annotations

import os
import random
import shutil
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.claims import etl
from ml.claims.etl import NoClaimsError, find_claims, publish_claims, run_sql_steps, start_build
from ml.claims.raw_files import RawInputError
from ml.sql import sql_text
from tests.claims.conftest import DATA_DATE, claim, diagnosis


def normalize(settings, data_date: date = DATA_DATE, run_id: str = "test") -> dict[str, dict[str, Any]]:
    build, _ = start_build(settings, data_date, run_id)
    run_sql_steps(settings, build)
    published = publish_claims(settings, build)
    rows = duckdb.sql(f"FROM '{published.path}' ORDER BY claim_id").to_arrow_table().to_pylist()
    return {row["claim_id"]: row for row in rows}


def test_severity_comes_from_the_inacbg_code_never_from_fkl23(raw_files, make_settings) -> None:
    codes = {"A-4-14-I": "ringan", "A-4-14-II": "sedang", "A-4-14-III": "berat", "Q-5-44-0": "rawat_jalan"}
    rows = [claim(n, FKL19=code, FKL23="3", FKL10="1" if code[-1] == "0" else "2") for n, code in enumerate(codes)]
    raw_files(rows)
    result = normalize(make_settings())
    assert [row["severity_group"] for row in result.values()] == list(codes.values())
    assert [row["severity_level"] for row in result.values()] == [1, 2, 3, 0]
    assert [row["service_type"] for row in result.values()] == ["RITL", "RITL", "RITL", "RJTL"]


def test_the_facility_is_in_the_claim_id_or_else_composite_and_says_so(raw_files, make_settings) -> None:
    raw_files([claim(1), claim(2, FKL02="ABC123"), claim(3, FKL02="81871322V000001")])
    result = normalize(make_settings())
    assert (result["81870922V000001"]["facility_key"], result["81870922V000001"]["facility_key_source"]) == (
        "8187",
        "claim_id",
    )
    for other in ("ABC123", "81871322V000001"):  # the second has month 13
        assert (result[other]["facility_key"], result[other]["facility_key_source"]) == ("3374-9-1-7", "composite")


def test_words_amounts_procedures_and_comorbidity(raw_files, make_settings) -> None:
    procedures = "8952 - Electrocardiogram; 9394 - Nebulizer;8952 - Electrocardiogram"
    changes = {"FKL30": procedures, "FKL34": "100", "FKL46": "50", "FKL48": "2000000", "FKL05": "9999"}
    raw_files([claim(1, **changes), claim(2, FKL47="0", FKL48="")], [diagnosis(1), diagnosis(1), diagnosis(1, "E119")])
    result = normalize(make_settings())
    one = result["81870922V000001"]
    assert one["procedure_codes"] == "8952;9394"
    assert one["procedure_count"] == 2
    assert one["comorbidity_count"] == 2
    assert one["topup_amount"] == 150
    assert one["amount_gap"] == 500_000
    assert one["paid_ratio"] == pytest.approx(0.8)
    assert one["province_name"] == "Tidak diketahui"
    assert one["facility_class"] == "RS Swasta Setara Type C"
    assert one["los"] == 3
    two = result["81870922V000002"]
    assert two["comorbidity_count"] == 0
    assert two["amount_paid"] is two["amount_gap"] is two["paid_ratio"] is None


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("9394;8744;9904", "8744;9394;9904"),
        ("9394", "9394"),
        ("9394 - a, 8744 - b", "8744;9394"),
        ("66 - a;99.04 - b;741 -;8744", "66;741;8744;9904"),
        ("9394-a;99.04-b,741-c", "741;9394;9904"),
        ("99.15 - a;9915 - b", "9915"),
        ("9394 - a, 12 units", "9394"),
        ("8950 - Ambulatory cardiac monitoring, 24-hour Holter", "8950"),
        ("8950 - Holter, 24-hour;8952 - Electrocardiogram; 12-lead,9394", "8950;8952;9394"),
    ],
)
def test_procedure_codes_with_and_without_labels(raw_files, make_settings, text: str, codes: str) -> None:
    raw_files([claim(1, FKL30=text)])
    assert normalize(make_settings())["81870922V000001"]["procedure_codes"] == codes


def test_icd_codes_with_and_without_their_dot(raw_files, make_settings) -> None:
    dotted = {"FKL16": "a09.9", "FKL18": " A09.9 ", "FKL17A": "A09"}
    raw_files(
        [claim(1, **dotted), claim(2, FKL16=".", FKL18="A099", FKL17A="A09")],
        [{**diagnosis(1, "E11.9"), "FKL24B": "x"}, {**diagnosis(1, "E119"), "FKL24B": "x"}],
    )
    one, two = normalize(make_settings()).values()
    assert (one["admission_diagnosis"], one["primary_diagnosis"], one["comorbidity_count"]) == ("A099", "A099", 1)
    assert (two["admission_diagnosis"], two["primary_diagnosis"]) == (None, "A099")


def test_secondary_diagnoses_are_listed_once_each_and_in_order(raw_files, make_settings) -> None:
    raw_files([claim(1), claim(2)], [diagnosis(1, code) for code in ("I10", "E11.9", "I10", "E119")])
    one, two = normalize(make_settings()).values()
    assert (one["secondary_diagnoses"], one["comorbidity_count"]) == ("E119;I10", 2)
    assert (two["secondary_diagnoses"], two["comorbidity_count"]) == ("", 0)


def test_runs_whose_ids_hardly_differ_build_apart(raw_files, make_settings) -> None:
    """A folder without a name would be that of all builds, and be emptied."""
    raw_files([claim(n) for n in range(4)])
    run_ids = ["scheduled__2026-01-01T01:00", "scheduled__2026-01-01T01-00", "___", "--", "x" * 101, "x" * 102]
    builds = [start_build(make_settings(), DATA_DATE, run_id)[0].warehouse for run_id in run_ids]
    assert len(set(builds)) == len(run_ids)
    assert all(path.exists() for path in builds)
    assert {path.parent.parent for path in builds} == {make_settings().work / "etl"}
    assert start_build(make_settings(), DATA_DATE, "___")[0].warehouse == builds[2], "a run that is cleared"


def test_a_file_of_somebody_elses_is_kept_beside_the_link(raw_files, make_settings, caplog) -> None:
    raw_files([claim(n) for n in range(4)])
    settings = make_settings()
    settings.data.mkdir(parents=True)
    newest = settings.data / "claims_normalized.parquet"
    newest.write_bytes(b"of the system before")
    for day in (DATA_DATE, date(2023, 1, 1)):
        normalize(settings, day)
    assert str(newest.readlink()) == "claims_normalized/2023-01-01.parquet"
    (kept,) = settings.data.glob("claims_normalized.parquet.before-*")
    assert kept.read_bytes() == b"of the system before"
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == f"{newest} was a file and no link of ours: it is kept as {kept}"


@pytest.mark.parametrize("killed", ["before the warehouse moves", "at the end"])
def test_publishing_again_after_a_kill_gives_the_same(raw_files, make_settings, monkeypatch, killed: str) -> None:
    raw_files([claim(n) for n in range(4)])
    settings = make_settings()
    build, _ = start_build(settings, DATA_DATE, "test")
    run_sql_steps(settings, build)
    if killed == "before the warehouse moves":
        monkeypatch.setattr(etl, "point_link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publish_claims(settings, build)
        monkeypatch.undo()
    first = publish_claims(settings, build)
    assert publish_claims(settings, build) == first
    assert settings.warehouse.exists()
    assert [path.name for path in build.warehouse.parent.iterdir()] == ["published.json"]


def test_old_data_dates_are_collected_but_none_written_within_the_week(raw_files, make_settings) -> None:
    raw_files([claim(n) for n in range(4)])
    settings = make_settings()
    folder = settings.data / "claims_normalized"
    normalize(settings, date(2023, 1, 1))
    for day in range(2, 10):
        shutil.copy(folder / "2023-01-01.parquet", folder / f"2023-01-{day:02d}.parquet")
    normalize(settings, date(2023, 1, 10))
    assert len(list(folder.glob("*.parquet"))) == 10
    for path in folder.glob("*.parquet"):
        os.utime(path, (1, 1))
    normalize(settings, date(2023, 1, 11))
    assert sorted(path.stem[-2:] for path in folder.glob("*.parquet")) == ["05", "06", "07", "08", "09", "10", "11"]


def test_small_peer_groups_are_widened_step_by_step(raw_files, make_settings) -> None:
    java = [claim(n, FKL47=str(amount)) for n, amount in enumerate((100, 200, 300))]
    bali = [claim(10, FKL05="51", FKL47="1000"), claim(11, FKL05="51", FKL47="2000")]
    other_class = [claim(20, FKL09="1")]
    same_group = [claim(30, FKL18="A011", FKL09="2")]
    same_inacbg = [claim(40, FKL18="B99", FKL17A="B99")]
    alone = [claim(50, FKL18="C50", FKL17A="C50", FKL19="C-4-10-I")]
    same_group_of_inacbg = [claim(60, FKL18="B98", FKL17A="B98", FKL19="A-4-15-I")]
    raw_files(java + bali + other_class + same_group + same_inacbg + same_group_of_inacbg + alone)
    result = normalize(make_settings(CLAIMS_MIN_PEERS="3"))
    of_java = result["81870922V000001"]
    assert (of_java["peer_level"], of_java["peer_n"], of_java["peer_mean"], of_java["peer_p90"]) == (1, 3, 200, 280)
    assert of_java["peer_std"] == pytest.approx((20_000 / 3) ** 0.5)
    assert result["81870922V000002"]["cost_zscore"] == pytest.approx(100 / (20_000 / 3) ** 0.5)
    assert (result["81870922V000010"]["peer_level"], result["81870922V000010"]["peer_n"]) == (2, 5)
    assert (result["81870922V000020"]["peer_level"], result["81870922V000020"]["peer_n"]) == (3, 6)
    assert (result["81870922V000030"]["peer_level"], result["81870922V000030"]["peer_n"]) == (4, 7)
    assert (result["81870922V000040"]["peer_level"], result["81870922V000040"]["peer_n"]) == (5, 8)
    assert (result["81870922V000050"]["peer_level"], result["81870922V000050"]["peer_n"]) == (7, 10)
    assert (result["81870922V000060"]["peer_level"], result["81870922V000060"]["peer_n"]) == (6, 9)


def test_peers_that_are_all_alike_give_no_zscore(raw_files, make_settings) -> None:
    raw_files([claim(n) for n in range(4)])
    assert {row["cost_zscore"] for row in normalize(make_settings()).values()} == {None}


def test_repeats_need_same_patient_diagnosis_and_procedures_within_three_days(raw_files, make_settings) -> None:
    same = {"PSTV01": "1"}
    raw_files(
        [
            claim(1, **same, FKL03="2022-09-01"),
            claim(2, **same, FKL03="2022-09-04"),
            claim(3, **same, FKL03="2022-09-08", FKL04="2022-09-09"),
            claim(4, PSTV01="2", FKL03="2022-09-01"),
            claim(5, **same, FKL03="2022-09-02", FKL30="8952 - Electrocardiogram"),
            claim(6, **same, FKL03="2022-09-02", FKL18="A011"),
        ]
    )
    result = normalize(make_settings())
    gaps = {key[-1]: (row["duplicate_pattern"], row["duplicate_gap_days"]) for key, row in result.items()}
    assert gaps == {
        "1": (True, 3),
        "2": (True, 3),
        "3": (False, 4),
        "4": (False, None),
        "5": (False, None),
        "6": (False, None),
    }


def test_a_data_date_sees_only_what_was_discharged_by_then(raw_files, make_settings) -> None:
    raw_files([claim(1, FKL04="2022-09-04"), claim(2, FKL04="2022-09-05")])
    settings = make_settings()
    assert set(normalize(settings, date(2022, 9, 5))) == {"81870922V000001", "81870922V000002"}
    assert set(normalize(settings, date(2022, 9, 4))) == {"81870922V000001"}
    newest = settings.data / "claims_normalized.parquet"
    assert newest.resolve().stem == "2022-09-05", "an older data date must not become the newest"
    assert find_claims(settings, date(2022, 9, 4)).rows == 1
    with pytest.raises(RawInputError, match="discharged on or before the data date 2022-09-03"):
        normalize(settings, date(2022, 9, 3))
    with pytest.raises(NoClaimsError, match="normalize_claims --data-date 2022-09-01"):
        find_claims(settings, date(2022, 9, 1))


def test_the_result_does_not_depend_on_row_order_or_threads(raw_files, make_settings, monkeypatch) -> None:
    monkeypatch.setattr(etl, "ROW_GROUP_ROWS", 100)
    rng = random.Random(1)  # noqa: S311
    rows = [claim(n, FKL47=str(rng.randrange(10**6)), FKL05=str(rng.choice([31, 33, 51]))) for n in range(500)]
    hashes = set()
    for threads in ("1", "2", "2"):
        rng.shuffle(rows)
        raw_files(rows)
        settings = make_settings(CLAIMS_THREADS=threads)
        normalize(settings)
        hashes.add(find_claims(settings).sha256)
    assert len(hashes) == 1


def test_the_file_is_sorted_over_its_row_groups_and_its_words_are_texts(raw_files, make_settings, monkeypatch) -> None:
    raw_files([claim(n, FKL05=str(11 + n % 3), FKL10=str(1 + n % 2)) for n in range(20)])
    monkeypatch.setattr(etl, "ROW_GROUP_ROWS", 6)
    settings = make_settings()
    normalize(settings)
    path = find_claims(settings).path
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [6, 6, 6, 2]
    assert [field.name for field in file.schema_arrow if pa.types.is_dictionary(field.type)] == []
    assert etl.made_with(path)["data_date"] == str(DATA_DATE)
    order = etl.FILE_ORDER.split(", ")
    rows = file.read(order).to_pylist()
    assert rows == sorted(rows, key=lambda row: [row[name] for name in order])


def test_a_failed_build_leaves_what_was_published(raw_files, make_settings) -> None:
    raw = raw_files([claim(1)])
    settings = make_settings()
    normalize(settings)
    before = {path: path.read_bytes() for path in (settings.warehouse, settings.data / "claims_normalized.parquet")}
    (raw / "2022_fkrtl.csv").write_text("broken")
    with pytest.raises(RawInputError):
        normalize(settings)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("content", [b"", b"not Parquet\n" * 1000, None])
def test_a_damaged_file_is_named_with_what_to_do(raw_files, make_settings, content: bytes | None) -> None:
    raw_files([claim(1)])
    settings = make_settings()
    normalize(settings)
    path = settings.data / "claims_normalized" / f"{DATA_DATE}.parquet"
    if content is None:  # sound Parquet, but none of the ETL's
        pq.write_table(pa.table({"claim_id": ["1"]}), path)
    else:
        path.write_bytes(content)
    with pytest.raises(
        NoClaimsError, match=rf"{path}: no claims_normalized, or a damaged one .*--data-date {DATA_DATE}"
    ):
        find_claims(settings)


@pytest.mark.parametrize("damage", ["DELETE FROM evidence", "INSERT INTO evidence SELECT * FROM evidence LIMIT 1"])
def test_claims_that_a_step_lost_or_repeated_are_not_published(raw_files, make_settings, damage: str) -> None:
    raw_files([claim(n) for n in range(3)])
    settings = make_settings()
    build, _ = start_build(settings, DATA_DATE, "test")
    run_sql_steps(settings, build)
    with duckdb.connect(str(build.warehouse)) as connection:
        connection.execute(damage)
        connection.execute(sql_text("claims_normalized/80_claims_normalized.sql"))
    with pytest.raises(RuntimeError, match="for 3 accepted claims: a step repeated or lost claims"):
        publish_claims(settings, build)
    with pytest.raises(NoClaimsError):
        find_claims(settings)
