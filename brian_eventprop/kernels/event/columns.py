"""Sizes of the event solver's tables, for its kernels and for what allocates them."""

#: Columns of the event log before the state.
COLUMNS = 6

#: Columns of a step of Runge-Kutta before its state: length, time, slope of the guard.
STEP = 3

#: Steps of Runge-Kutta before a crossing that are remembered.
PATH = 1024

#: Most arrivals that are sorted by counting those before each.
FEW = 128
