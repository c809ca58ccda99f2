-- provider_risk: the providers, riskiest first. Grain: one row per provider with claims on the data date.
-- What makes a provider's score is told in claims_normalized/78_provider_risk.sql. <pattern>_observed: its claims that
-- show the pattern (strong: strong evidence of any); _expected: as many as its case mix (strong: its stays and visits)
-- would bring; _ratio: of the two, small providers drawn to 1. deviance, in nats: of the strong claims.
-- high_risk_claims: claims with a risk_score of 0.5 or more. Money in rupiah.
-- reasons: strong and the patterns with the largest deviance (1 nat or more), up to three, as a JSON array; where there
-- are fewer, last the money ("volume"), without which no provider ranks high.
CREATE TABLE provider_risk AS
WITH by_claims AS (
    SELECT
        facility_key,
        min(facility_key_source) AS facility_key_source,
        -- One facility has one place and class; should raw rows differ, the first by name stands for all.
        min(province_name) AS province_name,
        min(regency_code) AS regency_code,
        min(facility_ownership) AS facility_ownership,
        min(facility_type) AS facility_type,
        min(facility_class) AS facility_class,
        any_value(data_date) AS data_date,
        count(*) FILTER (service_type = 'RITL') AS stays,
        count(*) FILTER (risk_score >= 0.5) AS high_risk_claims
    FROM claims_high_risk
    GROUP BY facility_key
),

-- What the ETL has found: the provider is on each of its claims, its patterns are on one.
by_etl AS (
    SELECT
        facility_key,
        any_value(provider) AS provider,
        any_value(provider_patterns) AS patterns
    FROM claims
    GROUP BY facility_key
),

providers AS (
    SELECT
        by_claims.*,
        by_etl.provider,
        by_etl.patterns
    FROM by_claims
    LEFT JOIN by_etl ON by_claims.facility_key = by_etl.facility_key
),

patterns AS (
    SELECT
        providers.facility_key,
        providers.provider.claims,
        providers.stays,
        unnest(providers.patterns, recursive := TRUE) -- noqa: AL03
    FROM providers
),

ranked AS (
    SELECT
        *,
        -- Which of its claims can show the pattern at all.
        CASE
            WHEN pattern IN ('severity', 'short_stay') THEN 'stays'
            WHEN pattern = 'single_visit' THEN 'visits'
            ELSE 'claims'
        END AS kind,
        CASE kind WHEN 'stays' THEN stays WHEN 'visits' THEN claims - stays ELSE claims END AS among,
        row_number() OVER (
            PARTITION BY facility_key ORDER BY pattern = 'strong' DESC, deviance DESC, pattern ASC
        ) AS place
    FROM patterns
    WHERE deviance >= 1
),

pattern_reasons AS (
    SELECT
        facility_key,
        place,
        json_object(
            'code', pattern,
            'text_id', format(
                '{} {} di antara {} {}, wajarnya {}',
                count_id(observed),
                pattern_words_id(pattern),
                count_id(among),
                CASE kind WHEN 'stays' THEN 'rawat inap' WHEN 'visits' THEN 'kunjungan' ELSE 'klaim' END,
                expected_id(expected)
            ),
            'text_en', format(
                '{} {} in {} {} where {} would be expected',
                count_en(observed),
                pattern_words_en(pattern),
                count_en(among),
                kind,
                expected_en(expected)
            ),
            'figures', json_object(
                'observed', observed, 'expected', expected, 'among', among, 'claims', claims, 'deviance', deviance
            )
        )::VARCHAR AS reason
    FROM ranked
    WHERE place <= 3
),

by_amount AS (
    SELECT
        providers.facility_key,
        providers.provider.claims,
        providers.provider.amount_claimed,
        providers.provider.excess_amount,
        rank() OVER (ORDER BY providers.provider.amount_claimed DESC) AS amount_rank,
        count(*) OVER () AS facilities
    FROM providers
),

money_reasons AS (
    SELECT
        facility_key,
        4 AS place,
        json_object(
            'code', 'volume',
            'text_id', format(
                'menagih {} untuk {} klaim{}{}',
                rupiah_id(amount_claimed),
                count_id(claims),
                CASE
                    WHEN facilities = 1 THEN ''
                    WHEN amount_rank = 1 THEN format(', terbesar dari {} faskes', count_id(facilities))
                    ELSE format(', terbesar ke-{} dari {} faskes', count_id(amount_rank), count_id(facilities))
                END,
                if(excess_amount > 0, '; kelebihan tagihan ' || rupiah_id(excess_amount), '')
            ),
            'text_en', format(
                'billed {} for {} {}{}{}',
                rupiah_en(amount_claimed),
                count_en(claims),
                plural_en(claims, 'claim', 'claims'),
                if(
                    facilities = 1,
                    '',
                    format(', number {} of {} facilities', count_en(amount_rank), count_en(facilities))
                ),
                if(excess_amount > 0, format('; {} above what would be expected', rupiah_en(excess_amount)), '')
            ),
            'figures', json_object(
                'amount_claimed', amount_claimed,
                'claims', claims,
                'amount_rank', amount_rank,
                'facilities', facilities,
                'excess_amount', excess_amount
            )
        )::VARCHAR AS reason
    FROM by_amount
),

all_reasons AS (
    SELECT * FROM pattern_reasons
    UNION ALL
    SELECT * FROM money_reasons
),

written AS (
    SELECT
        facility_key,
        '[' || array_to_string((list(reason ORDER BY place))[:3], ',') || ']' AS reasons
    FROM all_reasons
    GROUP BY facility_key
),

wide AS (
    SELECT
        facility_key,
        any_value(observed) FILTER (pattern = 'strong') AS strong_observed,
        any_value(expected) FILTER (pattern = 'strong') AS strong_expected,
        any_value(ratio) FILTER (pattern = 'strong') AS strong_ratio,
        any_value(observed) FILTER (pattern = 'severity') AS severity_observed,
        any_value(expected) FILTER (pattern = 'severity') AS severity_expected,
        any_value(ratio) FILTER (pattern = 'severity') AS severity_ratio,
        any_value(observed) FILTER (pattern = 'dearer_code') AS dearer_code_observed,
        any_value(expected) FILTER (pattern = 'dearer_code') AS dearer_code_expected,
        any_value(ratio) FILTER (pattern = 'dearer_code') AS dearer_code_ratio,
        any_value(observed) FILTER (pattern = 'inflated_bill') AS inflated_bill_observed,
        any_value(expected) FILTER (pattern = 'inflated_bill') AS inflated_bill_expected,
        any_value(ratio) FILTER (pattern = 'inflated_bill') AS inflated_bill_ratio,
        any_value(observed) FILTER (pattern = 'short_stay') AS short_stay_observed,
        any_value(expected) FILTER (pattern = 'short_stay') AS short_stay_expected,
        any_value(ratio) FILTER (pattern = 'short_stay') AS short_stay_ratio,
        any_value(observed) FILTER (pattern = 'topup') AS topup_observed,
        any_value(expected) FILTER (pattern = 'topup') AS topup_expected,
        any_value(ratio) FILTER (pattern = 'topup') AS topup_ratio,
        any_value(observed) FILTER (pattern = 'repeat') AS repeat_observed,
        any_value(expected) FILTER (pattern = 'repeat') AS repeat_expected,
        any_value(ratio) FILTER (pattern = 'repeat') AS repeat_ratio,
        any_value(observed) FILTER (pattern = 'fragmentation') AS fragmentation_observed,
        any_value(expected) FILTER (pattern = 'fragmentation') AS fragmentation_expected,
        any_value(ratio) FILTER (pattern = 'fragmentation') AS fragmentation_ratio,
        any_value(observed) FILTER (pattern = 'overlap') AS overlap_observed,
        any_value(expected) FILTER (pattern = 'overlap') AS overlap_expected,
        any_value(ratio) FILTER (pattern = 'overlap') AS overlap_ratio,
        any_value(observed) FILTER (pattern = 'clone') AS clone_observed,
        any_value(expected) FILTER (pattern = 'clone') AS clone_expected,
        any_value(ratio) FILTER (pattern = 'clone') AS clone_ratio,
        any_value(observed) FILTER (pattern = 'single_visit') AS single_visit_observed,
        any_value(expected) FILTER (pattern = 'single_visit') AS single_visit_expected,
        any_value(ratio) FILTER (pattern = 'single_visit') AS single_visit_ratio
    FROM patterns
    GROUP BY facility_key
)

SELECT
    providers.provider.rank,
    providers.facility_key,
    providers.facility_key_source,
    providers.provider.risk_score AS provider_risk_score,
    providers.provider.claims,
    providers.provider.amount_claimed,
    providers.provider.excess_amount,
    providers.high_risk_claims,
    providers.provider.deviance,
    providers.provider.pattern,
    coalesce(written.reasons, '[]') AS reasons,
    providers.province_name,
    providers.regency_code,
    providers.facility_ownership,
    providers.facility_type,
    providers.facility_class,
    wide.* EXCLUDE (facility_key), -- noqa: RF02
    providers.data_date
FROM providers
LEFT JOIN wide ON providers.facility_key = wide.facility_key
LEFT JOIN written ON providers.facility_key = written.facility_key
ORDER BY providers.provider.rank ASC, providers.facility_key ASC;
