"""What random networks are made of: the network itself, inputs, connections, an output group."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    ms,
    nS,
    second,
)

from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.losses import Sum


@dataclass
class RandomNetwork:
    """Brian2 objects, what to train, the loss, and the input spikes of a batch."""

    groups: list
    inputs: list
    synapses: list
    train: list
    readouts: tuple
    spikes: dict
    duration: object = field(default_factory=lambda: 100 * ms)
    namespace: dict = field(default_factory=dict)

    @property
    def objects(self):
        """All Brian2 objects."""
        return [*self.groups, *self.inputs, *self.synapses]

    @property
    def loss(self):
        """The sum of all readouts."""
        return Sum(*self.readouts)

    @property
    def trials(self):
        """Number of trials of the batch."""
        return len(next(iter(self.spikes.values())))

    def with_delays(self, least=0.5 * ms):
        """Raise all delays to `least`: in exact time a loop must have some."""
        for synapses in self.synapses:
            synapses.delay = np.maximum(synapses.delay / ms, least / ms) * ms
        return self

    def batch(self, duration=None):
        """What `EventPropModel.run` is given: the spikes before the end of a trial."""
        end = self.duration if duration is None else duration
        cut = {name: data.until(end) for name, data in self.spikes.items()}
        return cut if len(cut) > 1 else next(iter(cut.values()))

    def trial_spikes(self, trial):
        """Input spikes of one trial, ``{name: (indices, times in seconds)}``."""
        found = {}
        for name, data in self.spikes.items():
            part = slice(data.trial_ptr[trial], data.trial_ptr[trial + 1])
            found[name] = data.channels[part], data.times[part]
        return found

    def run_brian2(self):
        """Run every trial in Brian2; return ``{group name: [(indices, times) per trial]}``."""
        monitors = {
            g.name: SpikeMonitor(g, name=f"spikes_{g.name}") for g in self.groups if g.thresholder
        }
        network = Network(self.objects, *monitors.values())
        network.store("start")
        found = {name: [] for name in monitors}
        for trial in range(self.trials):
            network.restore("start")
            for group in self.inputs:
                indices, times = self.trial_spikes(trial)[group.name]
                group.set_spikes(indices, times * second)
            network.run(self.duration, namespace=self.namespace)
            for name, monitor in monitors.items():
                found[name].append((np.array(monitor.i), np.array(monitor.t / second)))
        return found


def count(number, size):
    return max(3, int(round(number * size)))


def spiking_input(rng, channels, trials, rate=30.0, duration=0.08, name="inp"):
    """An input group and the spikes of a batch: at most one spike of a channel in a time step."""
    dt = float(defaultclock.dt)
    steps = int(duration / dt)
    fired = rng.random((trials, channels, steps)) < rate * dt
    trial, channel, step = np.nonzero(fired)
    times = (step + rng.uniform(0.05, 0.95, len(step))) * dt
    spikes = SpikeData(times, channel, trial, trials, channels)
    return SpikeGeneratorGroup(channels, [], [] * ms, name=name), {name: spikes}


def connect(rng, source, target, on_pre, weights, probability, name, **options):
    """Random connections with weights ``(low, high)`` and, where not shared, delays of 0..6 ms."""
    unit = options.pop("unit", "1")
    synapses = Synapses(source, target, f"w : {unit}", on_pre=on_pre, name=name, **options)
    chosen = rng.random((len(source), len(target))) < probability
    chosen[rng.integers(len(source)), :] = True
    pre, post = np.nonzero(chosen)
    synapses.connect(i=pre, j=post)
    low, high = weights
    scale = {"1": 1, "siemens": nS}[unit]
    synapses.w = rng.uniform(low, high, len(synapses)) * scale
    if "delay" not in options:
        synapses.delay = rng.uniform(0, 6, len(synapses)) * ms
    return synapses


def output_of(rng, hidden):
    """A group of leaky integrators that reads the hidden neurons out, and its synapses."""
    output = NeuronGroup(
        3,
        """dv/dt = (I - v)/tau_o : 1
           dI/dt = -I/(5*ms) : 1
           tau_o : second (constant, shared)""",
        method="exact",
        name="output",
    )
    output.tau_o = 20 * ms
    synapses = connect(rng, hidden, output, "I_post += w", (-1, 1.5), 0.5, "s_out")
    return output, synapses
