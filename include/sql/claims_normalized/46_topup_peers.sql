-- How usual a claim's special-CMG top-ups are. Grain: one row per claim that has any with an amount.
-- Of each code the largest of three shares: of the claims of the same INA-CBG (without severity), half of the claim
-- left out; of the claims of other facilities with one of the claim's diagnoses, at least min_peers of them: a factor
-- for haemophilia is usual for haemophilia, whatever the visit is grouped as; and of all claims with one of its
-- diagnoses and one of its procedures, as many, half of it left out, where more than half of them have it: an isotope
-- belongs to its scan, which perhaps one house in the country does (docs/adr/0037). An amount without a code is a code,
-- NONE.
-- An amount of more than twice the code's median is rarer still: the share times that of the claims with this code
-- whose amount is at least as large, where min_peers have it (one code's tariffs differ by class and region, but by
-- less than half). Of several codes the rarest counts: topup_code, with topup_alike of topup_n claims;
-- topup_diagnosis and topup_procedure: whose claims these are, NULL for the INA-CBG's; topup_code_amount: its rupiah;
-- topup_usual_amount: the median of topup_with_code claims with it, NULL where the amount is no more than twice that.
-- unusual_topups: rupiah of the codes that fewer than 1 in 100 have, half of the claim left out, and what others have
-- above their median.
CREATE OR REPLACE TABLE topup_peers AS
WITH each_topup AS (
    SELECT
        claim_id,
        facility_key,
        inacbg_base,
        unnest(topups, recursive := TRUE) -- noqa: AL03
    FROM care
    WHERE topups IS NOT NULL
),

given AS (
    SELECT
        claim_id,
        any_value(facility_key) AS facility_key,
        any_value(inacbg_base) AS inacbg_base,
        code AS topup_code,
        coalesce(sum(amount), 0)::BIGINT AS amount -- 0: the code alone, which counts for others all the same
    FROM each_topup
    WHERE amount > 0 OR code <> 'NONE'
    GROUP BY claim_id, code
),

of_code AS (
    SELECT
        topup_code,
        count(*) AS with_code,
        median(amount) AS usual
    FROM given
    WHERE amount > 0
    GROUP BY topup_code
),

amounts AS (
    SELECT
        given.claim_id,
        given.topup_code,
        given.amount,
        of_code.with_code,
        if(of_code.with_code >= limits.min_peers AND given.amount > 2 * of_code.usual, of_code.usual, NULL) AS usual,
        rank() OVER (PARTITION BY given.topup_code ORDER BY given.amount DESC) AS place,
        count(*) OVER (PARTITION BY given.topup_code, given.amount) AS same_amount
    FROM given
    INNER JOIN of_code ON given.topup_code = of_code.topup_code
    CROSS JOIN run_parameters AS limits
    WHERE given.amount > 0
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

done AS (
    SELECT
        claim_id,
        unnest(string_split(procedure_codes, ';')) AS procedure
    FROM care
    WHERE procedure_codes <> ''
),

given_done AS (
    SELECT
        given_ill.claim_id,
        given_ill.topup_code,
        given_ill.diagnosis,
        done.procedure
    FROM given_ill
    INNER JOIN done ON given_ill.claim_id = done.claim_id
),

-- Only what can be more than half of min_peers claims: of few diagnoses and procedures all claims need to be counted.
of_done_code AS (
    SELECT
        diagnosis,
        procedure,
        topup_code,
        count(*) AS alike
    FROM given_done
    GROUP BY diagnosis, procedure, topup_code
    HAVING alike > (SELECT limits.min_peers / 2 FROM run_parameters AS limits)
),

of_done AS (
    SELECT
        ill.diagnosis,
        done.procedure,
        count(*) AS claims
    FROM done
    INNER JOIN ill ON done.claim_id = ill.claim_id
    WHERE
        done.procedure IN (SELECT of_done_code.procedure FROM of_done_code)
        AND ill.diagnosis IN (SELECT of_done_code.diagnosis FROM of_done_code)
    GROUP BY ill.diagnosis, done.procedure
),

compared AS (
    SELECT
        given_done.claim_id,
        given_done.topup_code,
        given_done.diagnosis,
        given_done.procedure,
        of_done_code.alike,
        of_done.claims,
        (of_done_code.alike - 0.5) / of_done.claims AS share
    FROM given_done
    INNER JOIN of_done
        ON given_done.diagnosis = of_done.diagnosis AND given_done.procedure = of_done.procedure
    INNER JOIN of_done_code
        ON
            given_done.diagnosis = of_done_code.diagnosis
            AND given_done.procedure = of_done_code.procedure
            AND given_done.topup_code = of_done_code.topup_code
    CROSS JOIN run_parameters AS limits
    WHERE of_done.claims >= limits.min_peers AND of_done_code.alike - 0.5 > of_done.claims / 2
    UNION ALL
    SELECT
        given_ill.claim_id,
        given_ill.topup_code,
        given_ill.diagnosis,
        NULL AS procedure,
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
        NULL AS procedure,
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
    QUALIFY
        row_number() OVER (
            PARTITION BY claim_id, topup_code ORDER BY share DESC, diagnosis ASC NULLS FIRST, procedure ASC NULLS FIRST
        ) = 1
),

weighed AS (
    SELECT
        most_usual.*,
        amounts.amount,
        amounts.usual,
        amounts.with_code,
        most_usual.share * if(
            amounts.usual IS NULL, 1, (amounts.place + amounts.same_amount - 1.5) / amounts.with_code
        ) AS share_as_much,
        sum(if(most_usual.share < 0.01, amounts.amount, amounts.amount - coalesce(amounts.usual, amounts.amount)))
            OVER (PARTITION BY most_usual.claim_id) AS unusual
    FROM most_usual
    INNER JOIN amounts ON most_usual.claim_id = amounts.claim_id AND most_usual.topup_code = amounts.topup_code
)

SELECT
    claim_id,
    topup_code,
    diagnosis AS topup_diagnosis,
    procedure AS topup_procedure,
    alike::INTEGER AS topup_alike,
    claims::INTEGER AS topup_n,
    amount AS topup_code_amount,
    usual::BIGINT AS topup_usual_amount,
    if(usual IS NULL, NULL, with_code)::INTEGER AS topup_with_code,
    share_as_much AS topup_share,
    unusual::BIGINT AS unusual_topups
FROM weighed
QUALIFY row_number() OVER (PARTITION BY claim_id ORDER BY share_as_much ASC, topup_code ASC) = 1
