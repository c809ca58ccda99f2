"""How good the scores are, on generated claims whose truth is known."""
