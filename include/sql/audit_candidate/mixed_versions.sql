-- One candidate: one model, one ruleset, one data date, one moment.
SELECT
    NULL AS claim_id,
    format('{} / {} / {} / {}', model_version, ruleset_version, data_date, scored_at) AS finding
FROM candidate
GROUP BY model_version, ruleset_version, data_date, scored_at
QUALIFY count(*) OVER () > 1
