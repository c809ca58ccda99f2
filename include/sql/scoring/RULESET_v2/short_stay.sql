-- Reasons of the channel short_stay. Grain: one row per claim. Input: suspects.
WITH described AS (
    SELECT
        *,
        stay_as_short / stay_n AS share_as_short,
        coalesce(coalesce(price_ln_ratio, tariff_ln_ratio) > -0.05, FALSE) AS in_full,
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
    is_rare(los_share_low) AS telling, -- by mid-rank, as the evidence
    format(
        'LOS {} hari, ditagih {}{}: {}{} dari {} rawat inap sejenis ({}) sesingkat ini',
        los,
        if(in_full, 'penuh ', ''),
        rupiah_id(amount_claimed),
        only_id(share_as_short),
        count_id(stay_as_short),
        count_id(stay_n),
        peers_id || CASE
            WHEN stay_level = 1 THEN ', cara pulang yang sama'
            WHEN usual_exit THEN ', pulang seperti kebanyakan'
            ELSE ', pulang dengan cara lain'
        END
    ) || habit_id('short_stay', habit_pattern, habit_observed, habit_expected) AS text_id,
    format(
        'LOS {}, billed {}{}: {}{} of {} similar stays ({}) {} as short',
        days_en(los),
        if(in_full, 'in full ', ''),
        rupiah_en(amount_claimed),
        only_en(share_as_short),
        count_en(stay_as_short),
        count_en(stay_n),
        peers_en || CASE
            WHEN stay_level = 1 THEN ', discharged in the same way'
            WHEN usual_exit THEN ', discharged as most are'
            ELSE ', discharged otherwise than most'
        END,
        plural_en(stay_as_short, 'is', 'are')
    ) || habit_en('short_stay', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'los', los, 'stay_as_short', stay_as_short, 'stay_n', stay_n, 'stay_level', stay_level,
            'usual_exit', usual_exit, 'amount_claimed', amount_claimed
        ),
        'short_stay', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM described
