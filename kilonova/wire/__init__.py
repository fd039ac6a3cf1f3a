"""Nova's public formats: microversions, timestamps, and values that depend on a version.

A leaf of the import graph (standard library only), shared by the engine and the console.
"""
