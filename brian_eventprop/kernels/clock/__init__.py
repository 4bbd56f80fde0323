"""Loops and layouts of the clock solver that serve every network."""
