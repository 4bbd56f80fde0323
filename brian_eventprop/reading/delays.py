"""Delays become places in buffers, so every one must be a time that the buffers have room for."""

from __future__ import annotations

import numpy as np

#: Longest delay in time steps, as in Brian2: there a delay is a 32-bit number of steps.
MOST_STEPS = 2**31 - 1


def check_delays(synapses: str, pathway: str, delays: np.ndarray, dt: float, per: str) -> None:
    """Refuse delays that are not finite, below 0 or longer than `MOST_STEPS` time steps.

    Parameters
    ----------
    synapses, pathway
        Names for the message.
    delays
        Delays in seconds.
    dt
        The time step in seconds.
    per
        What has one delay each: 'synapse' or 'source neuron'.

    Examples
    --------
    >>> check_delays("S", "S_pre", np.array([0.001, -0.002]), 1e-4, "synapse")
    Traceback (most recent call last):
        ...
    ValueError: Synapses 'S': the delay of synapse 1 in pathway 'S_pre' is -2 ms, but a delay \
must be a finite time of at least 0 s. Set delays within these limits, as in \
S.pre.delay = 'clip(5*ms + 5*ms*randn(), 0*ms, 20*ms)'.
    """
    # min and max are NaN if any delay is
    low, high = delays.min(initial=0.0), delays.max(initial=0.0)
    if low >= 0 and high / dt < MOST_STEPS:
        return
    with np.errstate(invalid="ignore", over="ignore"):
        bad = ~((delays >= 0) & (delays / dt < MOST_STEPS))
    at = int(np.argmax(bad))
    which = f"the delay of {per} {at}" if delays.size > 1 else "the delay"
    reason = "a delay must be a finite time of at least 0 s"
    if delays.flat[at] >= 0 and np.isfinite(delays.flat[at]):
        reason = f"a delay can have at most {MOST_STEPS} time steps"
    name = f"{synapses}.{pathway.removeprefix(synapses + '_')}.delay"
    raise ValueError(
        f"Synapses '{synapses}': {which} in pathway '{pathway}' is {1e3 * delays.flat[at]:g} ms, "
        f"but {reason}. Set delays within these limits, as in "
        f"{name} = 'clip(5*ms + 5*ms*randn(), 0*ms, 20*ms)'."
    )
