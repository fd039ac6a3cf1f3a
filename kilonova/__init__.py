"""Kilonova: a Nova-compatible compute cloud whose state you can always see."""

__version__ = "0.1.0"
