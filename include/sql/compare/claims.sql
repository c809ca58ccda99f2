-- How many claims only the one, only the other and both releases have, with a few of those that came or went.
SELECT
    count(*) FILTER (in_a AND NOT in_b) AS only_in_a,
    count(*) FILTER (in_b AND NOT in_a) AS only_in_b,
    count(*) FILTER (in_a AND in_b) AS in_both,
    coalesce(min(claim_id, 5) FILTER (in_a AND NOT in_b), []) AS examples_only_in_a,
    coalesce(min(claim_id, 5) FILTER (in_b AND NOT in_a), []) AS examples_only_in_b
FROM pairs;
