"""Reference values of kappa and kappa_dot, computed by mpmath alone: no kernelc, SymPy or Arb."""
