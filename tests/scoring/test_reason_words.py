"""The words that reasons are made of, asked of their macros alone."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from ml.scoring.channel_reasons import reasons_connection
from ml.sql import sql_text


@pytest.mark.parametrize(
    ("feature", "figures", "text_id", "text_en"),
    [
        ("price", {}, "tagihan tanpa top-up 3,0x median klaim sejenis",
         "billed 3.0x the median of similar claims without top-ups"),
        ("day_price", {}, "tagihan tanpa top-up per hari rawat 2,0x median 1.065 klaim I-1-20-I",
         "billed 2.0x the median of 1,065 claims with I-1-20-I per day of stay without top-ups"),
        ("admission", {}, "7 dari 65 rawat inap dengan diagnosis masuk I200 ditagih I-1-20",
         "7 of 65 stays with admission diagnosis I200 are billed as I-1-20"),
        ("admission", {"alike": 1}, "hanya 1 dari 65 rawat inap dengan diagnosis masuk I200 ditagih I-1-20",
         "only 1 of 65 stays with admission diagnosis I200 is billed as I-1-20"),
        ("admission", {"service": "'RJTL'", "alike": 5},
         "hanya 5 dari 65 kunjungan rawat jalan dengan diagnosis utama I200 ditagih I-1-20",
         "only 5 of 65 outpatient visits with primary diagnosis I200 are billed as I-1-20"),
        ("topup", {}, "top-up seperti itu (kode dan nilai) ada pada sekitar 0,2% klaim sejenis",
         "a top-up (code and amount) as about 0.2% of similar claims have"),
        ("severity", {"severity": 0.0002},
         "peluang keparahan ini pada LOS dan jumlah diagnosis sekundernya kurang dari 0,1%",
         "less than 0.1% of such stays (LOS, secondary diagnoses) would be expected to be as severe"),
        ("long_stay", {"los_low": 0.93}, "LOS 3 hari, persentil ke-93,0 rawat inap sejenis",
         "LOS 3 days, percentile 93.0 of similar stays"),
        ("long_stay", {"los_low": 0.9995}, "LOS 3 hari, di atas persentil ke-99,9 rawat inap sejenis",
         "LOS 3 days, above percentile 99.9 of similar stays"),
        ("short_stay", {"los_low": 0.0005}, "LOS 3 hari, di bawah persentil ke-0,1 rawat inap sejenis",
         "LOS 3 days, below percentile 0.1 of similar stays"),
        ("readmission", {},
         "masuk lagi 3 hari setelah pulang; sekitar 10,0% rawat inap sejenis masuk lagi dalam 30 hari",
         "readmitted 3 days after a discharge; about 10.0% of similar stays are readmitted within 30 days"),
        ("readmission", {"readmitted": 0},
         "masuk lagi pada hari pulang; sekitar 10,0% rawat inap sejenis masuk lagi dalam 30 hari",
         "readmitted on the day of a discharge; about 10.0% of similar stays are readmitted within 30 days"),
    ],
)  # fmt: skip
def test_what_an_odd_figure_is_compared_with(
    feature: str, figures: dict[str, float | str], text_id: str, text_en: str
) -> None:
    usual = {
        "price_ln": np.log(3), "tariff_ln": np.log(2), "day_price_ln": np.log(2), "day_price_n": 1065,
        "inacbg": "'I-1-20-I'", "los": 3, "los_low": 0.5, "severity": 0.1, "service": "'RITL'", "diagnosis": "'I200'",
        "alike": 7, "admissions": 65, "topup": 0.002, "comorbidities": 1, "comorbidity": 0.5, "procedures": 1,
        "procedure": 0.5, "readmitted": 3, "readmission": 0.1,
    }  # fmt: skip
    given = ", ".join(str(figure) for figure in (usual | figures).values())
    with reasons_connection() as connection:
        found = connection.execute(
            f"SELECT anomaly_words_id('{feature}', {given}), anomaly_words_en('{feature}', {given})"
        ).fetchone()
    assert found == (text_id, text_en)


@pytest.mark.parametrize(
    ("sentence", "of_a_group"),
    [
        ("id:rawat inap di faskes yang sama", "rawat inap di kelompok faskes yang sama"),
        ("id:tarif faskes ini biasanya 1,2x", "tarif kelompok faskes ini biasanya 1,2x"),
        ("id:faskes 3374-9-1-7: 5 dari 9; peringkat 2 dari 30 faskes",
         "kelompok faskes 3374-9-1-7: 5 dari 9; peringkat 2 dari 30 faskes"),
        ("id:di faskes lain hanya 8", "di faskes lain hanya 8"),
        ("en:this facility's tariff; at the same facility", "this facility group's tariff; at the same facility group"),
        ("en:facility 3374-9-1-7: 5 of 9; rank 2 of 30 facilities",
         "facility group 3374-9-1-7: 5 of 9; rank 2 of 30 facilities"),
        ("en:at other facilities only 8", "at other facilities only 8"),
    ],
)  # fmt: skip
def test_what_names_the_facility_names_the_group_where_the_id_has_none(sentence: str, of_a_group: str) -> None:
    language, _, words = sentence.partition(":")
    with duckdb.connect() as connection:
        connection.execute(sql_text("scoring/00_macros.sql"))
        told = f"SELECT facility_words_{language}(?, ?)"
        assert connection.execute(told, [words, "claim_id"]).fetchone() == (words,)
        assert connection.execute(told, [words, "composite"]).fetchone() == (of_a_group,)
