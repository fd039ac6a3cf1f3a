"""What ``kilonova doctor`` looks at, one function a check."""

from kilonova.cli.checkup.finding import Finding, Status

__all__ = ["Finding", "Status"]
