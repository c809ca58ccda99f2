-- provider_risk: the providers, riskiest first. Grain: one row per provider with claims on the data date.
-- What makes a provider's score is told in claims_normalized/72_provider_risk.sql. <pattern>_observed: its claims that
-- show the pattern; _expected: as many as its case mix would bring; _ratio: of the two, small providers drawn to 1.
-- high_risk_claims: claims with a risk_score of 0.5 or more. Money in rupiah.
-- reasons: up to three patterns, strongest first (deviance of 1 nat or more), as a JSON array.
CREATE TABLE provider_risk AS
WITH claims AS (
    SELECT
        claim_id,
        facility_key,
        facility_key_source,
        province_name,
        regency_code,
        facility_ownership,
        facility_type,
        facility_class,
        provider,
        data_date
    FROM read_parquet($claims)
),

providers AS (
    SELECT
        claims.facility_key,
        min(claims.facility_key_source) AS facility_key_source,
        -- One facility has one place and class; should raw rows differ, the first by name stands for all.
        min(claims.province_name) AS province_name,
        min(claims.regency_code) AS regency_code,
        min(claims.facility_ownership) AS facility_ownership,
        min(claims.facility_type) AS facility_type,
        min(claims.facility_class) AS facility_class,
        any_value(claims.provider) AS provider,
        any_value(claims.data_date) AS data_date,
        count(*) FILTER (scores.risk_score >= 0.5) AS high_risk_claims
    FROM claims
    INNER JOIN claims_ml_scores AS scores ON claims.claim_id = scores.claim_id
    GROUP BY claims.facility_key
),

patterns AS (
    SELECT
        providers.facility_key,
        providers.provider.claims,
        -- noqa: disable=AL03
        unnest(
            [
                struct_insert(providers.provider.severity, pattern := 'severity'),
                struct_insert(providers.provider.inflated_bill, pattern := 'inflated_bill'),
                struct_insert(providers.provider.short_stay, pattern := 'short_stay'),
                struct_insert(providers.provider.topup, pattern := 'topup'),
                struct_insert(providers.provider.repeat, pattern := 'repeat'),
                struct_insert(providers.provider.fragmentation, pattern := 'fragmentation'),
                struct_insert(providers.provider.clone, pattern := 'clone')
            ],
            recursive := TRUE
        )
        -- noqa: enable=AL03
    FROM providers
),

ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY facility_key ORDER BY deviance DESC, pattern ASC) AS place
    FROM patterns
    WHERE deviance >= 1
),

written AS (
    SELECT
        facility_key,
        '['
        || string_agg(
            json_object(
                'code', pattern,
                'text_id', format(
                    '{} {} dari {} klaim, wajarnya {}',
                    count_id(observed),
                    pattern_words_id(pattern),
                    count_id(claims),
                    decimal_id(expected)
                ),
                'text_en', format(
                    '{} {} in {} claims where {} would be expected',
                    count_en(observed),
                    pattern_words_en(pattern),
                    count_en(claims),
                    printf('%.1f', expected)
                ),
                'figures', json_object(
                    'observed', observed, 'expected', expected, 'claims', claims, 'deviance', deviance
                )
            )::VARCHAR, ','
            ORDER BY place
        )
        || ']' AS reasons
    FROM ranked
    WHERE place <= 3
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
    providers.provider.severity.observed AS severity_observed,
    providers.provider.severity.expected AS severity_expected,
    providers.provider.severity.ratio AS severity_ratio,
    providers.provider.inflated_bill.observed AS inflated_bill_observed,
    providers.provider.inflated_bill.expected AS inflated_bill_expected,
    providers.provider.inflated_bill.ratio AS inflated_bill_ratio,
    providers.provider.short_stay.observed AS short_stay_observed,
    providers.provider.short_stay.expected AS short_stay_expected,
    providers.provider.short_stay.ratio AS short_stay_ratio,
    providers.provider.topup.observed AS topup_observed,
    providers.provider.topup.expected AS topup_expected,
    providers.provider.topup.ratio AS topup_ratio,
    providers.provider.repeat.observed AS repeat_observed,
    providers.provider.repeat.expected AS repeat_expected,
    providers.provider.repeat.ratio AS repeat_ratio,
    providers.provider.fragmentation.observed AS fragmentation_observed,
    providers.provider.fragmentation.expected AS fragmentation_expected,
    providers.provider.fragmentation.ratio AS fragmentation_ratio,
    providers.provider.clone.observed AS clone_observed,
    providers.provider.clone.expected AS clone_expected,
    providers.provider.clone.ratio AS clone_ratio,
    providers.data_date
FROM providers
LEFT JOIN written ON providers.facility_key = written.facility_key
ORDER BY providers.provider.rank ASC, providers.facility_key ASC;
