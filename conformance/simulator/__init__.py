"""An event simulation with forward sensitivities, from which the files' numbers come.

It integrates a network and the derivatives of its states by every trained quantity together, by
Taylor series of high order in extended precision, and shares nothing with the package that it
serves to check.
"""
