"""ICD-10 diagnoses the generator knows. The third field, where there is one, is the comorbidity weight."""

from __future__ import annotations

from ml.sample.catalogue.model import Diagnosis

_TEXT = """
A01.0|Typhoid fever
A09.9|Gastroenteritis and colitis of unspecified origin
A15.0|Tuberculosis of lung, confirmed by sputum microscopy with or without culture
A16.2|Tuberculosis of lung, without mention of bacteriological or histological confirmation
A41.9|Sepsis, unspecified|2
A90|Dengue fever [classical dengue]
A91|Dengue haemorrhagic fever
B18.1|Chronic viral hepatitis B without delta-agent
B20.9|HIV disease resulting in unspecified infectious or parasitic disease|1
B37.0|Candidal stomatitis
C34.9|Malignant neoplasm, bronchus or lung, unspecified
C50.9|Malignant neoplasm, breast, unspecified
C53.9|Malignant neoplasm, cervix uteri, unspecified
C18.9|Malignant neoplasm, colon, unspecified
C71.9|Malignant neoplasm, brain, unspecified
C83.3|Diffuse large B-cell lymphoma
C91.0|Acute lymphoblastic leukaemia [ALL]
D17.9|Benign lipomatous neoplasm, unspecified
D24|Benign neoplasm of breast
D25.9|Leiomyoma of uterus, unspecified
D50.9|Iron deficiency anaemia, unspecified
D56.1|Beta thalassaemia
D62|Acute posthaemorrhagic anaemia|1
D63.0|Anaemia in neoplastic disease
D64.9|Anaemia, unspecified
D69.6|Thrombocytopenia, unspecified|1
E03.9|Hypothyroidism, unspecified
E05.9|Thyrotoxicosis, unspecified
E11.4|Type 2 diabetes mellitus with neurological complications
E11.5|Type 2 diabetes mellitus with peripheral circulatory complications
E11.6|Type 2 diabetes mellitus with other specified complications
E11.9|Type 2 diabetes mellitus without complications
E16.2|Hypoglycaemia, unspecified|1
E43|Unspecified severe protein-energy malnutrition|2
E78.5|Hyperlipidaemia, unspecified
E86|Volume depletion
E87.1|Hypo-osmolality and hyponatraemia|1
E87.6|Hypokalaemia|1
E88.0|Disorders of plasma-protein metabolism, not elsewhere classified|1
F20.0|Paranoid schizophrenia
F20.3|Undifferentiated schizophrenia
F32.9|Depressive episode, unspecified
F41.1|Generalized anxiety disorder
G40.9|Epilepsy, unspecified
G44.2|Tension-type headache
G81.9|Hemiplegia, unspecified|1
H10.9|Conjunctivitis, unspecified
H25.1|Senile nuclear cataract
H26.9|Cataract, unspecified
H36.0|Diabetic retinopathy
H40.1|Primary open-angle glaucoma
H52.1|Myopia
H61.2|Impacted cerumen
H66.9|Otitis media, unspecified
H81.1|Benign paroxysmal vertigo
I10|Essential (primary) hypertension
I11.0|Hypertensive heart disease with (congestive) heart failure
I11.9|Hypertensive heart disease without (congestive) heart failure
I20.0|Unstable angina
I21.4|Acute subendocardial myocardial infarction
I21.9|Acute myocardial infarction, unspecified
I25.1|Atherosclerotic heart disease
I48|Atrial fibrillation and flutter|1
I50.0|Congestive heart failure|1
I50.9|Heart failure, unspecified
I61.9|Intracerebral haemorrhage, unspecified
I63.9|Cerebral infarction, unspecified
I69.3|Sequelae of cerebral infarction
I69.4|Sequelae of stroke, not specified as haemorrhage or infarction
J03.9|Acute tonsillitis, unspecified
J06.9|Acute upper respiratory infection, unspecified
J18.0|Bronchopneumonia, unspecified
J18.9|Pneumonia, unspecified|1
J21.9|Acute bronchiolitis, unspecified
J30.4|Allergic rhinitis, unspecified
J35.0|Chronic tonsillitis
J44.1|Chronic obstructive pulmonary disease with acute exacerbation, unspecified
J44.9|Chronic obstructive pulmonary disease, unspecified
J45.9|Asthma, unspecified
J90|Pleural effusion, not elsewhere classified|1
J96.0|Acute respiratory failure|2
K02.1|Caries of dentine
K04.1|Necrosis of pulp
K05.3|Chronic periodontitis
K21.9|Gastro-oesophageal reflux disease without oesophagitis
K29.7|Gastritis, unspecified
K30|Functional dyspepsia
K35.8|Acute appendicitis, other and unspecified
K40.9|Unilateral or unspecified inguinal hernia, without obstruction or gangrene
K56.6|Other and unspecified intestinal obstruction
K59.0|Constipation
K74.6|Other and unspecified cirrhosis of liver
K80.2|Calculus of gallbladder without cholecystitis
K92.2|Gastrointestinal haemorrhage, unspecified|1
L02.9|Cutaneous abscess, furuncle and carbuncle, unspecified
L03.1|Cellulitis of other parts of limb
L20.9|Atopic dermatitis, unspecified
L30.9|Dermatitis, unspecified
L89.9|Decubitus ulcer and pressure area, unspecified|1
M16.1|Other primary coxarthrosis
M17.1|Other primary gonarthrosis
M17.9|Gonarthrosis, unspecified
M19.9|Arthrosis, unspecified
M54.5|Low back pain
M75.0|Adhesive capsulitis of shoulder
M79.1|Myalgia
N17.9|Acute renal failure, unspecified|2
N18.5|Chronic kidney disease, stage 5
N18.9|Chronic kidney disease, unspecified
N20.0|Calculus of kidney
N20.1|Calculus of ureter
N39.0|Urinary tract infection, site not specified|1
N40|Hyperplasia of prostate
N83.2|Other and unspecified ovarian cysts
O03.4|Spontaneous abortion, incomplete, without complication
O14.9|Pre-eclampsia, unspecified|1
O20.0|Threatened abortion
O21.0|Mild hyperemesis gravidarum
O34.2|Maternal care due to uterine scar from previous surgery
O42.9|Premature rupture of membranes, unspecified
O64.9|Obstructed labour due to malposition and malpresentation, unspecified
O72.1|Other immediate postpartum haemorrhage|1
O80.0|Spontaneous vertex delivery
O80.9|Single spontaneous delivery, unspecified
O82.9|Delivery by caesarean section, unspecified
O99.0|Anaemia complicating pregnancy, childbirth and the puerperium
P07.1|Other low birth weight
P21.9|Birth asphyxia, unspecified|1
P22.0|Respiratory distress syndrome of newborn
P36.9|Bacterial sepsis of newborn, unspecified|2
P59.9|Neonatal jaundice, unspecified
R11|Nausea and vomiting
R50.9|Fever, unspecified
R51|Headache
R56.0|Febrile convulsions
R57.0|Cardiogenic shock|2
R57.1|Hypovolaemic shock|2
S06.0|Concussion
S06.5|Traumatic subdural haemorrhage
S52.5|Fracture of lower end of radius
S72.0|Fracture of neck of femur
S82.2|Fracture of shaft of tibia
T14.1|Open wound of unspecified body region
Z01.0|Examination of eyes and vision
Z03.8|Observation for other suspected diseases and conditions
Z09.8|Follow-up examination after other treatment for other conditions
Z34.9|Supervision of normal pregnancy, unspecified
Z37.0|Single live birth
Z38.0|Singleton, born in hospital
Z47.8|Other specified orthopaedic follow-up care
Z48.0|Attention to surgical dressings and sutures
Z49.1|Extracorporeal dialysis
Z50.1|Other physical therapy
Z51.0|Radiotherapy session
Z51.1|Chemotherapy session for neoplasm
Z96.1|Presence of intraocular lens
"""


def _read(line: str) -> Diagnosis:
    code, label, *cc = line.split("|")
    return Diagnosis(code, label, int(cc[0]) if cc else 0)


DIAGNOSES: tuple[Diagnosis, ...] = tuple(_read(line) for line in _TEXT.strip().splitlines())
INDEX: dict[str, int] = {diagnosis.code: number for number, diagnosis in enumerate(DIAGNOSES)}

POOLS: dict[str, str] = {
    # What is written beside the primary diagnosis, by clinical picture; code:weight.
    "common": "R50.9:4 K30:6 D64.9:5 I10:7 E11.9:4 R11:4 K29.7:4 J06.9:3 E87.6:1.44 N39.0:1.15 E87.1:0.86 J18.9:0.5 "
    "E88.0:0.58 A41.9:0.47 N17.9:0.28 J96.0:0.28",
    "child": "R50.9:8 R11:5 A09.9:3 J06.9:5 R56.0:2 D64.9:2 L30.9:2 E87.6:0.94 N39.0:0.65 E87.1:0.58 D69.6:0.58 "
    "J18.9:0.5 "
    "E43:0.23 A41.9:0.37 J96.0:0.19",
    "heart": "I10:9 E78.5:8 E11.9:6 I25.1:6 I11.9:4 N18.9:3 K30:3 I50.0:1.87 I48:1.08 E87.6:0.79 J18.9:0.58 J90:0.36 "
    "R57.0:0.37 J96.0:0.37 N17.9:0.37",
    "metabolic": "I10:8 E78.5:6 E11.4:4 H36.0:2 K30:3 D64.9:4 N18.9:3 E16.2:0.86 N39.0:0.94 E87.1:0.79 E88.0:0.72 "
    "A41.9:0.47 N17.9:0.37 L89.9:0.29",
    "kidney": "I10:8 D64.9:8 E11.9:4 I11.9:3 K30:2 E87.1:0.72 I50.0:0.79 J90:0.5 E88.0:0.5 N39.0:0.5 J96.0:0.37 "
    "A41.9:0.37",
    "lung": "J06.9:4 K30:4 I10:5 E11.9:3 D64.9:3 B37.0:1 J90:0.79 E87.6:0.72 E88.0:0.65 I50.0:0.72 D69.6:0.36 "
    "J96.0:0.74 A41.9:0.37",
    "neuro": "I10:10 E78.5:6 E11.9:5 I25.1:2 K30:3 G81.9:1.58 J18.9:0.72 E87.1:0.65 N39.0:0.58 L89.9:0.22 "
    "J96.0:0.47 A41.9:0.28",
    "cancer": "D63.0:7 D64.9:5 K30:3 R11:4 R50.9:2 D69.6:0.79 E88.0:0.79 E87.6:0.5 J90:0.5 A41.9:0.23 E43:0.23",
    "birth": "Z37.0:16 O99.0:6 O42.9:5 D64.9:3 O34.2:2 O14.9:1.15 O72.1:0.72 D62:0.5 A41.9:0.07 R57.1:0.11",
    "newborn": "Z38.0:10 P59.9:6 P07.1:2 P21.9:0.94 J18.9:0.22 P36.9:0.47 J96.0:0.28",
    "surgery": "D64.9:4 I10:4 E11.9:3 R50.9:2 K30:2 K59.0:2 D62:0.86 E87.6:0.5 N39.0:0.43 E88.0:0.36 A41.9:0.28 "
    "R57.1:0.19",
    "mental": "F41.1:5 F32.9:4 G44.2:3 K30:2 E87.6:0.36 N39.0:0.29 E43:0.09",
    # Outpatient habits: the reason for encounter stands as the second code.
    "chronic": "Z09.8:30 I10:12 E11.9:7 E78.5:9 I25.1:3 K30:5 M19.9:2 I11.9:2",
    "control": "I10:6 E11.9:4 K30:4 J18.9:2.16 A09.9:2 D64.9:3 I50.9:2 N39.0:1.44 Z48.0:4",
    "acute": "R50.9:8 K30:6 R11:3 J06.9:4 M79.1:5 R51:4 Z03.8:6 J30.4:2",
    "dialysis": "N18.5:40 I10:8 D64.9:6 E11.9:2",
    "rehab": "M54.5:8 M17.9:6 M75.0:4 I69.3:6 G81.9:2.16 M79.1:3",
    "eye": "H52.1:6 Z96.1:4 H40.1:3 H36.0:2 E11.9:3 Z01.0:6",
    "mouth": "K02.1:6 K05.3:4 K04.1:3",
    "pregnancy": "Z34.9:14 O99.0:4 O34.2:3 O42.9:1",
}
