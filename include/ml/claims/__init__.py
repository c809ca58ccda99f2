"""From the raw files to `claims_normalized`: layout, contract, keys and the ETL's steps."""
