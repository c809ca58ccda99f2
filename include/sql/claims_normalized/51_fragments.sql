-- Stays that continue one another: same patient, facility and INA-CBG (without severity), at most 7 days between the
-- discharge of one and the admission of the next. One stay billed as several looks like this.
-- Grain: one row per such stay, the first as well as the later ones. fragment_gap_days: days to the nearest neighbour,
-- fragment_of: its claim id.
-- fragment_share: how usual it is for that INA-CBG, the claim itself left out, drawn towards that of all stays by as
-- much as 20 stays (chemotherapy is given in courses); fragment_alike of fragment_n stays with it are such ones.
CREATE OR REPLACE TABLE fragments AS
WITH neighbours AS (
    SELECT
        claim_id,
        inacbg_base,
        admission_date - lag(discharge_date) OVER same_care AS since_earlier,
        lead(admission_date) OVER same_care - discharge_date AS until_later,
        lag(claim_id) OVER same_care AS earlier,
        lead(claim_id) OVER same_care AS later
    FROM care
    WHERE service_type = 'RITL'
    WINDOW same_care AS (
        PARTITION BY patient_key, facility_key, inacbg_base
        ORDER BY admission_date, discharge_date, claim_id
    )
),

gaps AS (
    SELECT
        claim_id,
        inacbg_base,
        least(
            CASE WHEN since_earlier BETWEEN 0 AND 7 THEN since_earlier END,
            CASE WHEN until_later BETWEEN 0 AND 7 THEN until_later END
        ) AS gap,
        if(since_earlier = gap, earlier, later) AS neighbour
    FROM neighbours
),

usual AS (
    SELECT
        inacbg_base,
        count(*) AS stays,
        count(gap) AS continued,
        (SELECT count(every.gap) / count(*) FROM gaps AS every) AS overall
    FROM gaps
    GROUP BY inacbg_base
)

SELECT
    gaps.claim_id,
    gaps.gap::INTEGER AS fragment_gap_days,
    gaps.neighbour AS fragment_of,
    usual.continued::INTEGER AS fragment_alike,
    usual.stays::INTEGER AS fragment_n,
    (usual.continued - 0.5 + 20 * usual.overall) / (usual.stays + 20) AS fragment_share
FROM gaps
INNER JOIN usual ON gaps.inacbg_base = usual.inacbg_base
WHERE gaps.gap IS NOT NULL
