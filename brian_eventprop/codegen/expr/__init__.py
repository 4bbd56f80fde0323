"""Expressions, names and blocks of code that all solvers share."""
