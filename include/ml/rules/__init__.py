"""Rulesets: versioned files with flags, weights, thresholds and their sources."""

from ml.rules.ruleset import Ruleset, RulesetError, load_ruleset

__all__ = ["Ruleset", "RulesetError", "load_ruleset"]
