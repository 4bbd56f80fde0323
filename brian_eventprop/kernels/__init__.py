"""Hand-written Numba code that serves every network; it imports nothing of the rest."""
