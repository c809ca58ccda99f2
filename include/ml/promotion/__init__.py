"""A model's life after its training: the gate that judges it, the default that scoring uses, and the log of both."""
