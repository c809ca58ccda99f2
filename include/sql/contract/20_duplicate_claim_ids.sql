-- A claim id that comes again: its first row that keeps the contract stays, the later ones break it.
UPDATE checked_visits
SET reasons = concat_ws('; ', nullif(reasons, ''), 'FKL02: duplicate claim id')
WHERE rowid IN (
    WITH repeated AS (
        SELECT
            ids.claim_id,
            min(ids.rowid) AS first_row
        FROM checked_visits AS ids
        WHERE ids.reasons = ''
        GROUP BY ids.claim_id
        HAVING count(*) > 1
    )

    SELECT later.rowid
    FROM checked_visits AS later
    INNER JOIN repeated ON later.claim_id = repeated.claim_id
    WHERE later.rowid > repeated.first_row AND later.reasons = ''
)
