"""Steps of Runge-Kutta that the event solver keeps where a potential explodes, for any network."""

from __future__ import annotations

from numba import boolean, float64, int64, types

from brian_eventprop.kernels.event.arrivals import bare, compiled, grow

_TABLE = float64[:, ::1]


@bare(boolean(_TABLE, int64, int64, int64))
def _same_flags(path, row, other, first):
    for s in range(first, path.shape[1]):
        if path[row, s] != path[other, s]:
            return False
    return True


@compiled(
    types.Tuple((_TABLE, int64, int64))(_TABLE, int64, _TABLE, int64, float64, float64, int64)
)
def record_upstroke(upstrokes, used, path, steps, mean, slope, flags):
    """Keep the steps before a crossing if the guard rises steeply there.

    Where a potential explodes, steps other than those of the forward pass miss the state at the
    crossing, which the adjoint needs to all digits; so it goes through the very same ones.

    Parameters
    ----------
    upstrokes, used
        The steps that are kept, and how many they are.
    path, steps
        The last steps before the crossing, one after the other in a ring, and their number.
    mean, slope
        The mean slope of the guard since the last event, and the slope at the crossing.
    flags
        First column of the flags of conditions.

    Returns
    -------
    upstrokes, used
        The steps that are kept.
    last
        The row of the last one, -1 if none is kept.  The length of the first one is negative.
    """
    if slope <= 30 * mean:
        return upstrokes, used, -1
    size = path.shape[0]
    oldest = max(steps - size, 0)
    first = steps - 1
    # the flow reaches the first of them by other steps, so nothing must jump or explode there
    while first > oldest and (
        path[first % size, 2] > 3 * mean
        or not _same_flags(path, first % size, (first - 1) % size, flags)
    ):
        first -= 1
    while used + steps - first > upstrokes.shape[0]:
        upstrokes = grow(upstrokes)
    for k in range(first, steps):
        for s in range(path.shape[1]):
            upstrokes[used, s] = path[k % size, s]
        if k == first:
            upstrokes[used, 0] = -upstrokes[used, 0]
        used += 1
    return upstrokes, used, used - 1
