-- A secondary diagnosis of a claim that the visits file does not have breaks the contract.
UPDATE checked_diagnoses
SET reasons = concat_ws('; ', 'FKL02: no such claim in the fkrtl file', nullif(reasons, ''))
WHERE rowid IN (
    SELECT stray.rowid
    FROM checked_diagnoses AS stray
    ANTI JOIN checked_visits ON stray.claim_id = checked_visits.claim_id
    WHERE stray.claim_id IS NOT NULL
)
