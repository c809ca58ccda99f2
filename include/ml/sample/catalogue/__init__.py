"""What can happen to a patient, as tables: diagnoses, procedures, INA-CBG groups, cases and special-CMG top-ups.

Codes and labels follow ICD-10 (WHO 2010), ICD-9-CM volume 3 and the INA-CBG list of the Indonesian Ministry of
Health's tariff regulations. Frequencies and tariffs are invented, and tuned only to the published aggregates.
"""
