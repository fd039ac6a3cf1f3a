"""The core of Kilonova: states, records, operations and decisions, without any I/O.

Nothing below this package reads a clock, makes an id, or imports a library outside the standard one: time and
ids arrive as arguments, so that every rule here can be tested as a plain function.
"""
