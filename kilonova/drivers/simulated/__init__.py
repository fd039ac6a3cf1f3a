"""A driver without a hypervisor: for tests of other people's tools, for scale, and for trouble on demand."""

from kilonova.drivers.simulated.driver import SimulatedDriver
from kilonova.drivers.simulated.guests import Capacity
from kilonova.drivers.simulated.pace import Instant, Pace, Stepped, Timed
from kilonova.drivers.simulated.scenario import Scenario, load_scenario
from kilonova.drivers.simulated.stage import Play, StagedDriver

__all__ = [
    "Capacity",
    "Instant",
    "Pace",
    "Play",
    "Scenario",
    "SimulatedDriver",
    "StagedDriver",
    "Stepped",
    "Timed",
    "load_scenario",
]
