-- Reasons of the channel single_visit. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'single_visit' AS code,
    surprise_single_visit AS strength,
    is_rare(single_share) AS telling,
    format(
        'satu-satunya klaim pasien ini dengan diagnosis {}; di faskes lain {} dari {} kunjungan dengan diagnosis itu '
        'tunggal seperti ini',
        primary_diagnosis,
        if(single_alike = 0, 'tidak satu pun', only_id(single_alike / single_n) || count_id(single_alike)),
        count_id(single_n)
    ) || habit_id('single_visit', habit_pattern, habit_observed, habit_expected) AS text_id,
    format(
        'the only claim of this patient with diagnosis {}; at other facilities {} of {} visits with it {} single like '
        'this',
        primary_diagnosis,
        if(single_alike = 0, 'none', only_en(single_alike / single_n) || count_en(single_alike)),
        count_en(single_n),
        if(single_alike <= 1, 'is', 'are')
    ) || habit_en('single_visit', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'primary_diagnosis', primary_diagnosis, 'single_alike', single_alike, 'single_n', single_n
        ),
        'single_visit', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM suspects
WHERE surprise_single_visit >= $reason_from
