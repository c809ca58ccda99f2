-- Reasons of the channel provider: its strongest habit, unless the claim's own reason names it already
-- (00_macros.sql, tells_habit). Grain: one row per claim. Input: suspects.
WITH described AS (
    SELECT
        *,
        tells_habit(provider_pattern, habit_pattern, habit_observed) AS told
    FROM suspects
    WHERE surprise_provider >= $reason_from AND provider_pattern IS NOT NULL
)

SELECT
    claim_id,
    'provider' AS code,
    surprise_provider AS strength,
    TRUE AS telling,
    format(
        'faskes {}: {}peringkat risiko {} dari {} faskes',
        facility_key,
        if(
            told,
            count_id(provider_claims) || ' klaim, ',
            format(
                '{} {} dari {} klaim, wajarnya {}; ',
                count_id(provider_observed),
                pattern_words_id(provider_pattern),
                count_id(provider_claims),
                expected_id(provider_expected)
            )
        ),
        count_id(provider_rank),
        count_id(provider_providers)
    ) AS text_id,
    format(
        'facility {}: {}risk rank {} of {} facilities',
        facility_key,
        if(
            told,
            count_en(provider_claims) || plural_en(provider_claims, ' claim, ', ' claims, '),
            format(
                '{} {} in {} {} where {} would be expected; ',
                count_en(provider_observed),
                pattern_words_en(provider_pattern),
                count_en(provider_claims),
                plural_en(provider_claims, 'claim', 'claims'),
                expected_en(provider_expected)
            )
        ),
        count_en(provider_rank),
        count_en(provider_providers)
    ) AS text_en,
    json_object(
        'facility_key', facility_key, 'pattern', provider_pattern, 'observed', provider_observed,
        'expected', provider_expected,
        'claims', provider_claims, 'risk_score', provider_risk_score, 'rank', provider_rank,
        'providers', provider_providers
    ) AS figures
FROM described
