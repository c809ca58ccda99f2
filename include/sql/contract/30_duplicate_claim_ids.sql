-- A claim id that comes again: its first row that keeps the contract stays, the later ones break it.
UPDATE checked_visits
SET reasons = concat_ws('; ', nullif(reasons, ''), 'FKL02: duplicate claim id')
WHERE row_no IN (
    WITH repeated AS (
        SELECT
            ids.claim_id,
            min(ids.row_no) AS first_row_no
        FROM checked_visits AS ids
        WHERE ids.reasons = ''
        GROUP BY ids.claim_id
        HAVING count(*) > 1
    )

    SELECT later.row_no
    FROM checked_visits AS later
    INNER JOIN repeated ON later.claim_id = repeated.claim_id
    WHERE later.row_no > repeated.first_row_no AND later.reasons = ''
)
