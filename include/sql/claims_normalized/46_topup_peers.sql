-- How usual a claim's special-CMG top-ups are. Grain: one row per claim that has any.
-- Of each code the larger of two shares: of the claims of the same INA-CBG (without severity), the claim itself left
-- out; and of the claims of other facilities with one of the claim's diagnoses, at least min_peers of them: a factor
-- for haemophilia is usual for haemophilia, whatever the visit is grouped as. Of several codes the rarest counts:
-- topup_code, with topup_alike of topup_n claims; topup_diagnosis: whose claims these are, NULL for the INA-CBG's.
CREATE OR REPLACE TABLE topup_peers AS
WITH given AS (
    SELECT
        claim_id,
        facility_key,
        inacbg_base,
        unnest(list_distinct(string_split(topup_codes, ';'))) AS topup_code
    FROM care
    WHERE topup_codes <> ''
),

of_base AS (
    SELECT
        inacbg_base,
        count(*) AS claims
    FROM care
    GROUP BY inacbg_base
),

of_base_code AS (
    SELECT
        inacbg_base,
        topup_code,
        count(*) AS alike
    FROM given
    GROUP BY inacbg_base, topup_code
),

ill AS (
    SELECT
        claim_id,
        facility_key,
        primary_diagnosis AS diagnosis
    FROM care
    UNION
    SELECT
        diagnoses.claim_id,
        care.facility_key,
        diagnoses.diagnosis
    FROM diagnoses
    INNER JOIN care ON diagnoses.claim_id = care.claim_id
),

given_ill AS (
    SELECT
        given.claim_id,
        given.facility_key,
        given.topup_code,
        ill.diagnosis
    FROM given
    INNER JOIN ill ON given.claim_id = ill.claim_id
),

-- Only of the diagnoses that come with a top-up.
of_ill AS (
    SELECT
        diagnosis,
        facility_key,
        count(*) AS own_claims,
        (sum(count(*)) OVER (PARTITION BY diagnosis))::BIGINT AS claims
    FROM ill
    WHERE diagnosis IN (SELECT given_ill.diagnosis FROM given_ill)
    GROUP BY diagnosis, facility_key
),

of_ill_code AS (
    SELECT
        diagnosis,
        topup_code,
        facility_key,
        count(*) AS own_alike,
        (sum(count(*)) OVER (PARTITION BY diagnosis, topup_code))::BIGINT AS alike
    FROM given_ill
    GROUP BY diagnosis, topup_code, facility_key
),

compared AS (
    SELECT
        given_ill.claim_id,
        given_ill.topup_code,
        given_ill.diagnosis,
        of_ill_code.alike - of_ill_code.own_alike AS alike,
        of_ill.claims - of_ill.own_claims AS claims,
        (of_ill_code.alike - of_ill_code.own_alike) / (of_ill.claims - of_ill.own_claims) AS share
    FROM given_ill
    INNER JOIN of_ill
        ON given_ill.diagnosis = of_ill.diagnosis AND given_ill.facility_key = of_ill.facility_key
    INNER JOIN of_ill_code
        ON
            given_ill.diagnosis = of_ill_code.diagnosis
            AND given_ill.facility_key = of_ill_code.facility_key
            AND given_ill.topup_code = of_ill_code.topup_code
    CROSS JOIN run_parameters AS limits
    WHERE of_ill.claims - of_ill.own_claims >= limits.min_peers
    UNION ALL
    SELECT
        given.claim_id,
        given.topup_code,
        NULL AS diagnosis,
        of_base_code.alike,
        of_base.claims,
        (of_base_code.alike - 0.5) / of_base.claims AS share
    FROM given
    INNER JOIN of_base ON given.inacbg_base = of_base.inacbg_base
    INNER JOIN of_base_code
        ON given.inacbg_base = of_base_code.inacbg_base AND given.topup_code = of_base_code.topup_code
),

most_usual AS (
    SELECT *
    FROM compared
    QUALIFY row_number() OVER (PARTITION BY claim_id, topup_code ORDER BY share DESC, diagnosis ASC NULLS FIRST) = 1
)

SELECT
    claim_id,
    topup_code,
    diagnosis AS topup_diagnosis,
    alike::INTEGER AS topup_alike,
    claims::INTEGER AS topup_n,
    share AS topup_share
FROM most_usual
QUALIFY row_number() OVER (PARTITION BY claim_id ORDER BY share ASC, topup_code ASC) = 1
