"""The code of `(summed)` and linked variables, for each solver."""
