"""What all tests share: how hypothesis searches."""

import os

from hypothesis import HealthCheck, settings

# No deadline: how long an example takes says nothing about the code on a machine that does other things too.
_QUIET = [HealthCheck.too_slow]
settings.register_profile("local", deadline=None, suppress_health_check=_QUIET)
settings.register_profile("ci", deadline=None, suppress_health_check=_QUIET, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
