"""The NumPy backend: the front of every generated package and its run-time part."""
