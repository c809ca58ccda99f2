-- Reasons of the channel repeat. Grain: one row per claim. Input: suspects.
-- A claim with week_visits has a week too full of visits, which says more than its repeat (75_channels.sql); of that it
-- is told only what makes all of the bill excess (60_evidence.sql).
WITH described AS (
    SELECT
        *,
        inacbg_base(inacbg_code) AS base,
        procedure_count = 0 AS bare,
        coalesce(repeat_identical, FALSE) AND excess_amount = amount_claimed AS all_excess,
        if(
            repeat_after_days = 0,
            'dengan tanggal masuk yang sama',
            format('dengan tanggal masuk {} hari sebelumnya', repeat_after_days)
        ) AS when_id,
        if(
            repeat_after_days = 0,
            'for an admission on the same day',
            format('for an admission {} before', days_en(repeat_after_days))
        ) AS when_en
    FROM suspects
    WHERE surprise_repeat >= $reason_from
)

SELECT
    claim_id,
    'repeat' AS code,
    surprise_repeat AS strength,
    -- Of others: of few claims with that care the patient's own may be most.
    is_rare(if(week_visits IS NULL, repeat_share, week_share)) AS telling,
    CASE
        WHEN week_visits IS NOT NULL
            THEN
                format(
                    '{} kunjungan pasien ini di faskes ini dengan {} dalam 7 hari ({} {}); {}{} dari {} kunjungan {} '
                    'ada dalam minggu sepadat itu',
                    week_visits,
                    base,
                    if(week_visits > 7, 'antara lain klaim', 'klaim'),
                    array_to_string(week_of, ', '),
                    only_id(week_alike / week_n),
                    count_id(week_alike),
                    count_id(week_n),
                    base
                )
                || if(
                    all_excess, format('; tagihan yang sama persis juga ada {} (klaim {})', when_id, repeat_of), ''
                )
        WHEN repeat_identical
            THEN
                format(
                    'tagihan yang sama persis (pasien, faskes, INA-CBG, diagnosis {} dan diagnosis sekunder, {}, '
                    'nilai) juga ada {} (klaim {}); {}{} dari {} klaim dengan diagnosis {} berulang persis '
                    'dalam 3 hari',
                    primary_diagnosis,
                    if(bare, 'tanpa tindakan', 'tindakan'),
                    when_id,
                    repeat_of,
                    only_id(repeat_alike / repeat_n),
                    count_id(repeat_alike),
                    count_id(repeat_n),
                    if(bare, 'itu tanpa tindakan', 'dan tindakan itu')
                )
        ELSE
            format(
                if(
                    bare,
                    'pasien dan diagnosis {} yang sama, tanpa tindakan, juga ditagih {}{} (klaim {}); {}{} dari {} '
                    || 'klaim seperti itu berulang dalam 3 hari',
                    'pasien, diagnosis {} dan tindakan yang sama juga ditagih {}{} (klaim {}); {}{} dari {} klaim '
                    || 'seperti itu berulang dalam 3 hari'
                ),
                primary_diagnosis,
                if(repeat_elsewhere, 'di faskes lain ', ''),
                when_id,
                repeat_of,
                only_id(repeat_alike / repeat_n),
                count_id(repeat_alike),
                count_id(repeat_n)
            )
    END || habit_id('repeat', habit_pattern, habit_observed, habit_expected) AS text_id,
    CASE
        WHEN week_visits IS NOT NULL
            THEN
                format(
                    '{} visits of this patient to this facility with {} within 7 days ({} {}); {}{} of {} visits with '
                    '{} {} in a week as full',
                    week_visits,
                    base,
                    if(week_visits > 7, 'among them claims', 'claims'),
                    array_to_string(week_of, ', '),
                    only_en(week_alike / week_n),
                    count_en(week_alike),
                    count_en(week_n),
                    base,
                    plural_en(week_alike, 'is', 'are')
                )
                || if(all_excess, format('; the very same bill also exists {} (claim {})', when_en, repeat_of), '')
        WHEN repeat_identical
            THEN
                format(
                    'the very same bill (patient, facility, INA-CBG, diagnosis {} and secondary diagnoses, {}, amount) '
                    'also exists {} (claim {}); {}{} of {} claims with that diagnosis and {} {} repeated exactly '
                    'within 3 days',
                    primary_diagnosis,
                    if(bare, 'no procedures', 'procedures'),
                    when_en,
                    repeat_of,
                    only_en(repeat_alike / repeat_n),
                    count_en(repeat_alike),
                    count_en(repeat_n),
                    if(bare, 'no procedures', 'these procedures'),
                    plural_en(repeat_alike, 'is', 'are')
                )
        ELSE
            format(
                if(
                    bare,
                    'the same patient was also billed for diagnosis {}, without procedures, {}{} (claim {}); {}{} of '
                    || '{} such claims {} repeated within 3 days',
                    'the same patient was also billed with diagnosis {} and the same procedures {}{} (claim {}); {}{} '
                    || 'of {} such claims {} repeated within 3 days'
                ),
                primary_diagnosis,
                if(repeat_elsewhere, 'by another facility ', ''),
                when_en,
                repeat_of,
                only_en(repeat_alike / repeat_n),
                count_en(repeat_alike),
                count_en(repeat_n),
                plural_en(repeat_alike, 'is', 'are')
            )
    END || habit_en('repeat', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        if(
            week_visits IS NULL,
            json_object(
                'primary_diagnosis', primary_diagnosis,
                'repeat_of', repeat_of,
                'repeat_after_days', repeat_after_days,
                'repeat_identical', repeat_identical,
                'repeat_elsewhere', repeat_elsewhere,
                'repeat_alike', repeat_alike,
                'repeat_n', repeat_n
            ),
            json_object(
                'inacbg_base', base, 'week_visits', week_visits, 'week_of', week_of,
                'week_alike', week_alike, 'week_n', week_n,
                'repeat_of', if(all_excess, repeat_of, NULL)
            )
        ),
        'repeat', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM described
