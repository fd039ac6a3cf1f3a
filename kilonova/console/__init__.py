"""The console: a stranger that knows Nova's public contract, and Kilonova's own surface where it finds it."""
