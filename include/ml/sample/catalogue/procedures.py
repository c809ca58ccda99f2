"""ICD-9-CM procedures, written in FKL30 as `code - label`."""

from __future__ import annotations

_TEXT = """
0066|Percutaneous transluminal coronary angioplasty [PTCA]
0124|Other craniotomy
0139|Other incision of brain
0331|Spinal tap
1341|Phacoemulsification and aspiration of cataract
1371|Insertion of intraocular lens prosthesis at time of cataract extraction, one-stage
1424|Destruction of chorioretinal lesion by laser photocoagulation
2309|Extraction of other tooth
232|Restoration of tooth by filling
2371|Root canal therapy with irrigation
282|Tonsillectomy without adenoidectomy
283|Tonsillectomy with adenoidectomy
3491|Thoracentesis
3607|Insertion of drug-eluting coronary artery stent(s)
3612|(Aorto)coronary bypass of two coronary arteries
3613|(Aorto)coronary bypass of three coronary arteries
3722|Left heart cardiac catheterization
3893|Venous catheterization, not elsewhere classified
3895|Venous catheterization for renal dialysis
3961|Extracorporeal circulation auxiliary to open heart surgery
3995|Hemodialysis
4513|Other endoscopy of small intestine
4516|Esophagogastroduodenoscopy [EGD] with closed biopsy
4523|Colonoscopy
4573|Right hemicolectomy
4701|Laparoscopic appendectomy
4709|Other appendectomy
5122|Cholecystectomy
5123|Laparoscopic cholecystectomy
5304|Other and open repair of indirect inguinal hernia with graft or prosthesis
5411|Exploratory laparotomy
5491|Percutaneous abdominal drainage
5504|Percutaneous nephrostomy with fragmentation
560|Transurethral removal of obstruction from ureter and renal pelvis
5732|Other cystoscopy
598|Ureteral catheterization
6029|Other transurethral prostatectomy
6529|Other local excision or destruction of ovary
6849|Other and unspecified total abdominal hysterectomy
6902|Dilation and curettage following delivery or abortion
7359|Other manually assisted delivery
7369|Other episiotomy
741|Low cervical cesarean section
7569|Repair of other current obstetric laceration
7936|Open reduction of fracture with internal fixation, tibia and fibula
7932|Open reduction of fracture with internal fixation, radius and ulna
7935|Open reduction of fracture with internal fixation, femur
8151|Total hip replacement
8154|Total knee replacement
8192|Injection of therapeutic substance into joint or ligament
8521|Local excision of lesion of breast
8543|Unilateral extended simple mastectomy
8604|Other incision with drainage of skin and subcutaneous tissue
8622|Excisional debridement of wound, infection, or burn
863|Other local excision or destruction of lesion or tissue of skin and subcutaneous tissue
8659|Closure of skin and subcutaneous tissue of other sites
8703|Computerized axial tomography of head
8741|Computerized axial tomography of thorax
8744|Routine chest x-ray, so described
8801|Computerized axial tomography of abdomen
8827|Skeletal x-ray of thigh, knee, and lower leg
8856|Coronary arteriography using two catheters
8872|Diagnostic ultrasound of heart
8876|Diagnostic ultrasound of abdomen and retroperitoneum
8878|Diagnostic ultrasound of gravid uterus
8891|Magnetic resonance imaging of brain and brain stem
8893|Magnetic resonance imaging of spinal canal
8901|Interview and evaluation, described as brief
8914|Electroencephalogram
8941|Cardiovascular stress test using treadmill
8952|Electrocardiogram
9043|Microscopic examination of specimen from trachea and lower respiratory tract, culture
9059|Microscopic examination of blood, other microscopic examination
9224|Teleradiotherapy using photons
9311|Assisting exercise
9335|Other heat therapy
9339|Other physical therapy
9394|Respiratory medication administered by nebulizer
9396|Other oxygen enrichment
9409|Other psychologic evaluation and testing
9425|Other psychiatric drug therapy
9438|Supportive verbal psychotherapy
9502|Comprehensive eye examination
9512|Fluorescein angiography or angioscopy of eye
9604|Insertion of endotracheal tube
9652|Irrigation of ear
9671|Continuous invasive mechanical ventilation for less than 96 consecutive hours
9672|Continuous invasive mechanical ventilation for 96 consecutive hours or more
9904|Transfusion of packed cells
9905|Transfusion of platelets
9917|Injection of insulin
9918|Injection or infusion of electrolytes
9921|Injection of antibiotic
9925|Injection or infusion of cancer chemotherapeutic substance
9955|Prophylactic administration of vaccine against other diseases
9983|Other phototherapy
"""

PROCEDURES: dict[str, str] = {
    code: f"{code} - {label}" for code, label in (line.split("|") for line in _TEXT.strip().splitlines())
}
"""ICD-9-CM code -> the text FKL30 shows."""
