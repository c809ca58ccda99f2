-- Where no earlier release is named, nothing was read.
CREATE TEMP TABLE listed_before (claim_id VARCHAR)
