-- The claims that a list leaves out: first those that were read, then those beyond $max_per_facility
-- (beyond_each_facility.sql).
CREATE TEMP TABLE left_out AS
SELECT unnest($claim_ids::VARCHAR[]) AS claim_id
