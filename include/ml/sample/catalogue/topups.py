"""Special-CMG top-ups: paid besides the INA-CBG tariff (rupiah, the same for every hospital)."""

from __future__ import annotations

from ml.sample.catalogue.model import Topup

NONE = Topup(-1, "NONE", "NONE", 0)

TOPUPS: tuple[Topup, ...] = (
    Topup(0, "SF-4-10-I", "SUB AKUT DAN KRONIS", 3126000),
    Topup(1, "YY-01-II", "HIP REPLACEMENT / KNEE REPLACEMENT", 14250000),
    Topup(1, "YY-03-II", "PCI", 11870000),
    Topup(1, "YY-09-II", "TORAKOTOMI", 6418000),
    Topup(1, "YY-12-II", "VITRECTOMY", 5736000),
    Topup(1, "YY-13-II", "PHACOEMULSIFICATION", 2643000),
    Topup(1, "YY-14-II", "CHOLANGIOGRAPH", 2168000),
    Topup(2, "RR-01-II", "COTE GRAFT", 26840000),
    Topup(2, "RR-04-III", "HIP IMPLANT / KNEE IMPLANT", 21370000),
    Topup(2, "RR-05-II", "INTRAOCULAR LENS", 1384000),
    Topup(3, "II-01-II", "OTHER CT SCAN", 874000),
    Topup(3, "II-03-II", "NUCLEAR MEDICINE", 1463000),
    Topup(3, "II-04-II", "MRI", 1538000),
    Topup(3, "II-05-II", "DIAGNOSTIC AND IMAGING PROCEDURE OF EYE", 432000),
    Topup(4, "DD-01-II", "STREPTOKINASE", 5312000),
    Topup(4, "DD-04-II", "DEFERASIROX", 7864000),
    Topup(4, "DD-05-II", "HUMAN ALBUMIN", 2471000),
    Topup(4, "DD-07-II", "ANALOG SOMATOSTATIN", 3946000),
    Topup(4, "DD-13-II", "RITUXIMAB", 16530000),
)

SLOTS = 5
SLOT_FIELDS = (  # code, description (the sub-acute slot has none), tariff
    ("FKL33", None, "FKL34"),
    ("FKL35", "FKL36", "FKL37"),
    ("FKL38", "FKL39", "FKL40"),
    ("FKL41", "FKL42", "FKL43"),
    ("FKL44", "FKL45", "FKL46"),
)
INDEX: dict[str, int] = {topup.code: number for number, topup in enumerate(TOPUPS)}
