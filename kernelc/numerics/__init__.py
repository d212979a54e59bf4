"""Float64 functions that the compiler runs and that generated packages carry, each module byte for byte.

Nothing in the modules with a leading underscore may import anything but NumPy, the standard library and
its own neighbours.
"""
