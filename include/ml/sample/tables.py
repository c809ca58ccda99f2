"""From arrays to the two tables of the layout, column by column in file order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.claims.layout import DIAGNOSIS, FKRTL
from ml.sample.catalogue.diagnoses import DIAGNOSES
from ml.sample.catalogue.groups import GROUPS
from ml.sample.catalogue.tables import PROCEDURE_TEXTS, case_poly
from ml.sample.catalogue.topups import NONE, SLOT_FIELDS, TOPUPS
from ml.sample.claims import Claims
from ml.sample.identity import claim_ids, months, referral_ids
from ml.sample.patients import Patients
from ml.sample.providers import Providers
from ml.sample.sampling import Array, Rng

SEVERITY_ENDS = ("0", "I", "II", "III")
SEVERITY_WORDS = ("", " (RINGAN)", " (SEDANG)", " (BERAT)")
INPATIENT_POLY = 998
UNKNOWN_2, UNKNOWN_4, UNKNOWN_5 = 98, 9998, 9999

# Columns whose value is sometimes not known: code for that, share of the claims.
_UNKNOWN = {"FKL07": (UNKNOWN_2, 0.0010), "FKL09": (UNKNOWN_2, 0.0015), "FKL11": (UNKNOWN_5, 0.0015),
            "FKL12": (UNKNOWN_2, 0.0030), "FKL13": (UNKNOWN_2, 0.0008), "FKL14": (UNKNOWN_2, 0.0050)}  # fmt: skip
_PLACE_UNKNOWN = 0.0005
_ADMISSION_UNKNOWN = 0.003


@dataclass(frozen=True)
class Population:
    """Whom the claims' positions point to."""

    patients: Patients
    providers: Providers


def visits_table(rng: Rng, claims: Claims, paid: Array, people: Population) -> pa.Table:
    """Return the FKRTL table of claims, in their order."""
    patients, providers = people.patients, people.providers
    who, where = claims.patient, claims.provider
    columns: dict[str, pa.Array] = {
        "PSTV01": pc.cast(pa.array(patients.number[who]), pa.string()),
        "PSTV02": pc.cast(pa.array(patients.family[who]), pa.string()),
        "PSTV15": pa.array(patients.weight[who], pa.float64()),
        "FKL02": claim_ids(rng, providers.number[where], claims.admission),
        "FKL03": pa.array(claims.admission, pa.int32()).cast(pa.date32()),
        "FKL04": pa.array(claims.discharge, pa.int32()).cast(pa.date32()),
        "FKL05": _codes(providers.province[where]),
        "FKL06": _codes(providers.regency[where]),
        "FKL07": _codes(providers.ownership[where]),
        "FKL08": _codes(providers.kind[where]),
        "FKL09": _codes(providers.facility_class[where]),
        "FKL10": _codes(np.where(claims.inpatient, 2, 1)),
        "FKL11": _codes(np.where(claims.inpatient, INPATIENT_POLY, case_poly[claims.case])),
        "FKL12": _codes(patients.segment[who]),
        "FKL13": _codes(claims.ward),
        "FKL14": _codes(claims.status),
        "FKL30": _texts(claims.procedures, [text or None for text in PROCEDURE_TEXTS]),
        "FKL31": _codes(providers.tariff_region[where]),
        "FKL32": _codes(claims.tariff),
        "FKL47": _codes(claims.claimed),
        "FKL48": _codes(paid),
        **_diagnosis_columns(rng, claims),
        **_group_columns(claims),
        **_referral_columns(rng, claims, people),
        **_topup_columns(claims),
    }
    for name, (code, share) in _UNKNOWN.items():
        columns[name] = _codes(_blank(rng, columns[name].to_numpy(), code, share))
    lost = rng.random(len(claims)) < _PLACE_UNKNOWN
    columns["FKL05"] = _codes(np.where(lost, UNKNOWN_2, columns["FKL05"].to_numpy()))
    columns["FKL06"] = _codes(np.where(lost, UNKNOWN_4, columns["FKL06"].to_numpy()))
    return pa.table({column.name: columns[column.name] for column in FKRTL})


def diagnoses_table(claims: Claims, claim_id: pa.Array) -> pa.Table:
    """Return the secondary diagnoses, one row each, in the order of their claims."""
    present = claims.secondary >= 0
    row = np.repeat(np.arange(len(claims)), present.sum(axis=1))
    position = claims.secondary[present]
    columns = {
        "FKL02": claim_id.take(pa.array(row)),
        "FKL24": _texts(position, [_written(item.code) for item in DIAGNOSES]),
        "FKL24A": _texts(position, [item.group for item in DIAGNOSES]),
        "FKL24B": _texts(position, [item.label for item in DIAGNOSES]),
    }
    return pa.table({column.name: columns[column.name] for column in DIAGNOSIS})


def _codes(values: Array) -> pa.Array:
    return pa.array(values.astype(np.int32, copy=False))


def _texts(position: Array, texts: list[str] | list[str | None]) -> pa.DictionaryArray:
    """Encode texts by position; a position of -1, or a text of None, is null."""
    known = [text for text in texts if text is not None]
    order = dict(zip(dict.fromkeys(known), range(len(known)), strict=False))
    number = np.array([-1 if text is None else order[text] for text in texts] + [-1], dtype=np.int32)[position]
    return pa.DictionaryArray.from_arrays(pa.array(number, mask=number < 0), pa.array(list(order), pa.string()))


def _blank(rng: Rng, values: Array, code: int, share: float) -> Array:
    return np.where(rng.random(len(values)) < share, code, values)


def _written(icd_code: str) -> str:
    """Without its dot, as the exports have it."""
    return icd_code.replace(".", "")


def _diagnosis_columns(rng: Rng, claims: Claims) -> dict[str, pa.Array]:
    number = np.array([item.group_number for item in DIAGNOSES] + [UNKNOWN_5])
    code = [_written(item.code) for item in DIAGNOSES]
    group = [item.group for item in DIAGNOSES]
    label = [item.label for item in DIAGNOSES]
    admitted = _blank(rng, claims.admitted_as, -1, _ADMISSION_UNKNOWN)
    return {
        "FKL15": _codes(number[admitted]), "FKL15A": _texts(admitted, group), "FKL16": _texts(admitted, code),
        "FKL16A": _texts(admitted, label), "FKL17": _codes(number[claims.diagnosis]),
        "FKL17A": _texts(claims.diagnosis, group), "FKL18": _texts(claims.diagnosis, code),
        "FKL18A": _texts(claims.diagnosis, label),
    }  # fmt: skip


def _group_columns(claims: Claims) -> dict[str, pa.Array]:
    """The INA-CBG code, its description and its parts: all from one position, so that they cannot disagree."""
    position = claims.group.astype(np.int64) * 4 + claims.severity
    parts = [group.stem.split("-") for group in GROUPS]
    full = [f"{group.stem}-{end}" for group in GROUPS for end in SEVERITY_ENDS]
    described = [group.label + word for group in GROUPS for word in SEVERITY_WORDS]
    return {
        "FKL19": _texts(position, full),
        "FKL19A": _texts(position, described),
        "FKL20": _texts(claims.group, [part[0] for part in parts]),
        "FKL21": _codes(np.array([int(part[1]) for part in parts])[claims.group]),
        "FKL22": _texts(claims.group, [part[2] for part in parts]),
        "FKL23": _codes(claims.severity.astype(np.int32) + 1),
    }


def _referral_columns(rng: Rng, claims: Claims, people: Population) -> dict[str, pa.Array]:
    """A referral by primary care, a transfer from another hospital, or nobody (emergencies)."""
    patients, providers = people.patients, people.providers
    month = months(claims.discharge)
    who = claims.patient
    quarter = month // 3
    # A referral lasts three months: all visits of a patient in a quarter show the same one, or none.
    mixed = (who.astype(np.int64) * 2_654_435_761 + quarter * 40_503) % 1_000
    referred = mixed < np.where(claims.inpatient, 480, 830)
    transfer = claims.inpatient & ~referred & (rng.random(len(claims)) < 0.15)
    sender = patients.home[who]
    puskesmas = patients.primary_care[who] % 10 < 6
    primary_kind = np.where(puskesmas, 3, 4)  # 3 puskesmas, 4 clinic
    nobody = ~(referred | transfer)
    own = {
        "FKL25": (providers.province[sender], providers.province[sender], UNKNOWN_2),
        "FKL26": (providers.regency[sender], providers.regency[sender], UNKNOWN_4),
        "FKL27": (np.where(puskesmas, 3, 9), providers.ownership[sender], UNKNOWN_2),
        "FKL28": (primary_kind, providers.kind[sender], UNKNOWN_2),
        "FKL29": (np.full(len(who), UNKNOWN_2), providers.facility_class[sender], UNKNOWN_2),
    }
    columns: dict[str, pa.Array] = {
        name: _codes(np.where(nobody, code, np.where(transfer, hospital, primary)))
        for name, (primary, hospital, code) in own.items()
    }
    columns["FKP02"] = referral_ids(patients.primary_care[who], quarter * 3, mixed * 997 + who % 997, referred)
    return columns


def _topup_columns(claims: Claims) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    every = [*TOPUPS, NONE]
    code, label = [item.code for item in every], [item.label for item in every]
    tariff = np.array([item.tariff for item in every])
    for slot, (code_field, label_field, tariff_field) in enumerate(SLOT_FIELDS):
        position = np.where(claims.topups[:, slot] < 0, len(TOPUPS), claims.topups[:, slot])
        columns[code_field] = _texts(position, code)
        if label_field is not None:
            columns[label_field] = _texts(position, label)
        columns[tariff_field] = _codes(tariff[position])
    return columns
