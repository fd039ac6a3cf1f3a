"""Who is asking. ``caller`` is the seam that the rest of Kilonova sees; ``embedded`` answers it from our own store.

The embedded service is a subset of Keystone v3, for one machine or one small cloud; a real Keystone fits behind the
same seam.
"""
