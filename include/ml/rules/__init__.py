"""Rulesets: versioned files with flags, weights, thresholds and their sources."""

from ml.rules.ruleset import ANOMALY, CHANNELS, EVIDENCE, Channel, Ruleset, RulesetError, load_ruleset

__all__ = ["ANOMALY", "CHANNELS", "EVIDENCE", "Channel", "Ruleset", "RulesetError", "load_ruleset"]
