"""Risk scores for hospital claims: contracts, features, rules, model, scoring, release and QC, free of Airflow."""
