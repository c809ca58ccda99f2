"""Golden reasons: hand-made claims of each fraud type, and the sentence with which each must lead, word for word."""

from __future__ import annotations

from tests.claims.conftest import (
    ANTENATAL,
    FACILITIES,
    ULTRASOUND,
    Rows,
    admitted_at_the_clinic,
    claim,
    claim_id,
    followed_up,
    on_workdays,
    outpatient,
    split_visits,
    visits_on,
)


def stay(number: int, **changes: str) -> dict[str, str]:
    return claim(number, **{"FKL30": f"{9000 + number} - something of its own"} | changes)


def heavy(number: int) -> dict[str, str]:
    return stay(number, FKL02=claim_id(number, FACILITIES[number % 4]), FKL19="A-4-14-III", FKL04="2022-09-11")


def appendix(number: int, **changes: str) -> dict[str, str]:
    dear = {"FKL18": "K359", "FKL19": "K-1-20-I", "FKL32": "9000000", "FKL47": "9000000"}
    return stay(number, **dear | changes)


TWO_SUNDAYS = ["2022-03-06", "2022-03-06", "2022-03-13", "2022-03-13"]

GOLDEN: dict[str, tuple[Rows, list[int], str, str, str]] = {
    "inflated bill": (
        [stay(900, FKL47="4000000")],
        [900],
        "inflated_bill",
        "tagihan Rp4.000.000 = 1,6x median 601 klaim sejenis (A-4-14-I, RS Swasta Setara Type C, kelas rawat 3, "
        "regional 1), 1,6x tarif INA-CBG-nya sendiri (Rp2.500.000); hanya 1 dari 601 klaim RITL A-4-14-I "
        "menyimpang sejauh ini ke atas, menurut sebarannya",
        "billed Rp4,000,000 = 1.6x the median of 601 similar claims (A-4-14-I, RS Swasta Setara Type C, ward class 3, "
        "region 1), 1.6x its own INA-CBG tariff (Rp2,500,000); only 1 of 601 RITL claims with A-4-14-I "
        "deviates as far upwards, by their spread",
    ),
    "phantom billing": (
        [stay(900, FKL03="2022-09-04")],
        [900],
        "short_stay",
        "LOS 0 hari, ditagih penuh Rp2.500.000: hanya 1 dari 601 rawat inap sejenis (A-4-14-I, cara "
        "pulang yang sama) sesingkat ini",
        "LOS 0 days, billed in full Rp2,500,000: only 1 of 601 similar stays (A-4-14-I, discharged in the same way) is "
        "as short",
    ),
    "unnecessary top-up": (
        [stay(900, FKL44="DD-05-II", FKL46="1000000", FKL47="3500000")],
        [900],
        "topup",
        "top-up DD-05-II sebesar Rp1.000.000: hanya 1 dari 601 klaim A-4-14 memiliki DD-05-II",
        "top-up DD-05-II of Rp1,000,000: only 1 of 601 claims of A-4-14 has DD-05-II",
    ),
    "usual top-up at ten times its amount": (
        [
            *(stay(n, FKL44="DD-05-II", FKL46="1000000", FKL47="3500000") for n in range(700, 740)),
            stay(900, FKL44="DD-05-II", FKL46="10000000", FKL47="12500000"),
        ],
        [900],
        "topup",
        "top-up DD-05-II sebesar Rp10.000.000 = 10,0x median 41 klaim yang memilikinya "
        "(Rp1.000.000); hanya 41 dari 641 klaim A-4-14 memiliki DD-05-II",
        "top-up DD-05-II of Rp10,000,000 = 10.0x the median of 41 claims with it "
        "(Rp1,000,000); only 41 of 641 claims of A-4-14 have DD-05-II",
    ),
    "top-up at ten times its amount, with the procedure it belongs to": (
        [
            *(
                stay(n, FKL18="C73", FKL30="9205 - scan", FKL44="II-03-II", FKL46="1000000", FKL47="3500000")
                for n in range(700, 740)
            ),
            stay(900, FKL18="C73", FKL30="9205 - scan", FKL44="II-03-II", FKL46="10000000", FKL47="12500000"),
        ],
        [900],
        "topup",
        "top-up II-03-II sebesar Rp10.000.000 = 10,0x median 41 klaim yang memilikinya "
        "(Rp1.000.000); 41 dari 41 klaim dengan diagnosis C73 dan tindakan 9205 memiliki II-03-II",
        "top-up II-03-II of Rp10,000,000 = 10.0x the median of 41 claims with it "
        "(Rp1,000,000); 41 of 41 claims with diagnosis C73 and procedure 9205 have II-03-II",
    ),
    "top-up without a code": (
        [stay(900, FKL46="1000000", FKL47="3500000")],
        [900],
        "topup",
        "top-up tanpa kode sebesar Rp1.000.000: hanya 1 dari 601 klaim A-4-14 memiliki yang tanpa kode",
        "top-up without a code of Rp1,000,000: only 1 of 601 claims of A-4-14 has one without a code",
    ),
    "upcoding": (
        [
            *(heavy(n) for n in range(700, 740)),
            *(stay(n, FKL04="2022-09-03") for n in range(740, 780)),
            stay(900, FKL19="A-4-14-III", FKL04="2022-09-03"),
        ],
        [900],
        "upcoding",
        "keparahan berat padahal LOS 2 hari dengan 0 diagnosis sekunder: peluang seberat ini di antara rawat inap "
        "A-4-14 seperti itu hanya <0,1% (tercatat 1 dari 41 dengan LOS ≤2 hari dan tanpa diagnosis sekunder)",
        "severity III after 2 days with 0 secondary diagnoses: of such stays of A-4-14 only <0.1% would be expected to "
        "be as severe (recorded: 1 of 41 with LOS ≤2 days and no secondary diagnosis)",
    ),
    "upcoding of one who died": (
        [
            *(heavy(n) for n in range(700, 740)),
            stay(900, FKL19="A-4-14-III", FKL04="2022-09-03", FKL14="4"),
        ],
        [900],
        "upcoding",
        "keparahan berat dengan 0 diagnosis sekunder: peluang seberat ini di antara rawat inap A-4-14 seperti itu "
        "hanya 6,3% (tercatat 41 dari 640 tanpa diagnosis sekunder)",
        "severity III with 0 secondary diagnoses: of such stays of A-4-14 only 6.3% would be expected to be as severe "
        "(recorded: 41 of 640 with no secondary diagnosis)",
    ),
    "upcoding by admission diagnosis": (
        [
            *(appendix(n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL16="K359") for n in range(700, 760)),
            appendix(900),
        ],
        [900],
        "upcoding",
        "masuk dengan diagnosis A010, ditagih K-1-20: hanya 1 dari 601 rawat inap dengan diagnosis masuk itu; median "
        "K-1-20 ini, disesuaikan kelas dan regionalnya, 3,6x median INA-CBG yang lazim untuk diagnosis itu",
        "admitted with A010, billed as K-1-20: only 1 of 601 stays with that admission diagnosis is; the median of "
        "K-1-20, adjusted for class and region, is 3.6x that of the INA-CBG that is usual for it",
    ),
    "dearer INA-CBGs of one facility": (
        [
            *(appendix(n, FKL02=claim_id(n, FACILITIES[n % 4]), FKL16="K359") for n in range(700, 760)),
            *(appendix(n) for n in range(900, 905)),
        ],
        [900, 901, 902, 903, 904],
        "upcoding",
        "masuk dengan diagnosis A010, ditagih K-1-20: hanya 5 dari 605 rawat inap dengan diagnosis masuk itu; median "
        "K-1-20 ini, disesuaikan kelas dan regionalnya, 3,6x median INA-CBG yang lazim untuk diagnosis itu; di faskes "
        "ini 5 klaim ber-INA-CBG lebih mahal (di atas 1,1x) daripada yang lazim untuk diagnosisnya, wajarnya 1,3",
        "admitted with A010, billed as K-1-20: only 5 of 605 stays with that admission diagnosis are; the median of "
        "K-1-20, adjusted for class and region, is 3.6x that of the INA-CBG that is usual for it; at this facility 5 "
        "claims with a dearer INA-CBG (over 1.1x) than is usual for their diagnosis where 1.3 would be expected",
    ),
    "upcoding of an outpatient": (
        [
            *(outpatient(n) for n in range(700, 900)),
            *(outpatient(n, **ULTRASOUND, **ANTENATAL) for n in range(1000, 1100)),
            outpatient(900, **ULTRASOUND),
        ],
        [900],
        "upcoding",
        "rawat jalan dengan diagnosis I10, ditagih Z-3-23: hanya 1 dari 201 kunjungan rawat jalan dengan diagnosis "
        "utama itu; median Z-3-23 ini, disesuaikan kelas dan regionalnya, 2,1x median INA-CBG yang lazim untuk "
        "diagnosis itu",
        "outpatient with I10, billed as Z-3-23: only 1 of 201 outpatient visits with that primary diagnosis is; the "
        "median of Z-3-23, adjusted for class and region, is 2.1x that of the INA-CBG that is usual for it",
    ),
    "top-ups of one facility": (
        [stay(n, FKL44="DD-05-II", FKL46="1000000", FKL47="3500000") for n in range(900, 904)],
        [900, 901, 902, 903],
        "topup",
        "top-up DD-05-II sebesar Rp1.000.000: hanya 4 dari 604 klaim A-4-14 memiliki DD-05-II; di faskes ini 4 top-up "
        "langka (kode atau nilainya, pada <5% sejenisnya), wajarnya 1,0",
        "top-up DD-05-II of Rp1,000,000: only 4 of 604 claims of A-4-14 have DD-05-II; at this facility 4 rare "
        "top-ups (by code or amount, in <5% of their kind) where 1.0 would be expected",
    ),
    "repeat billing": (
        [
            stay(900, PSTV01="7", FKL30="9301 - something", FKL04="2022-09-09"),
            stay(901, PSTV01="7", FKL30="9301 - something", FKL03="2022-09-03", FKL04="2022-09-09"),
        ],
        [901],
        "repeat",
        "tagihan yang sama persis (pasien, faskes, INA-CBG, diagnosis A010 dan diagnosis sekunder, tindakan, nilai) "
        "juga ada dengan tanggal masuk 2 hari sebelumnya (klaim {others}); 1 dari 3 klaim dengan diagnosis dan "
        "tindakan itu berulang persis dalam 3 hari",
        "the very same bill (patient, facility, INA-CBG, diagnosis A010 and secondary diagnoses, procedures, amount) "
        "also exists for an admission 2 days before (claim {others}); 1 of 3 claims with that diagnosis and these "
        "procedures is repeated exactly within 3 days",
    ),
    "repeat billing, elsewhere at another price": (
        [
            stay(900, FKL02=claim_id(900, 8188), PSTV01="7", FKL30="9301 - something"),
            stay(901, PSTV01="7", FKL30="9301 - something", FKL03="2022-09-03", FKL04="2022-09-07", FKL47="2499900"),
        ],
        [901],
        "repeat",
        "pasien, diagnosis A010 dan tindakan yang sama juga ditagih di faskes lain dengan tanggal masuk 2 hari "
        "sebelumnya (klaim {others}); 1 dari 3 klaim seperti itu berulang dalam 3 hari",
        "the same patient was also billed with diagnosis A010 and the same procedures by another facility for an "
        "admission 2 days before (claim {others}); 1 of 3 such claims is repeated within 3 days",
    ),
    "more visits than fit into a week": (
        [*visits_on([7, 8, 9, 10, 11]), *on_workdays(range(1000, 1400))],
        [900, 901, 902, 903, 904],
        "repeat",
        "5 kunjungan pasien ini di faskes ini dengan Q-5-44 dalam 7 hari (klaim {rest}); hanya 5 dari 405 kunjungan "
        "Q-5-44 ada dalam minggu sepadat itu",
        "5 visits of this patient to this facility with Q-5-44 within 7 days (claims {rest}); only 5 of 405 visits "
        "with Q-5-44 are in a week as full",
    ),
    "fragmentation": (
        [
            stay(900, PSTV01="7", FKL03="2022-09-01", FKL04="2022-09-04"),
            stay(901, PSTV01="7", FKL03="2022-09-05", FKL04="2022-09-08"),
        ],
        [900, 901],
        "fragmentation",
        "rawat inap lain pasien yang sama di faskes ini dengan A-4-14, keparahan dan diagnosis sekunder yang sama "
        "(klaim {others}), 1 hari antara pulang dan masuk; hanya 2 dari 602 rawat inap A-4-14 bersambung seperti ini",
        "another stay of the same patient at this facility with A-4-14, the same severity and secondary diagnoses "
        "(claim {others}), 1 day between discharge and admission; only 2 of 602 stays with A-4-14 are continued like "
        "this",
    ),
    "visits spread over two days": (
        [*split_visits(5), *on_workdays(range(1000, 1400))],
        [901, 903, 905, 907, 909],
        "fragmentation",
        "1 hari setelah kunjungan lain pasien yang sama di faskes ini untuk diagnosis utama yang sama (klaim "
        "{before}), dengan INA-CBG atau tindakan lain; hanya 5 dari 410 kunjungan Q-5-44 seperti ini; di faskes ini 5 "
        "rawat inap atau kunjungan terpecah, wajarnya 1,3",
        "1 day after another visit of the same patient at this facility for the same primary diagnosis (claim "
        "{before}), with another INA-CBG or other procedures; only 5 of 410 visits with Q-5-44 are like this; at this "
        "facility 5 split stays or visits where 1.3 would be expected",
    ),
    "stays from the day of a visit on": (
        admitted_at_the_clinic(5),
        [901, 903, 905, 907, 909],
        "fragmentation",
        "pasien berobat jalan di faskes yang sama pada hari masuk rawat inap ini (klaim {before}); hanya 5 dari 605 "
        "rawat inap A-4-14 seperti ini; di faskes ini 5 rawat inap atau kunjungan terpecah, wajarnya 1,3",
        "the patient came to the same facility as an outpatient on the day of this admission (claim {before}); only 5 "
        "of 605 stays with A-4-14 are like this; at this facility 5 split stays or visits where 1.3 would be expected",
    ),
    "a stay in two INA-CBGs": (
        [
            visit
            for n in range(900, 910, 2)
            for visit in (
                stay(n, PSTV01=f"{n}", FKL03="2022-09-01", FKL04="2022-09-04"),
                stay(n + 1, PSTV01=f"{n}", FKL03="2022-09-05", FKL04="2022-09-08", FKL19="A-4-15-I"),
            )
        ],
        [900, 902, 904, 906, 908],
        "fragmentation",
        "rawat inap lain pasien yang sama di faskes ini dengan INA-CBG lain (klaim {after}), 1 hari antara pulang dan "
        "masuk; hanya 5 dari 605 rawat inap A-4-14 seperti ini",
        "another stay of the same patient at this facility with another INA-CBG (claim {after}), 1 day between "
        "discharge and admission; only 5 of 605 stays with A-4-14 are like this",
    ),
    "a stay during another one": (
        [
            stay(900, PSTV01="7", FKL03="2022-09-01", FKL04="2022-09-09", FKL19="A-4-15-I"),
            stay(901, PSTV01="7", FKL03="2022-09-05", FKL04="2022-09-08"),
        ],
        [901],
        "overlap",
        "pasien sedang dirawat inap di faskes yang sama (klaim {others}, LOS 8 hari) ketika klaim ini dimulai, 4 hari "
        "setelah masuk; hanya 1 dari 601 klaim A-4-14 seperti ini",
        "the patient was in hospital at the same facility (claim {others}, LOS 8 days) when this claim began, 4 days "
        "after that admission; only 1 of 601 claims with A-4-14 is like this",
    ),
    "a stay whose patient walks into a clinic": (
        [
            stay(900, PSTV01="7", FKL03="2022-09-01", FKL04="2022-09-09"),
            outpatient(901, at="8188", PSTV01="7", FKL03="2022-09-05", FKL04="2022-09-05"),
        ],
        [900],
        "overlap",
        "pasien berobat jalan di faskes lain (klaim {others}) selama rawat inap ini (LOS 8 hari), 4 hari setelah "
        "masuk; hanya 1 dari 601 rawat inap A-4-14 seperti ini",
        "the patient came to another facility as an outpatient (claim {others}) during this stay (LOS 8 days), 4 days "
        "after its admission; only 1 of 601 stays with A-4-14 is like this",
    ),
    "a claim after death": (
        [
            stay(900, PSTV01="7", FKL14="4"),
            stay(901, PSTV01="7", FKL03="2022-10-05", FKL04="2022-10-08"),
            *(stay(910 + n, FKL14="4") for n in range(40)),
        ],
        [901],
        "overlap",
        f"pasien tercatat meninggal di faskes yang sama (klaim {claim_id(900)}) 31 hari sebelum klaim ini dimulai; "
        "hanya 1 dari 41 pasien yang tercatat meninggal masih punya klaim sesudahnya",
        f"the patient is on record as having died at the same facility (claim {claim_id(900)}) 31 days before this "
        "claim began; only 1 of 41 patients on record as dead has a claim afterwards",
    ),
    "visits on a closing day": (
        [
            *(outpatient(900 + n, at="8187", FKL03=day, FKL04=day) for n, day in enumerate(TWO_SUNDAYS)),
            *on_workdays(range(1000, 1400)),
        ],
        [900, 901, 902, 903],
        "overlap",
        "kunjungan pada hari Minggu: hanya 4 dari 404 kunjungan Q-5-44 jatuh pada hari itu; faskes ini jarang buka "
        "hari itu; di faskes ini 4 klaim bertindihan (satu pasien di dua tempat), sesudah meninggal, atau di hari "
        "tutup, wajarnya 1,0",
        "a visit on a Sunday: only 4 of 404 visits with Q-5-44 fall on that day of the week; this facility seldom sees "
        "patients then; at this facility 4 overlapping claims (a patient in two places), after death or on a closing "
        "day where 1.0 would be expected",
    ),
    "visits of patients who never come again": (
        [
            *(outpatient(900 + n, at="8187", FKL03=f"2022-06-{13 + n}", FKL04=f"2022-06-{13 + n}") for n in range(4)),
            *followed_up(40),
            *(outpatient(700 + n, at="8188", FKL03="2022-06-20", FKL04="2022-06-20") for n in range(8)),
        ],
        [900, 901, 902, 903],
        "single_visit",
        "satu-satunya klaim pasien ini dengan diagnosis I10; di faskes lain hanya 8 dari 408 kunjungan dengan "
        "diagnosis itu tunggal seperti ini; di faskes ini 4 kunjungan tunggal (pada <8% kunjungan dengan "
        "diagnosisnya), wajarnya 0,1",
        "the only claim of this patient with diagnosis I10; at other facilities only 8 of 408 visits with it are "
        "single like this; at this facility 4 single visits (<8% of visits with their diagnosis) where 0.1 would be "
        "expected",
    ),
    "cloned claims": (
        [claim(n, FKL30="1234 - the same", FKL03="2022-09-10", FKL04="2022-09-13") for n in range(900, 904)],
        [900, 901, 902, 903],
        "clone",
        "3 pasien lain di faskes ini ditagih persis sama (A-4-14-I, diagnosis, tindakan, Rp2.500.000) dalam 30 hari "
        "(klaim {others}); wajarnya 0,021; di faskes ini 4 klaim kembar (jauh di atas wajarnya), wajarnya 1,0",
        "3 other patients at this facility were billed exactly the same (A-4-14-I, diagnoses, procedures, Rp2,500,000) "
        "within 30 days (claims {others}); 0.021 would be expected; at this facility 4 clones (far above what is "
        "expected) where 1.0 would be expected",
    ),
    "cloned claims with texts of their own": (
        [
            claim(n, FKL30=f"{n} - of its own", FKL47="2572749", FKL03="2022-09-10", FKL04="2022-09-13")
            for n in range(900, 904)
        ],
        [900, 901, 902, 903],
        "clone",
        "3 pasien lain di faskes ini ditagih dengan jumlah yang persis sama (A-4-14-I, Rp2.572.749, bukan tarifnya) "
        "dalam 30 hari (klaim {others}); wajarnya 0,025; di faskes ini 4 klaim kembar (jauh di atas wajarnya), "
        "wajarnya 1,0",
        "3 other patients at this facility were billed exactly the same amount (A-4-14-I, Rp2,572,749, off its tariff) "
        "within 30 days (claims {others}); 0.025 would be expected; at this facility 4 clones (far above what is "
        "expected) where 1.0 would be expected",
    ),
    "copied stays": (
        [
            claim(900 + n, FKL30="1234 - the same", FKL03=f"2022-{1 + 3 * n:02d}-10", FKL04=f"2022-{1 + 3 * n:02d}-14")
            for n in range(4)
        ],
        [900, 901, 902, 903],
        "clone",
        "3 pasien rawat inap lain di faskes ini dikode persis sama (A-4-14-I, diagnosis masuk, utama dan sekunder, "
        "tindakan; klaim {others}); di faskes lain 0 dari 450 pasien dengan INA-CBG dan diagnosis utama itu; "
        "wajarnya 0,17",
        "3 other inpatients at this facility are coded exactly the same (A-4-14-I, admission, primary and secondary "
        "diagnoses, procedures; claims {others}); elsewhere 0 of 450 patients with that INA-CBG and primary diagnosis; "
        "0.17 would be expected",
    ),
    "a stay that never was": (
        [claim(900, FKL30="")],
        [900],
        "short_stay",
        "LOS 3 hari, ditagih penuh Rp2.500.000, tanpa tindakan dan tanpa diagnosis sekunder: hanya 1 dari 601 rawat "
        "inap A-4-14-I seperti itu",
        "LOS 3 days, billed in full Rp2,500,000, without a procedure or a secondary diagnosis: only 1 of 601 stays "
        "with A-4-14-I is so",
    ),
}


def named_with(number: int, numbers: list[int], visits: Rows) -> dict[str, str]:
    """The claims that a golden sentence may name: all others of the case, its neighbours, the rest of those meant."""
    return {
        "others": ", ".join(visit["FKL02"] for visit in visits if visit["FKL02"] != claim_id(number)),
        "before": claim_id(number - 1),
        "after": claim_id(number + 1),
        "rest": ", ".join(claim_id(other) for other in numbers if other != number),
    }
