-- Reasons of the channel provider: its strongest habit. Grain: one row per claim. Input: suspects.
SELECT
    claim_id,
    'provider' AS code,
    surprise_provider AS strength,
    TRUE AS telling,
    format(
        'faskes {}: {} {} dari {} klaim, wajarnya {}; peringkat risiko {} dari {} faskes',
        facility_key,
        count_id(provider_observed),
        pattern_words_id(provider_pattern),
        count_id(provider_claims),
        decimal_id(provider_expected),
        count_id(provider_rank),
        count_id(provider_providers)
    ) AS text_id,
    format(
        'facility {}: {} {} in {} claims where {} would be expected; risk rank {} of {} facilities',
        facility_key,
        count_en(provider_observed),
        pattern_words_en(provider_pattern),
        count_en(provider_claims),
        decimal_en(provider_expected),
        count_en(provider_rank),
        count_en(provider_providers)
    ) AS text_en,
    json_object(
        'facility_key', facility_key, 'pattern', provider_pattern, 'observed', provider_observed,
        'expected', provider_expected,
        'claims', provider_claims, 'risk_score', provider_risk_score, 'rank', provider_rank,
        'providers', provider_providers
    ) AS figures
FROM suspects
WHERE surprise_provider >= $reason_from AND provider_pattern IS NOT NULL
