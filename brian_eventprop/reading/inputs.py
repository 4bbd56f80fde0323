"""Groups that are given their spikes: `SpikeGeneratorGroup` and a replayed `PoissonGroup`."""

from __future__ import annotations

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.refusals import check_parts, check_schedule, refusal
from brian_eventprop.reading.spec import SpikeInput

INPUTS = (brian.SpikeGeneratorGroup, brian.PoissonGroup)


def read_input(group) -> SpikeInput:
    """Return the specification of an input group."""
    check_parts(group)
    if isinstance(group, brian.SpikeGeneratorGroup):
        check_schedule(group, group, "thresholds")
        period = float(group.variables["period"].get_value().item())
        if period > 0 and np.isfinite(period):
            reason = "periodic spikes have no times of their own to differentiate"
            raise refusal(group, f"period={period:g} s", reason, "Give all spikes of the trial.")
    return SpikeInput(group.name, len(group))


def read_spikes(group) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the spikes that a group holds, sorted by time, then index; None if it holds none."""
    if not isinstance(group, brian.SpikeGeneratorGroup):
        return None
    indices = np.array(group._neuron_index, dtype=np.int64)
    times = np.array(group._spike_time, dtype=np.float64)
    order = np.lexsort((indices, times))
    return indices[order], times[order]
