"""Rulesets: versioned files with flags, weights, thresholds and their sources."""

from ml.rules.ruleset import CHANNELS, Channel, Ruleset, RulesetError, load_ruleset

__all__ = ["CHANNELS", "Channel", "Ruleset", "RulesetError", "load_ruleset"]
