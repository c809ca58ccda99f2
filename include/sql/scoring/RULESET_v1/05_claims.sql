-- The claims as RULESET_v1 sees them: with the peer groups of the system before, however few they are.
-- claims_normalized widens small ones (peer_level above 1) and keeps the figures of the narrowest beside them.
-- Grain: one row per claim. Input: all_claims.
CREATE OR REPLACE TEMP VIEW claims AS
SELECT
    * REPLACE ( -- noqa: AM04
        if(narrow_peer_n IS NULL, peer_level, 1)::TINYINT AS peer_level,
        coalesce(narrow_peer_n, peer_n) AS peer_n,
        if(narrow_peer_n IS NULL, peer_mean, narrow_peer_mean) AS peer_mean,
        if(narrow_peer_n IS NULL, peer_p90, narrow_peer_p90) AS peer_p90,
        if(narrow_peer_n IS NULL, peer_std, narrow_peer_std) AS peer_std,
        if(
            narrow_peer_n IS NULL, cost_zscore, (amount_claimed - narrow_peer_mean) / nullif(narrow_peer_std, 0)
        ) AS cost_zscore
    )
FROM all_claims
