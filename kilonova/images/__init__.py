"""What boots. ``seam`` is what the rest of Kilonova sees; ``embedded`` keeps images in one directory of this machine.

The embedded service speaks a subset of Glance v2; a real Glance fits behind the same seam.
"""
