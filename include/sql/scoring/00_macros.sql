-- How figures are written in reasons.
CREATE OR REPLACE TEMP MACRO rupiah_id(amount) AS
'Rp' || replace(format('{:,}', round(amount)::BIGINT), ',', '.');

CREATE OR REPLACE TEMP MACRO rupiah_en(amount) AS
'Rp' || format('{:,}', round(amount)::BIGINT);

CREATE OR REPLACE TEMP MACRO times_id(amount, reference) AS
if(reference > 0, replace(printf('%.1f', amount / reference), '.', ',') || 'x', '∞x');

CREATE OR REPLACE TEMP MACRO times_en(amount, reference) AS
if(reference > 0, printf('%.1f', amount / reference) || 'x', '∞x');

-- What makes the peers of a claim alike, by the level at which they were found (see claims_normalized/40_peer_groups).
CREATE OR REPLACE TEMP MACRO peers_words(
    peer_level, diagnosis, diagnosis_group, inacbg, severity, facility_class, province
) AS
CASE peer_level
    WHEN 1 THEN concat_ws(', ', diagnosis, severity, facility_class, province)
    WHEN 2 THEN concat_ws(', ', diagnosis, severity, facility_class)
    WHEN 3 THEN concat_ws(', ', diagnosis, severity)
    WHEN 4 THEN concat_ws(', ', diagnosis_group, severity)
    WHEN 5 THEN inacbg
    WHEN 6 THEN concat_ws(', ', regexp_extract(inacbg, '^[^-]+-[^-]+'), severity)
    ELSE severity
END;
