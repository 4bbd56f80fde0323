"""Continuous coupling between neurons: `(summed)` and linked variables."""
