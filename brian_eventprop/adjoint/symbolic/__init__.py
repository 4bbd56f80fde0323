"""Derivatives, reverse mode and display of SymPy expressions."""
