"""A small recurrent network with delays, whose readouts other libraries go on with."""

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, start_scope

import brian_eventprop as bep


def made(solver="event", readouts=None, **options):
    """Two inputs, three recurrent neurons, two readout neurons."""
    start_scope()
    source = SpikeGeneratorGroup(2, [0, 1], [1, 3] * ms, name="source")
    hidden = NeuronGroup(
        3, """dv/dt = (I - v)/tau : 1
              dI/dt = -I/(5*ms) : 1""",
        threshold="v > 1", reset="v = 0", method="exact", name="hidden",
    )  # fmt: skip
    out = NeuronGroup(2, "dv/dt = -v/(20*ms) : 1", method="exact", name="out")
    s = Synapses(source, hidden, "w : 1", on_pre="I_post += w", name="s")
    r = Synapses(hidden, hidden, "w : 1", on_pre="I_post += w", name="r")
    o = Synapses(hidden, out, "w : 1", on_pre="v_post += w", name="o")
    for synapses, condition in ((s, True), (r, "i != j"), (o, True)):
        synapses.connect(condition)
    random = np.random.default_rng(3)
    s.w, s.delay = 3 + random.random(6), random.uniform(0.5, 4, 6) * ms
    r.w, r.delay = random.normal(0, 0.5, 6), random.uniform(1, 3, 6) * ms
    o.w, o.delay = random.normal(0, 1, 6), 1 * ms
    both = [bep.Integral(out, "100*v"), bep.SpikeTimes(hidden, "100*t/second")]
    options = {"train": [s.w, s.delay, r.delay, o.w, "tau"], "backend": "interpreter"} | options
    return bep.EventPropModel(
        [source, hidden, out, s, r, o], readouts=readouts or both,
        duration=30 * ms, solver=solver, namespace={"tau": 10 * ms}, **options,
    )  # fmt: skip


#: Spike times in ms, (trials, channels, spikes).
TIMES = np.array([[[1.0, 6.0], [2.5, np.inf]], [[3.0, 9.0], [np.inf, np.inf]]])


def stimulated(**options):
    """A spiking neuron driven by a current of its own time course in every trial."""
    from brian2 import TimedArray

    start_scope()
    stimulus = TimedArray(np.zeros(6), dt=5 * ms, name="stimulus_values")
    neuron = NeuronGroup(
        2, "dv/dt = (gain*stimulus(t) - v)/(10*ms) : 1\ngain : 1 (constant)", threshold="v > 1",
        reset="v = 0", method="exact", name="neuron",
    )  # fmt: skip
    neuron.gain = [2.0, 3.0]
    return bep.EventPropModel(
        [neuron], train=[neuron.gain], duration=30 * ms, solver="event", backend="interpreter",
        readouts=[bep.Integral(neuron, "100*v"), bep.SpikeTimes(neuron, "100*t/second")],
        namespace={"stimulus": stimulus}, **options,
    )  # fmt: skip
