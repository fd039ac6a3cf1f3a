"""The project's own guests: ``tiny`` (one boot sector, here as bytes) and ``mini`` (Linux, built on request)."""
