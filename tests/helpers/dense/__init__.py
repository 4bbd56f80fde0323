"""A second implementation of the adjoint, without SymPy, on dual numbers."""
