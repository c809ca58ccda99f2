-- The claims that a list leaves out, as they were read.
CREATE TEMP TABLE already_read AS
SELECT unnest($claim_ids::VARCHAR[]) AS claim_id
