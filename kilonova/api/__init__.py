"""The compute API as its clients know it: Nova's public contract, and our own surface beside it.

``app`` takes a request through its checks, ``routes`` finds who answers it, ``shape`` says what a body contains at
which microversion, ``resources`` has one file a noun. Handlers are plain functions of a ``Call``; they never compare
versions.
"""
