-- How figures are written in reasons.
CREATE OR REPLACE TEMP MACRO rupiah_id(amount) AS
'Rp' || replace(format('{:,}', round(amount)::BIGINT), ',', '.');

CREATE OR REPLACE TEMP MACRO rupiah_en(amount) AS
'Rp' || format('{:,}', round(amount)::BIGINT);

CREATE OR REPLACE TEMP MACRO times_en(amount, reference) AS
if(reference > 0, format('{:,.1f}', amount / reference) || 'x', '∞x');

CREATE OR REPLACE TEMP MACRO times_id(amount, reference) AS
translate(times_en(amount, reference), ',.', '.,');

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

-- How much an amount is above another one: beside the word for that other one.
CREATE OR REPLACE TEMP MACRO above_en(amount, reference) AS
if(
    amount < 1.1 * reference,
    printf('%.1f%% above ', 100 * (amount / reference - 1)),
    times_en(amount, reference) || ' '
);

CREATE OR REPLACE TEMP MACRO above_id(amount, reference) AS
if(
    amount < 1.1 * reference,
    replace(printf('%.1f%% di atas ', 100 * (amount / reference - 1)), '.', ','),
    times_id(amount, reference) || ' '
);

CREATE OR REPLACE TEMP MACRO plural_en(number, one, many) AS if(number = 1, one, many);

CREATE OR REPLACE TEMP MACRO days_en(number) AS number || if(number = 1, ' day', ' days');

CREATE OR REPLACE TEMP MACRO decimal_en(figure) AS format('{:,.1f}', figure);

-- An expected number that may be far below one.
CREATE OR REPLACE TEMP MACRO few_en(figure) AS
CASE WHEN figure < 0.001 THEN '<0.001' WHEN figure < 10 THEN printf('%.2g', figure) ELSE format('{:,.0f}', figure) END;

-- As beside a count: one decimal place where that says something.
CREATE OR REPLACE TEMP MACRO expected_en(figure) AS if(figure < 0.1, few_en(figure), decimal_en(figure));

CREATE OR REPLACE TEMP MACRO expected_id(figure) AS translate(expected_en(figure), ',.', '.,');

-- A share of claims in percent; what is below a tenth of a percent is said to be so.
CREATE OR REPLACE TEMP MACRO percent_en(share) AS
if(share < 0.001, '<0.1%', printf('%.1f', 100 * share) || '%');

CREATE OR REPLACE TEMP MACRO percent_id(share) AS replace(percent_en(share), '.', ',');

-- A fact that a tenth of the peers share, or fewer, is worth telling, and told with "only".
CREATE OR REPLACE TEMP MACRO is_rare(share) AS coalesce(share <= 0.1, FALSE);

CREATE OR REPLACE TEMP MACRO only_id(share) AS if(is_rare(share), 'hanya ', '');

CREATE OR REPLACE TEMP MACRO only_en(share) AS if(is_rare(share), 'only ', '');

-- The percentile rank of a share by mid-rank.
CREATE OR REPLACE TEMP MACRO percentile_en(share) AS
CASE
    WHEN share < 0.001 THEN 'below percentile 0.1'
    WHEN share > 0.999 THEN 'above percentile 99.9'
    ELSE 'percentile ' || printf('%.1f', 100 * share)
END;

CREATE OR REPLACE TEMP MACRO percentile_id(share) AS
CASE
    WHEN share < 0.001 THEN 'di bawah persentil ke-0,1'
    WHEN share > 0.999 THEN 'di atas persentil ke-99,9'
    ELSE 'persentil ke-' || replace(printf('%.1f', 100 * share), '.', ',')
END;

CREATE OR REPLACE TEMP MACRO about_en(share) AS
if(share < 0.001, 'less than 0.1%', 'about ' || percent_en(share));

CREATE OR REPLACE TEMP MACRO about_id(share) AS
if(share < 0.001, 'kurang dari 0,1%', 'sekitar ' || percent_id(share));

CREATE OR REPLACE TEMP MACRO count_en(number) AS format('{:,}', number::BIGINT);

CREATE OR REPLACE TEMP MACRO count_id(number) AS replace(count_en(number), ',', '.');

-- The INA-CBG without its severity: what the diagnoses and procedures alone decide.
CREATE OR REPLACE TEMP MACRO inacbg_base(inacbg) AS regexp_replace(inacbg, '-[^-]*$', '');

-- What a provider's pattern counts, as 70_provider_habits.sql does: 3 nats are a share of 5%, 2.5 of 8%, 2 of 14%
-- (strong: as 76_strong_claims.sql does).
CREATE OR REPLACE TEMP MACRO pattern_words_id(pattern) AS
CASE pattern
    WHEN 'severity' THEN 'poin keparahan (II = 1, III = 2)'
    WHEN 'dearer_code' THEN 'klaim ber-INA-CBG lebih mahal (di atas 1,1x) daripada yang lazim untuk diagnosisnya'
    WHEN 'inflated_bill' THEN 'tagihan tinggi (lebih dari 1 simpangan di atas sejenisnya atau tarifnya)'
    WHEN 'short_stay' THEN 'rawat inap singkat (5% tersingkat sejenisnya)'
    WHEN 'topup' THEN 'top-up langka (kode atau nilainya, pada <5% sejenisnya)'
    WHEN 'repeat' THEN 'tagihan berulang dalam 3 hari (lazim pada <14%)'
    WHEN 'fragmentation' THEN 'rawat inap atau kunjungan terpecah'
    WHEN 'overlap' THEN 'klaim bertindihan (satu pasien di dua tempat), sesudah meninggal, atau di hari tutup'
    WHEN 'clone' THEN 'klaim kembar (jauh di atas wajarnya)'
    WHEN 'single_visit' THEN 'kunjungan tunggal (pada <8% kunjungan dengan diagnosisnya)'
    WHEN 'strong' THEN 'klaim berbukti kuat (pola apa pun)'
END;

CREATE OR REPLACE TEMP MACRO pattern_words_en(pattern) AS
CASE pattern
    WHEN 'severity' THEN 'severity points (II = 1, III = 2)'
    WHEN 'dearer_code' THEN 'claims with a dearer INA-CBG (over 1.1x) than is usual for their diagnosis'
    WHEN 'inflated_bill' THEN 'high bills (over 1 deviation above similar ones or their tariff)'
    WHEN 'short_stay' THEN 'short stays (the shortest 5% of their kind)'
    WHEN 'topup' THEN 'rare top-ups (by code or amount, in <5% of their kind)'
    WHEN 'repeat' THEN 'repeats within 3 days (usual for <14%)'
    WHEN 'fragmentation' THEN 'split stays or visits'
    WHEN 'overlap' THEN 'overlapping claims (a patient in two places), after death or on a closing day'
    WHEN 'clone' THEN 'clones (far above what is expected)'
    WHEN 'single_visit' THEN 'single visits (<8% of visits with their diagnosis)'
    WHEN 'strong' THEN 'claims with strong evidence (of any pattern)'
END;

-- Days of the week, 1 (Monday) to 7 (Sunday).
CREATE OR REPLACE TEMP MACRO weekday_id(weekday) AS
['Senin', 'Selasa', 'Rabu', 'Kamis', 'Jumat', 'Sabtu', 'Minggu'][weekday];

CREATE OR REPLACE TEMP MACRO weekday_en(weekday) AS
['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'][weekday];

-- Severity groups as English reasons name them.
CREATE OR REPLACE TEMP MACRO severity_en(severity_group) AS
CASE severity_group
    WHEN 'ringan' THEN 'severity I'
    WHEN 'sedang' THEN 'severity II'
    WHEN 'berat' THEN 'severity III'
    WHEN 'rawat_jalan' THEN 'outpatient'
    ELSE 'unknown severity'
END;

-- The provider's habit, behind the sentence of the pattern that it adds to (claims_normalized/75_channels.sql); not for
-- two, which may be the claim and its twin.
CREATE OR REPLACE TEMP MACRO tells_habit(pattern, habit_pattern, observed) AS
coalesce(pattern = habit_pattern AND observed >= 3, FALSE);

CREATE OR REPLACE TEMP MACRO habit_id(pattern, habit_pattern, observed, expected) AS
if(
    tells_habit(pattern, habit_pattern, observed),
    format('; di faskes ini {} {}, wajarnya {}', count_id(observed), pattern_words_id(pattern), expected_id(expected)),
    ''
);

CREATE OR REPLACE TEMP MACRO habit_en(pattern, habit_pattern, observed, expected) AS
if(
    tells_habit(pattern, habit_pattern, observed),
    format(
        '; at this facility {} {} where {} would be expected',
        count_en(observed),
        pattern_words_en(pattern),
        expected_en(expected)
    ),
    ''
);

-- The figures of a reason, with those of the habit where the sentence names it.
CREATE OR REPLACE TEMP MACRO with_habit(figures, pattern, habit_pattern, observed, expected) AS
if(
    tells_habit(pattern, habit_pattern, observed),
    json_merge_patch(figures, json_object('habit_observed', observed, 'habit_expected', expected)),
    figures
);

-- A claim id that does not name its facility leaves a group of them: those of one regency, ownership, type and class
-- (claims_normalized/10_known_visits.sql).
CREATE OR REPLACE TEMP MACRO facility_words_id(sentence, facility_key_source) AS
if(
    facility_key_source = 'composite',
    regexp_replace(sentence, '\bfaskes (ini|yang sama|[0-9])', 'kelompok \0', 'g'),
    sentence
);

CREATE OR REPLACE TEMP MACRO facility_words_en(sentence, facility_key_source) AS
if(
    facility_key_source = 'composite',
    regexp_replace(sentence, '(^|\b(this|the same) )facility\b', '\0 group', 'g'),
    sentence
);
