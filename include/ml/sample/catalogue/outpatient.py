"""Outpatient cases (RJTL). Weights are percent of the outpatient claims."""

from __future__ import annotations

from typing import Any

from ml.sample.catalogue.model import Case

_CONTROL: dict[str, Any] = {"visits": 7.0, "most_visits": 12, "gap": 30.0, "jitter": 4.0, "pool": "chronic"}
_ACUTE: dict[str, Any] = {"visits": 1.3, "most_visits": 5, "gap": 4.0, "jitter": 2.0, "pool": "acute"}


def _control(name: str, weight: float, diagnoses: str, kinds: str, **more: Any) -> Case:
    return Case(name, "Q-5-44", weight, diagnoses, kinds, **(_CONTROL | more))


def _acute(name: str, stem: str, weight: float, diagnoses: str, kinds: str, **more: Any) -> Case:
    return Case(name, stem, weight, diagnoses, kinds, **(_ACUTE | more))


OUTPATIENT: tuple[Case, ...] = (
    # Chronic disease: the same doctor every month.
    _control("hypertension control", 11.4, "I10:9 I11.9:2", "cardiac:5 elder:2 diabetic:1",
             procedures="8952:.25 8901:.3"),
    _control("diabetes control", 9.8, "E11.9:7 E11.4:2 E11.6", "diabetic", procedures="9059:.35 8901:.2"),
    _control("heart disease control", 9.0, "I25.1:5 I11.9:3 I50.9:2", "cardiac", procedures="8952:.45", poly=8),
    _control("stroke control", 3.4, "I69.4:3 I69.3:2 I63.9", "neuro:4 elder", line="neuro", poly=9),
    _control("lung disease control", 3.6, "J45.9:4 J44.9:3 A16.2:2", "lung", line="lung", procedures="9394:.3",
             poly=10),
    _control("joint and back control", 5.2, "M54.5:3 M17.9:3 M19.9", "elder:3 adult:2", procedures="8192:.06", poly=5,
             visits=3.5),
    _control("dyspepsia control", 3.8, "K30:4 K21.9:2 K29.7", "adult:3 elder:2", visits=3.0),
    _control("epilepsy and headache control", 2.0, "G40.9:3 G44.2:2", "neuro:2 adult:2 child", line="neuro", poly=9),
    _control("thyroid control", 1.2, "E05.9:2 E03.9", "adult", procedures="9059:.3", visits=5.0),
    _control("kidney disease control", 1.6, "N18.9", "renal:2 diabetic", procedures="9059:.4", visits=5.0),
    _control("prostate control", 1.3, "N40", "elder", poly=7, visits=4.0),
    _control("glaucoma control", 1.6, "H40.1", "elder:2 diabetic", line="eye", procedures="9502:.6", pool="eye",
             poly=6),
    _control("cancer control", 1.8, "C50.9:3 C53.9:2 C18.9", "cancer", line="cancer", poly=7, visits=5.0),
    _control("HIV and hepatitis control", 1.0, "B20.9:2 B18.1", "adult", visits=8.0),
    _control("after discharge", 7.4, "Z09.8", "adult:2 elder:2 child", pool="control", after_stay=True, visits=1.0),
    _control("after surgery", 2.6, "Z48.0:3 Z47.8:2", "adult:3 elder", pool="control", procedures="8622:.1", poly=7,
             visits=2.2, gap=6.0, jitter=2.0),
    Case("mental illness control", "F-5-10", 3.0, "F20.0:4 F20.3:2 F32.9 F41.1", "mental", line="mental",
         procedures="9438:.5 9425:.3", pool="mental", poly=12, visits=8.0, most_visits=12, gap=30.0, jitter=3.0),
    # Series: many visits, days apart, all alike. Honest, and close to what repeat billing looks like.
    Case("haemodialysis", "N-3-15", 6.1, "N18.5:3 Z49.1:2", "renal", line="dialysis", procedures="3995:1",
         pool="dialysis", poly=20, visits=72.0, most_visits=104, gap=3.5, jitter=0.0),
    Case("physiotherapy", "M-3-16", 6.2, "Z50.1:5 M54.5:2 M75.0", "elder:3 neuro:3 adult:2", line="rehab",
         procedures="9339:.9 9335:.6 9311:.3", pool="rehab", poly=15, visits=7.0, most_visits=24, gap=3.5, jitter=1.0),
    Case("radiotherapy", "C-3-20", 1.5, "Z51.0", "cancer", line="cancer", procedures="9224:1", pool="cancer", poly=21,
         visits=18.0, most_visits=33, gap=1.4, jitter=0.0),
    Case("outpatient chemotherapy", "C-3-10", 1.0, "Z51.1:4 C50.9", "cancer", line="cancer", procedures="9925:1",
         pool="cancer", poly=21, visits=5.0, most_visits=12, gap=14.0, jitter=1.0),
    # Acute and single visits, some with an honest revisit within days.
    _acute("airways infection", "Q-5-42", 3.0, "J06.9:5 J03.9:2 J30.4", "child:4 adult:3", season="rain", poly=3),
    _acute("stomach and fever", "Q-5-42", 3.4, "K30:3 A09.9:3 R50.9:3 K29.7", "adult:3 child:2 elder",
           procedures="9059:.25", poly=19),
    _acute("skin and eye complaint", "Q-5-42", 2.6, "L30.9:3 L20.9 H10.9:3", "adult:2 child:2 elder", poly=11),
    _acute("pain and urinary complaint", "Q-5-42", 2.4, "M79.1:3 R51:2 N39.0:2", "adult:3 elder:2",
           procedures="8901:.2"),
    _acute("vertigo", "Q-5-42", 1.0, "H81.1", "elder:2 adult:2", line="neuro", poly=9),
    _acute("ear, nose, throat procedure", "U-3-15", 1.8, "H61.2:4 H66.9:3", "child:2 adult:2 elder",
           procedures="9652:.8",
           poly=4),
    _acute("dental treatment", "U-3-16", 2.0, "K04.1:4 K02.1:2 K05.3:2", "adult:4 child", line="dental", pool="mouth",
           procedures="2371:.4 2309:.35 232:.3", poly=13, visits=1.6, gap=7.0),
    _acute("eye examination", "H-3-13", 1.7, "H52.1:3 H25.1:3 H36.0", "elder:3 diabetic:2 adult", line="eye",
           pool="eye",
           procedures="9502:.9 9512:.12 1424:.06", poly=6),
    _acute("cataract surgery", "H-2-36", 1.15, "H25.1:5 H26.9:2", "elder:5 diabetic", line="eye", pool="eye",
           procedures="1341:.95 1371:.95", poly=6, visits=1.25, gap=40.0, jitter=20.0,
           topups={"YY-13-II": 0.02, "II-05-II": 0.02}),
    _acute("wound care", "Z-3-27", 2.0, "T14.1:3 Z48.0:3 L02.9", "adult:3 diabetic:2", procedures="8622:.5 8659:.3",
           poly=7, visits=2.0, gap=3.0, jitter=1.0),
    _acute("antenatal care", "W-3-11", 2.0, "Z34.9:6 O34.2 O20.0", "mother", line="obstetric", procedures="8878:.9",
           pool="pregnancy", poly=2, visits=2.6, most_visits=8, gap=28.0, jitter=4.0),
    _acute("echocardiography and treadmill", "Z-3-23", 5.2, "I25.1:4 I11.9:3 I50.9", "cardiac:4 elder", line="general",
           procedures="8872:.75 8941:.3 8952:.5", pool="chronic", poly=8, visits=1.0),
    _acute("abdominal ultrasound", "Z-3-12", 1.1, "K80.2:2 N20.0:2 N83.2 K30", "adult:3 elder:2", procedures="8876:1",
           visits=1.0),
    _acute("plain film or laboratory", "Z-3-16", 0.8, "Z03.8:4 M54.5 R50.9", "adult:3 elder:2 child", visits=1.0,
           procedures="8744:.5 8827:.3 9059:.4"),
    _acute("CT scan", "Z-3-19", 1.3, "R51:3 S06.0:2 C34.9", "adult:3 elder:2", line="specialist", visits=1.0,
           procedures="8703:.6 8741:.3 8801:.2"),
    _acute("MRI", "Z-3-20", 0.25, "M54.5:3 R51 C71.9", "adult:3 elder:2", line="specialist", visits=1.0,
           procedures="8893:.6 8891:.4"),
    _acute("minor surgery", "L-3-11", 1.8, "D17.9:3 L02.9:3 D24", "adult:4 elder", line="surgery", visits=1.05,
           procedures="863:.6 8604:.4", poly=7),
    _acute("endoscopy", "K-3-12", 0.7, "K30:2 K21.9:2 K92.2", "adult:3 elder:2", line="specialist", visits=1.0,
           procedures="4513:.5 4516:.4 4523:.2", pool="chronic"),
)  # fmt: skip
