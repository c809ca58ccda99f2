-- How a severity fits the stay: the probability of at least this severity, given what the same diagnosis and
-- procedures bring elsewhere (the INA-CBG without its severity), the secondary diagnoses and the length of the stay.
-- Grain: one row per INA-CBG without severity, number of secondary diagnoses, LOS and severity of inpatient claims.
-- Bayes: P(severity | LOS) is proportional to P(severity) x P(LOS | severity). P(severity) is the share within the
-- INA-CBG among stays with at most as many secondary diagnoses, drawn towards that of all such stays by as much as 20
-- claims; ln(LOS + 0.5) is taken for normal about its median for that severity, drawn towards what the severity means
-- in general by as much as 10 claims, with one spread for all; 0.001 keeps outliers from deciding.
-- Severity raised on paper shows here: the stay stays as short as that of the light cases, and little else is the
-- matter with the patient that would make it heavy.
-- severity_share_any_stay leaves the length out: for who died, was referred or left early.
CREATE OR REPLACE TABLE severity_peers AS
WITH stays AS (
    SELECT
        inacbg_base,
        severity_level,
        comorbidity_count,
        los,
        ln(los + 0.5) AS ln_los
    FROM care
    WHERE service_type = 'RITL' AND severity_level BETWEEN 1 AND 3
),

bases AS (
    SELECT
        inacbg_base,
        median(ln_los) AS ln_middle
    FROM stays
    GROUP BY inacbg_base
),

by_level AS (
    SELECT
        inacbg_base,
        severity_level,
        count(*) AS level_n,
        median(ln_los) AS ln_middle
    FROM stays
    GROUP BY inacbg_base, severity_level
),

levels AS (
    SELECT
        stays.severity_level,
        median(stays.ln_los - bases.ln_middle) AS ln_step
    FROM stays
    INNER JOIN bases ON stays.inacbg_base = bases.inacbg_base
    GROUP BY stays.severity_level
),

-- One for all severities: with one of its own, the widest would be the likeliest for very long stays, too.
spread AS (
    SELECT greatest(1.4826 * mad(stays.ln_los - by_level.ln_middle), 0.3) AS ln_spread
    FROM stays
    INNER JOIN by_level
        ON stays.inacbg_base = by_level.inacbg_base AND stays.severity_level = by_level.severity_level
),

lengths AS (
    SELECT
        bases.inacbg_base,
        levels.severity_level,
        spread.ln_spread,
        (coalesce(by_level.level_n * by_level.ln_middle, 0) + 10 * (bases.ln_middle + levels.ln_step))
        / (coalesce(by_level.level_n, 0) + 10) AS ln_middle
    FROM bases
    CROSS JOIN levels
    CROSS JOIN spread
    LEFT JOIN by_level ON bases.inacbg_base = by_level.inacbg_base AND levels.severity_level = by_level.severity_level
),

counted AS (
    SELECT
        inacbg_base,
        comorbidity_count,
        count(*) AS stays,
        count(*) FILTER (severity_level = 1) AS stays_1,
        count(*) FILTER (severity_level = 2) AS stays_2,
        count(*) FILTER (severity_level = 3) AS stays_3
    FROM stays
    GROUP BY inacbg_base, comorbidity_count
),

of_all AS (
    SELECT
        comorbidity_count,
        sum(sum(stays)) OVER up_to AS stays,
        sum(sum(stays_1)) OVER up_to AS stays_1,
        sum(sum(stays_2)) OVER up_to AS stays_2,
        sum(sum(stays_3)) OVER up_to AS stays_3
    FROM counted
    GROUP BY comorbidity_count
    WINDOW up_to AS (ORDER BY comorbidity_count)
),

of_base AS (
    SELECT
        inacbg_base,
        comorbidity_count,
        sum(stays) OVER up_to AS stays,
        sum(stays_1) OVER up_to AS stays_1,
        sum(stays_2) OVER up_to AS stays_2,
        sum(stays_3) OVER up_to AS stays_3
    FROM counted
    WINDOW up_to AS (PARTITION BY inacbg_base ORDER BY comorbidity_count)
),

priors AS (
    SELECT
        of_base.inacbg_base,
        of_base.comorbidity_count,
        of_base.stays_1 + 20 * of_all.stays_1 / of_all.stays AS prior_1,
        of_base.stays_2 + 20 * of_all.stays_2 / of_all.stays AS prior_2,
        of_base.stays_3 + 20 * of_all.stays_3 / of_all.stays AS prior_3,
        -- Without a claim of that severity.
        greatest(of_base.stays_2 - 1, 0) + 20 * greatest(of_all.stays_2 - 1, 0.5) / of_all.stays AS other_2,
        greatest(of_base.stays_3 - 1, 0) + 20 * greatest(of_all.stays_3 - 1, 0.5) / of_all.stays AS other_3
    FROM of_base
    INNER JOIN of_all ON of_base.comorbidity_count = of_all.comorbidity_count
),

seen AS (
    SELECT DISTINCT
        inacbg_base,
        comorbidity_count,
        los,
        ln_los
    FROM stays
),

likelihoods AS (
    SELECT
        seen.*,
        lengths.severity_level,
        exp(-(((seen.ln_los - lengths.ln_middle) / lengths.ln_spread) ** 2) / 2) / lengths.ln_spread + 0.001
            AS likelihood
    FROM seen
    INNER JOIN lengths ON seen.inacbg_base = lengths.inacbg_base
),

-- Pivoted, as the order in which three numbers are added must not be left to the threads.
pivoted AS (
    SELECT
        inacbg_base,
        comorbidity_count,
        los,
        coalesce(any_value(likelihood) FILTER (severity_level = 1), 0) AS likelihood_1,
        coalesce(any_value(likelihood) FILTER (severity_level = 2), 0) AS likelihood_2,
        coalesce(any_value(likelihood) FILTER (severity_level = 3), 0) AS likelihood_3
    FROM likelihoods
    GROUP BY inacbg_base, comorbidity_count, los
),

weighed AS (
    SELECT
        pivoted.inacbg_base,
        pivoted.comorbidity_count,
        pivoted.los,
        priors.prior_1,
        priors.prior_2,
        priors.prior_3,
        priors.other_2 AS other_prior_2,
        priors.other_3 AS other_prior_3,
        priors.prior_1 * pivoted.likelihood_1 AS weight_1,
        priors.prior_2 * pivoted.likelihood_2 AS weight_2,
        priors.prior_3 * pivoted.likelihood_3 AS weight_3,
        priors.other_2 * pivoted.likelihood_2 AS other_2,
        priors.other_3 * pivoted.likelihood_3 AS other_3
    FROM pivoted
    INNER JOIN priors
        ON pivoted.inacbg_base = priors.inacbg_base AND pivoted.comorbidity_count = priors.comorbidity_count
)

SELECT
    weighed.inacbg_base,
    weighed.comorbidity_count,
    weighed.los,
    levels.severity_level,
    CASE levels.severity_level
        WHEN 1 THEN 1.0
        WHEN 2 THEN (weighed.other_2 + weighed.weight_3) / (weighed.weight_1 + weighed.other_2 + weighed.weight_3)
        ELSE weighed.other_3 / (weighed.weight_1 + weighed.weight_2 + weighed.other_3)
    END AS severity_share,
    CASE levels.severity_level
        WHEN 1 THEN 1.0
        WHEN 2
            THEN
                (weighed.other_prior_2 + weighed.prior_3)
                / (weighed.prior_1 + weighed.other_prior_2 + weighed.prior_3)
        ELSE weighed.other_prior_3 / (weighed.prior_1 + weighed.prior_2 + weighed.other_prior_3)
    END AS severity_share_any_stay,
    counts.stays::INTEGER AS severity_n,
    [counts.stays, counts.from_2, counts.from_3][levels.severity_level]::INTEGER AS severity_alike,
    counts.stays_any_stay::INTEGER AS severity_n_any_stay,
    [counts.stays_any_stay, counts.from_2_any_stay, counts.from_3_any_stay][levels.severity_level]::INTEGER
        AS severity_alike_any_stay
FROM weighed
INNER JOIN severity_counts AS counts
    ON
        weighed.inacbg_base = counts.inacbg_base
        AND weighed.comorbidity_count = counts.comorbidity_count
        AND weighed.los = counts.los
CROSS JOIN levels
