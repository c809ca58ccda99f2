-- Reasons of the channel short_stay: how many similar stays are as short, where that is rare, and of how many nothing
-- is recorded, either. Grain: one row per claim. Input: suspects.
WITH described AS (
    SELECT
        *,
        stay_as_short / stay_n AS share_as_short,
        coalesce(coalesce(price_ln_ratio, tariff_ln_ratio) BETWEEN -0.05 AND 0.05, FALSE) AS in_full,
        is_rare(los_share_low) AS is_short, -- by mid-rank, as the evidence
        coalesce(empty_weight > 0, FALSE) AS is_empty,
        is_short OR NOT is_empty AS tells_los,
        -- What makes the peers of a stay alike (claims_normalized/43_stay_peers.sql).
        if(
            stay_level = 3,
            concat_ws(', ', regexp_extract(inacbg_code, '^[^-]+-[^-]+'), replace(severity_group, '_', ' ')),
            inacbg_code
        ) AS peers_id,
        if(
            stay_level = 3,
            concat_ws(', ', regexp_extract(inacbg_code, '^[^-]+-[^-]+'), severity_en(severity_group)),
            inacbg_code
        ) AS peers_en
    FROM suspects
    WHERE surprise_short_stay >= $reason_from
)

SELECT
    claim_id,
    'short_stay' AS code,
    surprise_short_stay AS strength,
    is_short OR is_empty AS telling,
    format('LOS {} hari, ditagih {}{}', los, if(in_full, 'penuh ', ''), rupiah_id(amount_claimed))
    || if(
        tells_los,
        format(
            ': {}{} dari {} rawat inap sejenis ({}) sesingkat ini',
            only_id(share_as_short),
            count_id(stay_as_short),
            count_id(stay_n),
            peers_id || CASE
                WHEN stay_level = 1 THEN ', cara pulang yang sama'
                WHEN usual_exit THEN ', pulang seperti kebanyakan'
                ELSE ', pulang dengan cara lain'
            END
        ),
        ''
    )
    || if(
        is_empty,
        format(
            '{} tanpa tindakan dan tanpa diagnosis sekunder: hanya {} dari {} rawat inap {} seperti itu',
            if(tells_los, ';', ','),
            count_id(empty_alike),
            count_id(empty_n),
            inacbg_code
        ),
        ''
    )
    || habit_id('short_stay', habit_pattern, habit_observed, habit_expected) AS text_id,
    format('LOS {}, billed {}{}', days_en(los), if(in_full, 'in full ', ''), rupiah_en(amount_claimed))
    || if(
        tells_los,
        format(
            ': {}{} of {} similar stays ({}) {} as short',
            only_en(share_as_short),
            count_en(stay_as_short),
            count_en(stay_n),
            peers_en || CASE
                WHEN stay_level = 1 THEN ', discharged in the same way'
                WHEN usual_exit THEN ', discharged as most are'
                ELSE ', discharged otherwise than most'
            END,
            plural_en(stay_as_short, 'is', 'are')
        ),
        ''
    )
    || if(
        is_empty,
        format(
            '{} without a procedure or a secondary diagnosis: only {} of {} stays with {} {} so',
            if(tells_los, ';', ','),
            count_en(empty_alike),
            count_en(empty_n),
            inacbg_code,
            plural_en(empty_alike, 'is', 'are')
        ),
        ''
    )
    || habit_en('short_stay', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'los', los, 'stay_as_short', stay_as_short, 'stay_n', stay_n, 'stay_level', stay_level,
            'usual_exit', usual_exit, 'empty_alike', empty_alike, 'empty_n', empty_n, 'amount_claimed', amount_claimed
        ),
        'short_stay', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM described
