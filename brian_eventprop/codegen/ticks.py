"""A number that compiled functions of the event solver and its runtime share.

It stands alone because importing those functions compiles them, which who uses the clock solver
should not wait for.
"""

#: Parts of a window in which delays are looked up.
TICKS = 32
