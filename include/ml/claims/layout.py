"""The raw input: the BPJS sample-data layout, column by column, and its code lists.

Source: BPJS Kesehatan sample data 2022, FKRTL (hospital) visits and secondary diagnoses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a raw column holds; decides how its text is read."""

    TEXT = "text"
    DATE = "date"
    CODE = "code"  # small whole number from a code list
    AMOUNT = "amount"  # rupiah
    WEIGHT = "weight"  # sampling weight


@dataclass(frozen=True)
class Column:
    """One column of a raw file."""

    name: str
    kind: Kind
    meaning: str


def _columns(kind: Kind, **meanings: str) -> dict[str, Column]:
    return {name: Column(name, kind, meaning) for name, meaning in meanings.items()}


_BY_NAME: dict[str, Column] = {
    **_columns(
        Kind.TEXT,
        PSTV01="participant number",
        PSTV02="family number",
        FKP02="referring primary-care visit id",
        FKL02="visit id = claim id",
        FKL15A="admission diagnosis, ICD-10 3-char",
        FKL16="admission diagnosis, ICD-10 full code",
        FKL16A="admission diagnosis, label",
        FKL17A="primary diagnosis, ICD-10 3-char",
        FKL18="primary diagnosis, ICD-10 full code",
        FKL18A="primary diagnosis, label",
        FKL19="INA-CBG code",
        FKL19A="INA-CBG description",
        FKL20="INA-CBG case-mix main group",
        FKL22="INA-CBG specific group",
        FKL30="procedures, ICD-9-CM code - label, may hold several",
        FKL33="special CMG sub-acute, code",
        FKL35="special procedure, code",
        FKL36="special procedure, description",
        FKL38="special prosthesis, code",
        FKL39="special prosthesis, description",
        FKL41="special investigation, code",
        FKL42="special investigation, description",
        FKL44="special drug, code",
        FKL45="special drug, description",
    ),
    **_columns(Kind.WEIGHT, PSTV15="sampling weight"),
    **_columns(Kind.DATE, FKL03="admission date", FKL04="discharge date"),
    **_columns(
        Kind.CODE,
        FKL05="province code of the facility (BPS)",
        FKL06="regency or city code of the facility (BPS)",
        FKL07="facility ownership",
        FKL08="facility type",
        FKL09="facility class",
        FKL10="service level: 1 RJTL, 2 RITL",
        FKL11="polyclinic type",
        FKL12="participant segment",
        FKL13="entitled ward class",
        FKL14="discharge status (4: died)",
        FKL15="admission diagnosis, group number",
        FKL17="primary diagnosis, group number",
        FKL21="INA-CBG case type",
        FKL23="INA-CBG severity number (1..4 for 0, I, II, III)",
        FKL25="referring facility: province",
        FKL26="referring facility: regency or city",
        FKL27="referring facility: ownership",
        FKL28="referring facility: type",
        FKL29="referring facility: class",
        FKL31="tariff region 1..5",
    ),
    **_columns(
        Kind.AMOUNT,
        FKL32="INA-CBG tariff",
        FKL34="special CMG sub-acute, tariff",
        FKL37="special procedure, tariff",
        FKL40="special prosthesis, tariff",
        FKL43="special investigation, tariff",
        FKL46="special drug, tariff",
        FKL47="amount claimed",
        FKL48="amount approved after verification",
    ),
}

# fmt: off
_FKRTL_ORDER = [
    "PSTV01", "PSTV02", "PSTV15", "FKP02", "FKL02", "FKL03", "FKL04", "FKL05", "FKL06", "FKL07", "FKL08", "FKL09",
    "FKL10", "FKL11", "FKL12", "FKL13", "FKL14", "FKL15", "FKL15A", "FKL16", "FKL16A", "FKL17", "FKL17A", "FKL18",
    "FKL18A", "FKL19", "FKL19A", "FKL20", "FKL21", "FKL22", "FKL23", "FKL25", "FKL26", "FKL27", "FKL28", "FKL29",
    "FKL30", "FKL31", "FKL32", "FKL33", "FKL34", "FKL35", "FKL36", "FKL37", "FKL38", "FKL39", "FKL40", "FKL41",
    "FKL42", "FKL43", "FKL44", "FKL45", "FKL46", "FKL47", "FKL48",
]
# fmt: on

FKRTL: tuple[Column, ...] = tuple(_BY_NAME[name] for name in _FKRTL_ORDER)
"""The visits, one row a claim, in file order."""

DIAGNOSIS: tuple[Column, ...] = (
    Column("FKL02", Kind.TEXT, "claim id"),
    Column("FKL24", Kind.TEXT, "secondary diagnosis, ICD-10 full code"),
    Column("FKL24A", Kind.TEXT, "secondary diagnosis, ICD-10 3-char"),
    Column("FKL24B", Kind.TEXT, "secondary diagnosis, label"),
)
"""The secondary diagnoses, 0..n rows a claim."""

PROVINCES: dict[int, str] = {
    11: "Aceh", 12: "Sumatera Utara", 13: "Sumatera Barat", 14: "Riau", 15: "Jambi", 16: "Sumatera Selatan",
    17: "Bengkulu", 18: "Lampung", 19: "Kepulauan Bangka Belitung", 21: "Kepulauan Riau", 31: "DKI Jakarta",
    32: "Jawa Barat", 33: "Jawa Tengah", 34: "DI Yogyakarta", 35: "Jawa Timur", 36: "Banten", 51: "Bali",
    52: "Nusa Tenggara Barat", 53: "Nusa Tenggara Timur", 61: "Kalimantan Barat", 62: "Kalimantan Tengah",
    63: "Kalimantan Selatan", 64: "Kalimantan Timur", 65: "Kalimantan Utara", 71: "Sulawesi Utara",
    72: "Sulawesi Tengah", 73: "Sulawesi Selatan", 74: "Sulawesi Tenggara", 75: "Gorontalo", 76: "Sulawesi Barat",
    81: "Maluku", 82: "Maluku Utara", 91: "Papua Barat", 94: "Papua",
}  # fmt: skip
"""BPS province codes."""

OWNERSHIPS: dict[int, str] = {
    1: "Vertikal", 2: "Pemprov", 3: "Pemkab", 4: "POLRI", 5: "TNI AD", 6: "TNI AL", 7: "TNI AU", 8: "BUMN",
    9: "Swasta",
}  # fmt: skip

FACILITY_TYPES: dict[int, str] = {1: "Rumah Sakit", 2: "Klinik Utama"}

FACILITY_CLASSES: dict[int, str] = {
    1: "RS Kelas A", 2: "RS Kelas B", 3: "RS Kelas C", 4: "RS Kelas D",
    5: "RS Swasta Setara Type A", 6: "RS Swasta Setara Type B", 7: "RS Swasta Setara Type C",
    8: "RS Swasta Setara Type D",
    9: "RS TNI Polri Kelas I", 10: "RS TNI Polri Kelas II", 11: "RS TNI Polri Kelas III",
    12: "RS TNI Polri Kelas IV",
    13: "RS Khusus Bedah", 14: "RS Khusus Gigi dan Mulut", 15: "RS Khusus Hemodialisa",
    16: "RS Khusus Ibu dan Anak", 17: "RS Khusus Jantung", 18: "RS Khusus Jiwa", 19: "RS Khusus Kanker Onkologi",
    20: "RS Khusus Kusta", 21: "RS Khusus Mata", 22: "RS Khusus Paru", 23: "RS Khusus Stroke",
    24: "RS Khusus Tulang", 25: "Klinik Non Rawat Inap", 26: "RS Khusus Lain",
    27: "RS Non Provider Gawat Darurat",
}  # fmt: skip

UNKNOWN = "Tidak diketahui"
SERVICE_TYPES: dict[int, str] = {1: "RJTL", 2: "RITL"}
