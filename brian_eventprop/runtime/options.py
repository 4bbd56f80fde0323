"""What a user chooses of a solver, checked before anything is read or compiled."""

from __future__ import annotations

from brian_eventprop._checks import positive_number, whole_number


def checked_options(solver, backend, precision, threads=None, tolerance=None):
    """Return the threads and the tolerance after checking what a user chose, before all else.

    Examples
    --------
    >>> checked_options("event", "cpu", "float64", threads=2)
    (2, None)
    """
    for name, given, known in (
        ("solver", solver, ("clock", "event")),
        ("backend", backend, ("cpu", "cuda", "interpreter")),
        ("precision", precision, ("float64", "float32")),
    ):
        if not isinstance(given, str) or given not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {given!r}")
    if threads is not None:
        threads = whole_number(threads, "threads", least=1)
    if tolerance is not None:
        if solver == "clock":
            raise ValueError(
                "tolerance is for solver='event': the clock solver takes Brian2's time steps, so "
                "leave tolerance out and choose dt"
            )
        tolerance = positive_number(tolerance, "tolerance")
    return threads, tolerance
