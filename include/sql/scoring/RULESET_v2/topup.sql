-- Reasons of the channel topup: the rarest code of the claim, and its amount where that is what is unusual.
-- Grain: one row per claim. Input: suspects.
WITH described AS (
    SELECT
        *,
        topup_alike / topup_n AS share_alike,
        topup_usual_amount IS NOT NULL AND topup_code_amount = topup_amount AS is_all, -- the amount is one code's
        if(topup_codes = '', 'tanpa kode', topup_codes) AS codes_id,
        if(topup_codes = '', 'without a code', topup_codes) AS codes_en,
        if(topup_code = 'NONE', 'yang tanpa kode', topup_code) AS code_id,
        if(topup_code = 'NONE', 'one without a code', topup_code) AS code_en,
        coalesce(
            format('dengan diagnosis {} dan tindakan {}', topup_diagnosis, topup_procedure),
            format(
                'faskes lain dengan diagnosis {}{}',
                topup_diagnosis,
                if(topup_diagnosis = primary_diagnosis, '', ' (pada klaim ini diagnosis sekunder)')
            ),
            inacbg_base(inacbg_code)
        ) AS peers_id,
        coalesce(
            format('with diagnosis {} and procedure {}', topup_diagnosis, topup_procedure),
            format(
                'of other facilities with diagnosis {}{}',
                topup_diagnosis,
                if(topup_diagnosis = primary_diagnosis, '', ' (of this claim a secondary one)')
            ),
            'of ' || inacbg_base(inacbg_code)
        ) AS peers_en
    FROM suspects
    WHERE surprise_topup >= $reason_from
)

SELECT
    claim_id,
    'topup' AS code,
    surprise_topup AS strength,
    is_rare(share_alike) OR topup_usual_amount IS NOT NULL AS telling,
    format('top-up {} sebesar {}{}', codes_id, rupiah_id(topup_amount), if(is_all, ' = ', ': '))
    || if(
        topup_usual_amount IS NULL,
        '',
        format(
            '{}{} median {} klaim yang memilikinya ({}); ',
            if(is_all, '', format('{} {} = ', code_id, rupiah_id(topup_code_amount))),
            times_id(topup_code_amount, topup_usual_amount),
            count_id(topup_with_code),
            rupiah_id(topup_usual_amount)
        )
    )
    || format(
        '{}{} dari {} klaim {} memiliki {}',
        only_id(share_alike),
        count_id(topup_alike),
        count_id(topup_n),
        peers_id,
        code_id
    ) || habit_id('topup', habit_pattern, habit_observed, habit_expected) AS text_id,
    format('top-up {} of {}{}', codes_en, rupiah_en(topup_amount), if(is_all, ' = ', ': '))
    || if(
        topup_usual_amount IS NULL,
        '',
        format(
            '{}{} the median of {} claims with it ({}); ',
            if(is_all, '', format('{} of {} = ', code_en, rupiah_en(topup_code_amount))),
            times_en(topup_code_amount, topup_usual_amount),
            count_en(topup_with_code),
            rupiah_en(topup_usual_amount)
        )
    )
    || format(
        '{}{} of {} claims {} {} {}',
        only_en(share_alike),
        count_en(topup_alike),
        count_en(topup_n),
        peers_en,
        plural_en(topup_alike, 'has', 'have'),
        code_en
    ) || habit_en('topup', habit_pattern, habit_observed, habit_expected) AS text_en,
    with_habit(
        json_object(
            'topup_codes', topup_codes, 'topup_amount', topup_amount, 'topup_code', topup_code,
            'topup_diagnosis', topup_diagnosis, 'topup_procedure', topup_procedure,
            'topup_alike', topup_alike, 'topup_n', topup_n,
            'topup_code_amount', topup_code_amount, 'topup_usual_amount', topup_usual_amount,
            'topup_with_code', topup_with_code
        ),
        'topup', habit_pattern, habit_observed, habit_expected
    ) AS figures
FROM described
