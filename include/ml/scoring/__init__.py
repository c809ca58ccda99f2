"""Scoring: from claims and a model to a candidate of `claims_ml_scores`."""
