"""Networks that NIR can say, and the spikes that drive them."""

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV, nA, nS

import brian_eventprop as bep

#: Steps of 0.1 ms of a trial.
STEPS = 400


def spikes(n_channels, every=20, seed=0):
    """Spikes at steps of 0.1 ms, never two at the same or at neighbouring steps."""
    steps = np.arange(3, STEPS, every)
    channels = np.random.default_rng(seed).integers(0, n_channels, len(steps))
    return bep.SpikeData(steps * 1e-4, channels, 0 * steps, 1, n_channels)


def raster(data):
    """Return spikes as an array (steps, channels)."""
    found = np.zeros((STEPS, data.n_channels))
    found[np.rint(data.times * 1e4).astype(int), data.channels] = 1
    return found


def delta(method="exact"):
    """Delta synapses in volt, neurons that differ; delays of axons and of dendrites."""
    source = SpikeGeneratorGroup(4, [], [] * ms, name="source")
    cells = NeuronGroup(
        5, """leak = g*(E - U)*10*Mohm : volt
              dU/dt = leak/tau : volt
              tau : second (constant)
              E : volt (constant, shared)""",
        threshold="U/mV > -54 + i", reset="U = E + 3*mV", method=method, name="cells",
        namespace={"g": 100 * nS},
    )  # fmt: skip
    out = NeuronGroup(2, "dy/dt = -y/(15*ms) : 1", method=method, name="out")
    a = Synapses(source, cells, "k : volt", on_pre="U_post += 2*k", name="a")
    b = Synapses(cells, out, "w : 1", on_pre="y_post += w", name="b")
    for synapses in (a, b):
        synapses.connect()
    random = np.random.default_rng(1)
    cells.tau, cells.E = random.uniform(10, 30, 5) * ms, -70 * mV
    cells.U = -70 * mV
    a.k, b.w = random.uniform(5, 12, 20) * mV, random.normal(0, 1, 10)
    a.delay, b.delay = "(1 + i)*0.7*ms", "(1 + j)*ms"
    objects = [source, cells, out, a, b]
    readouts = [bep.Integral(out, "100*y"), bep.SpikeTimes(cells, "100*t/second")]
    return model(objects, [a.k, b.w], readouts), spikes(4, 8)


def currents(method="exact", delays=True):
    """Synaptic currents in ampere, synapses within the group, a delay for each synapse."""
    source = SpikeGeneratorGroup(3, [], [] * ms, name="source")
    cells = NeuronGroup(
        4, """dv/dt = (10*Mohm*J - v)/tau_m : volt
              dJ/dt = -J/(4*ms) : amp""",
        threshold="15*mV < v", reset="v = 0*mV", method=method, name="cells",
        namespace={"tau_m": 12 * ms},
    )  # fmt: skip
    out = NeuronGroup(
        2, """du/dt = (I - u)/(20*ms) : 1
              dI/dt = -I/(5*ms) : 1""", method=method, name="out",
    )  # fmt: skip
    a = Synapses(source, cells, "w : 1", on_pre="J_post += w*nA", name="a")
    r = Synapses(cells, cells, "w : amp", on_pre="J_post += w", name="r")
    o = Synapses(cells, out, "w : 1", on_pre="I_post += w", name="o")
    for synapses in (a, r, o):
        synapses.connect()
    random = np.random.default_rng(2)
    a.w, r.w = random.uniform(2, 6, 12), random.normal(0, 2, 16) * nA
    o.w = random.normal(0, 1, 8)
    if delays:
        a.delay, r.delay = random.integers(0, 6, 12) * ms, random.uniform(0, 3, 16) * ms
    readouts = [bep.Integral(out, "100*u"), bep.SpikeTimes(cells, "100*t/second")]
    return model([source, cells, out, a, r, o], [a.w, r.w, a.delay], readouts), spikes(3, 8)


def model(objects, train, readouts, **options):
    """Return a model of 40 ms."""
    options = {"duration": 40 * ms, "readouts": readouts} | options
    return bep.EventPropModel(objects, train=train, **options)


def steps_of(result, group):
    """Return the spikes of a group as an array (steps, neurons)."""
    found = np.zeros((STEPS, len(group)))
    record = result.spikes[group]
    found[np.rint(np.asarray(record.t) * 1e4).astype(int), record.i] = 1
    return found
