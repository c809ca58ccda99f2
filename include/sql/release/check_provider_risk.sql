-- Offending rows: figures of provider_risk that disagree with the claims of the release, or that nobody can rank by,
-- each beside what it should be. No row returned means none.
-- A facility with claims has one row: with the sums of its claims in claims_high_risk, a score from 0 to 1, and one to
-- three reasons. Its rank is one more than there are providers before it by score. Providers whose scores agree in nine
-- decimals may share a rank or stand in any order: the ETL ranks by the number that it then makes the score of, and the
-- last digit of a quotient does not always follow.
WITH by_claims AS (
    SELECT
        facility_key,
        count(*) AS claims,
        sum(amount_claimed) AS amount_claimed,
        sum(excess_amount) AS excess_amount,
        count(*) FILTER (risk_score >= 0.5) AS high_risk_claims
    FROM claims_high_risk
    GROUP BY facility_key
),

providers AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY facility_key) AS times,
        rank() OVER (ORDER BY round(provider_risk_score, 9) DESC NULLS LAST, rank ASC) AS place,
        CASE WHEN json_valid(reasons) THEN json_array_length(reasons) END AS reason_count
    FROM provider_risk
),

compared AS (
    SELECT
        coalesce(own.facility_key, given.facility_key) AS facility_key,
        coalesce(own.claims > 0 AND given.times = 1, FALSE) AS has_its_row,
        unnest([
            'rows', 'provider_risk_score', 'claims', 'amount_claimed', 'excess_amount', 'high_risk_claims', 'reasons',
            'rank'
        ]) AS field,
        unnest([
            coalesce(given.times, 0)::VARCHAR,
            given.provider_risk_score::VARCHAR,
            given.claims::VARCHAR,
            given.amount_claimed::VARCHAR,
            given.excess_amount::VARCHAR,
            given.high_risk_claims::VARCHAR,
            given.reason_count::VARCHAR,
            given.rank::VARCHAR
        ]) AS found,
        unnest([
            if(own.claims > 0, '1', '0'),
            if(
                given.provider_risk_score BETWEEN 0 AND 1,
                given.provider_risk_score::VARCHAR,
                'a number from 0 to 1'
            ),
            own.claims::VARCHAR,
            own.amount_claimed::VARCHAR,
            own.excess_amount::VARCHAR,
            own.high_risk_claims::VARCHAR,
            if(given.reason_count BETWEEN 1 AND 3, given.reason_count::VARCHAR, '1 to 3'),
            given.place::VARCHAR
        ]) AS wanted
    FROM by_claims AS own
    FULL JOIN providers AS given ON own.facility_key = given.facility_key
)

SELECT DISTINCT
    facility_key,
    field,
    found,
    wanted
FROM compared
WHERE found IS DISTINCT FROM wanted AND (has_its_row OR field = 'rows')
ORDER BY field = 'rank', facility_key, field -- first what may have upset all ranks
LIMIT 5;
