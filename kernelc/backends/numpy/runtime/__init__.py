"""The run-time part of a generated package: each module here is copied into it, byte for byte.

Nothing in this folder may import anything but NumPy, the standard library and its own neighbours.
"""
