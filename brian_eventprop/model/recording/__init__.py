"""Traces of a trial: states over time, and the adjoint variables beside them."""
