-- Reasons of the channel provider: how many of its claims show strong evidence, and its strongest habit, unless the
-- claim's own reason names that already (00_macros.sql, tells_habit) or it is two claims or fewer. Only where the
-- strong claims alone reach reason_from (78_provider_risk.sql): the claim's own habit is told with its pattern.
-- Grain: one row per claim. Input: suspects.
WITH described AS (
    SELECT
        *,
        coalesce(provider_observed >= 3, FALSE)
        AND NOT tells_habit(provider_pattern, habit_pattern, habit_observed) AS names_habit
    FROM suspects
    WHERE
        surprise_provider >= $reason_from
        AND 2 * log10((provider_strong_observed + 2) / (provider_strong_expected + 2)) >= $reason_from
)

SELECT
    claim_id,
    'provider' AS code,
    surprise_provider AS strength,
    TRUE AS telling,
    format(
        'faskes {}: {}{} dari {} klaim berbukti kuat, wajarnya {}; peringkat risiko {} dari {} faskes',
        facility_key,
        if(
            names_habit,
            format(
                '{} {}, wajarnya {}; ',
                count_id(provider_observed),
                pattern_words_id(provider_pattern),
                expected_id(provider_expected)
            ),
            ''
        ),
        count_id(provider_strong_observed),
        count_id(provider_claims),
        expected_id(provider_strong_expected),
        count_id(provider_rank),
        count_id(provider_providers)
    ) AS text_id,
    format(
        'facility {}: {}{} of {} claims with strong evidence where {} would be expected; risk rank {} of {} facilities',
        facility_key,
        if(
            names_habit,
            format(
                '{} {} where {} would be expected; ',
                count_en(provider_observed),
                pattern_words_en(provider_pattern),
                expected_en(provider_expected)
            ),
            ''
        ),
        count_en(provider_strong_observed),
        count_en(provider_claims),
        expected_en(provider_strong_expected),
        count_en(provider_rank),
        count_en(provider_providers)
    ) AS text_en,
    json_object(
        'facility_key', facility_key, 'pattern', provider_pattern, 'observed', provider_observed,
        'expected', provider_expected,
        'strong_observed', provider_strong_observed, 'strong_expected', provider_strong_expected,
        'claims', provider_claims, 'risk_score', provider_risk_score, 'rank', provider_rank,
        'providers', provider_providers
    ) AS figures
FROM described
