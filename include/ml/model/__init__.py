"""The anomaly model: an Isolation Forest over claims, kept as plain arrays and JSON."""
