"""The JSON Schemas of what clients send, by microversion (contract §0.5, §6.1)."""
