"""How a host runs instances: one Protocol (``protocol``), several drivers, one conformance suite."""
