"""Random networks from parts: a neuron model, a synapse model, a topology and a set of readouts.

``combine(neuron, synapse, topology, readouts, seed)`` builds one with every kind of array to train:
weights, delays per synapse and shared, time constants, thresholds, reset values, refractory
periods, initial values; the times of input spikes come besides.  Every loop has delays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep

DURATION = 40 * ms


@dataclass(frozen=True)
class Neuron:
    """A model: ``cur`` is its input current, ``x`` its potential in the unit of the threshold."""

    equations: str
    theta: float = 1.0
    low: float = 0.1
    start: float = 0.0
    spread: float = 0.3
    threshold: str = "v > theta"
    reset: str = "v = low"
    refractory: str | bool = False
    kick: float = 0.4
    x: str = "v"


LEAKY = "dv/dt = (cur - v)/tau : 1"
NEURONS = {
    "lif": Neuron(LEAKY),
    "refractory": Neuron(LEAKY + " (unless refractory)", refractory="t_ref"),
    "adaptive": Neuron(
        LEAKY + "\nda/dt = -a/(25*ms) : 1", threshold="v > theta + a", reset="v = low; a += 0.3"
    ),
    "soft": Neuron(LEAKY, reset="v -= theta*(1 + low)"),
    "quadratic": Neuron("dv/dt = (v*(v - 1) + cur)/tau : 1", theta=3.0, low=-0.5, kick=0.7),
    "adex": Neuron(
        "dv/dt = (0.2*exp((v - 1)/0.2) - v + cur - u)/tau : 1\ndu/dt = (0.3*v - u)/(30*ms) : 1",
        theta=2.0, reset="v = low; u += 0.2",
    ),
    "izhikevich": Neuron(
        "dv/dt = (0.04*v**2 + 5*v + 140 - u + 12*cur)*0.1/tau*(10*ms)/ms : 1\n"
        "du/dt = 0.02*(0.2*v - u)/ms : 1",
        theta=30.0, low=-65.0, start=-65.0, spread=2.0, reset="v = low; u += 6", kick=8.0,
        x="(v + 65)/40",
    ),
    "resonator": Neuron(
        "dv/dt = (cur - v - u)/tau : 1\ndu/dt = (1.5*v - u)/(9*ms) : 1", theta=0.7
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Synapse:
    """A model: its equations, the current, and ``on_pre``, one statement or several pathways."""

    equations: str
    current: str
    on_pre: object
    strength: float = 1.0


DECAY = "dI/dt = -I/tau_s : 1"
SYNAPSES = {
    "exponential": Synapse(DECAY, "I", "I_post += w"),
    "biexponential": Synapse(
        "dI/dt = (y - I)/tau_s : 1\ndy/dt = -y/(7*ms) : 1", "I", "y_post += w"
    ),
    "alpha": Synapse("dI/dt = (y - I)/tau_s : 1\ndy/dt = -y/tau_s : 1", "2*I", "y_post += w"),
    "delta": Synapse("", "0.5", "v_post += kick*w"),
    "conductance": Synapse("dg/dt = -g/tau_s : 1", "g*(3 - x)", "g_post += w", 0.5),
    "saturating": Synapse("dg/dt = -g/tau_s : 1", "4*g", "g_post += w*(1 - g_post)", 0.25),
    "pathways": Synapse(DECAY, "I", {"fast": "v_post += 0.2*kick*w", "slow": "I_post += w"}),
}  # fmt: skip


@dataclass
class Combined:
    """What is built: everything, the groups that spike, what is trained, and the readouts."""

    rng: np.random.Generator
    neuron: Neuron
    synapse: Synapse
    objects: list = field(default_factory=list)
    hidden: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    train: list = field(default_factory=list)
    readouts: list = field(default_factory=list)

    # ---- parts ----
    def population(self, name, size=3):
        """A group of spiking neurons."""
        neuron, synapse = self.neuron, self.synapse
        lines = [neuron.equations, synapse.equations, f"cur = {synapse.current} : 1"]
        lines += [f"x = {neuron.x} : 1", "tau : second (constant)"]
        lines += ["tau_s : second (constant, shared)"] * ("tau_s" in synapse.equations)
        lines += ["theta : 1 (constant, shared)", "low : 1 (constant)"]
        lines += ["t_ref : second (constant)"] * bool(neuron.refractory)
        group = NeuronGroup(
            size, "\n".join(filter(None, lines)), threshold=neuron.threshold, reset=neuron.reset,
            refractory=neuron.refractory, method="rk4", name=name,
            namespace={"kick": neuron.kick},
        )  # fmt: skip
        uniform = self.rng.uniform
        group.tau, group.theta = uniform(9, 14, size) * ms, neuron.theta
        group.low = neuron.low + 0.1 * neuron.spread * uniform(0, 1, size)
        group.v = neuron.start + neuron.spread * uniform(0, 1, size)
        self.train += [group.tau, group.theta, group.low, group.v]
        if "tau_s" in synapse.equations:
            group.tau_s = 4 * ms
            self.train.append(group.tau_s)
        if neuron.refractory:
            group.t_ref = uniform(1, 3, size) * ms
            self.train.append(group.t_ref)
        self.objects.append(group)
        self.hidden.append(group)
        return group

    def output(self, name):
        """A group of leaky integrators."""
        equations = "dv/dt = (I - v)/tau_o : 1\ndI/dt = -I/(5*ms) : 1\ntau_o : second (constant)"
        group = NeuronGroup(2, equations, method="exact", name=name)
        group.tau_o = self.rng.uniform(8, 20, 2) * ms
        self.train.append(group.tau_o)
        self.objects.append(group)
        self.outputs.append(group)
        return group

    def project(self, source, target, low, high, delay="each", on_pre=None):
        """All-to-all synapses; ``delay`` is 'each', 'shared' or 'none'."""
        on_pre = self.synapse.on_pre if on_pre is None else on_pre
        several = isinstance(on_pre, dict)
        shared = {"delay": 2.3 * ms} if delay == "shared" else {}
        if shared and several:
            shared = {"delay": {name: (2.3 + k) * ms for k, name in enumerate(on_pre)}}
        synapses = Synapses(
            source, target, "w : 1", on_pre=on_pre, name=f"{source.name}_to_{target.name}",
            namespace={"kick": self.neuron.kick},
            **shared,
        )  # fmt: skip
        synapses.connect()
        strength = 1.0 if target in self.outputs else self.synapse.strength
        synapses.w = self.rng.uniform(low, high, len(synapses)) * strength
        self.train.append(synapses.w)
        pathways = [getattr(synapses, n) for n in on_pre] if several else [synapses]
        for pathway in pathways:
            if delay == "each":
                pathway.delay = self.rng.uniform(1, 6, len(synapses)) * ms
            if delay != "none":
                self.train.append(pathway.delay)
        self.objects.append(synapses)

    def inputs(self, size=4, count=18):
        """A source of given spikes."""
        times = np.sort(self.rng.uniform(0.3, 28, count)) * ms
        group = SpikeGeneratorGroup(size, self.rng.integers(0, size, count), times, name="inputs")
        self.objects.append(group)
        return group


# ---------------------------------------------------------------------------- topologies
def _recurrent(net):
    a = net.population("a")
    net.project(net.inputs(), a, 1.0, 2.5)
    net.project(a, a, -0.5, 0.6)


def _two_outputs(net):
    a = net.population("a")
    net.project(net.inputs(), a, 1.5, 2.5)
    for name, delay in (("out", "none"), ("more", "shared")):
        net.project(a, net.output(name), -1, 1.5, delay, on_pre="I_post += w")


def _chain(net):
    """The second group follows the first at once."""
    a, b = net.population("a"), net.population("b", 2)
    net.project(net.inputs(), a, 1.5, 3, "shared")
    net.project(a, b, 1.0, 2.0, "none")


def _populations(net):
    """Excitation and inhibition, in a loop."""
    exc, inh, inputs = net.population("exc"), net.population("inh", 2), net.inputs()
    net.project(inputs, exc, 1.5, 3)
    net.project(exc, inh, 1.0, 2.0, "shared")
    net.project(inh, exc, -1.0, -0.3)


TOPOLOGIES = {
    "recurrent": _recurrent,
    "two outputs": _two_outputs,
    "chain": _chain,
    "populations": _populations,
}


# ---------------------------------------------------------------------------- readouts
def _integrals(net):
    return [bep.Integral(g, "40*v**2") for g in net.outputs or net.hidden] + [
        bep.SpikeTimes(g, "t/T") for g in net.hidden
    ]


def _values(net):
    return [bep.Final(g, "v") for g in net.outputs or net.hidden] + [
        bep.SpikeTimes(net.hidden[0], "sin(t/(3*ms))"), bep.Maximum(net.hidden[-1], "v"),
    ]  # fmt: skip


def _timed(net):
    return [bep.Integral(g, "40*v*exp(-t/T)") for g in net.outputs or net.hidden] + [
        bep.SpikeTimes(net.hidden[-1], "t/T", which="first"), bep.SpikeCount(net.hidden[0]),
    ]  # fmt: skip


READOUTS = {"integrals": _integrals, "values": _values, "timed": _timed}


def combine(neuron, synapse, topology, readouts, seed=0, drive=1.0):
    """Build a network from the names of its parts, its synapses so many times stronger."""
    synapses = SYNAPSES[synapse]
    synapses = replace(synapses, strength=drive * synapses.strength)
    net = Combined(np.random.default_rng(seed), NEURONS[neuron], synapses)
    TOPOLOGIES[topology](net)
    net.readouts = READOUTS[readouts](net)
    return net


def every_pair():
    """Every neuron model with every synapse model; topologies and readouts take turns."""
    cases = []
    for a, neuron in enumerate(NEURONS):
        for b, synapse in enumerate(SYNAPSES):
            topology = list(TOPOLOGIES)[(a + b) % len(TOPOLOGIES)]
            readouts = list(READOUTS)[(2 * a + b) % len(READOUTS)]
            cases.append((neuron, synapse, topology, readouts))
    return cases
