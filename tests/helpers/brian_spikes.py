"""The spikes of a plain run of Brian2, next to those of a model of the same objects."""

import numpy as np
from brian2 import Network, SpikeMonitor


def spikes_in_brian2(objects, group, duration, namespace=None):
    """Return (neuron, time step) of each spike of a run, which leaves the objects as they were."""
    monitor = SpikeMonitor(group)
    net = Network(*objects, monitor)
    net.store()
    net.run(duration, namespace=namespace or {})
    found = _sorted(monitor.i[:], monitor.t_[:] / group.clock.dt_)
    net.restore()
    return found


def spikes_of(result, group):
    """Return (neuron, time step) of each spike of the first trial."""
    train = result.spikes[group]
    first = np.asarray(train.sample) == 0
    return _sorted(train.i[first], np.asarray(train.t)[first] / group.clock.dt_)


def _sorted(neurons, steps):
    return sorted(zip(map(int, neurons), np.round(steps).astype(int).tolist(), strict=True))
