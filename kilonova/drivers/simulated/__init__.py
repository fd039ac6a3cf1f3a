"""A driver without a hypervisor: for tests of other people's tools, for scale, and for trouble on demand."""

from kilonova.drivers.simulated.driver import SimulatedDriver
from kilonova.drivers.simulated.pace import Instant, Pace, Stepped, Timed

__all__ = ["Instant", "Pace", "SimulatedDriver", "Stepped", "Timed"]
