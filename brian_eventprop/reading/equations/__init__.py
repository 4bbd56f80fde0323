"""Equations, statements and symbols of Brian2 as SymPy expressions."""
