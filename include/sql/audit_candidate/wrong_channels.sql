-- By RULESET_v1 there are no channels; by any other ruleset each has a surprise, a finite number from 0 on.
-- excess_amount is the claim's own.
SELECT
    candidate.claim_id,
    format('channels {}, excess_amount {}', candidate.channels, candidate.excess_amount) AS finding
FROM candidate
INNER JOIN claims ON candidate.claim_id = claims.claim_id
WHERE
    (candidate.ruleset_version = 'RULESET_v1' AND candidate.channels IS NOT NULL)
    OR (
        candidate.ruleset_version <> 'RULESET_v1'
        AND NOT coalesce(
            least(
                candidate.channels.upcoding, candidate.channels.inflated_bill, candidate.channels.short_stay,
                candidate.channels.topup, candidate.channels.repeat, candidate.channels.fragmentation,
                candidate.channels.overlap, candidate.channels.clone, candidate.channels.single_visit,
                candidate.channels.provider, candidate.channels.anomaly
            ) >= 0
            AND isfinite(
                candidate.channels.upcoding + candidate.channels.inflated_bill + candidate.channels.short_stay
                + candidate.channels.topup + candidate.channels.repeat + candidate.channels.fragmentation
                + candidate.channels.overlap + candidate.channels.clone + candidate.channels.single_visit
                + candidate.channels.provider + candidate.channels.anomaly
            ),
            FALSE
        )
    )
    OR candidate.excess_amount IS DISTINCT FROM claims.excess_amount
