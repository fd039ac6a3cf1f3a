"""From what is known to one sentence that says why it is so, and what to do. Pure.

Rules are rows, asked in their order; the first that finds something explains. ``servers``, ``hosts`` and ``requests``
are the three tables, ``causes`` the rows of the first that say what went wrong in an operation.
"""

from kilonova.console.explain.hosts import HOST_RULES, HostEvidence, explain_host
from kilonova.console.explain.requests import REQUEST_RULES, RequestEvidence, explain_request
from kilonova.console.explain.rules import Explanation, Line, Rule, Said
from kilonova.console.explain.servers import RULES, Evidence, explain

__all__ = [
    "HOST_RULES",
    "REQUEST_RULES",
    "RULES",
    "Evidence",
    "Explanation",
    "HostEvidence",
    "Line",
    "RequestEvidence",
    "Rule",
    "Said",
    "explain",
    "explain_host",
    "explain_request",
]
