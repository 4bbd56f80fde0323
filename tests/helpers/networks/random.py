"""Random Brian2 networks of many kinds, lively but not saturated, for tests against Brian2.

``build(kind, seed)`` returns a `RandomNetwork`; `KINDS` lists the kinds.  ``size`` scales the
number of neurons: 1 is enough for a test of spikes, 0.3 small enough for the dense oracle.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from brian2 import NeuronGroup, Synapses, ms, mV, nS, pF

from brian_eventprop.readouts import Final, Integral, Maximum, SpikeTimes, Value
from helpers.networks.random_parts import RandomNetwork, connect, count, output_of, spiking_input

KINDS: dict[str, Callable] = {}


def build(kind, seed, size=1.0, trials=2):
    """Build one network; the same arguments give the same network."""
    return KINDS[kind](np.random.default_rng([seed, len(kind)]), size, trials)


def _kind(function):
    KINDS[function.__name__.strip("_")] = function
    return function


# ---------------------------------------------------------------------------- kinds
@_kind
def lif(rng, size, trials):
    """Recurrent, delayed, external time constants, drive per neuron; integral and spike times."""
    inputs, spikes = spiking_input(rng, count(30, size), trials)
    hidden = NeuronGroup(
        count(40, size),
        """dv/dt = (I + drive - v)/tau_m : 1
           dI/dt = -I/tau_s : 1
           drive : 1 (constant)
           theta : 1 (constant, shared)""",
        threshold="v > theta",
        reset="v = 0",
        method="exact",
        name="hidden",
    )
    hidden.theta = 1
    hidden.drive = rng.uniform(0, 0.6, len(hidden))
    hidden.v = rng.uniform(0, 0.9, len(hidden))
    output, s_out = output_of(rng, hidden)
    s_in = connect(rng, inputs, hidden, "I_post += w", (0, 2.5 / size**0.5), 0.4, "s_in")
    s_rec = connect(rng, hidden, hidden, "I_post += w", (-0.6, 0.5), 0.3, "s_rec")
    s_rec.delay[: len(s_rec) // 4] = 0 * ms
    train = [s_in.w, s_in.delay, s_rec.w, s_rec.delay, s_out.w, s_out.delay, hidden.drive]
    train += [hidden.theta, hidden.v, output.tau_o, "tau_m", "tau_s"]
    return RandomNetwork(
        [hidden, output],
        [inputs],
        [s_in, s_rec, s_out],
        train,
        (Integral(output, "v*exp(-t/T)"), SpikeTimes(hidden, "0.1*t/second")),
        spikes,
        namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
    )


@_kind
def lif_refractory(rng, size, trials):
    """`unless refractory`, a trained refractory period per neuron, one shared delay."""
    inputs, spikes = spiking_input(rng, count(30, size), trials)
    hidden = NeuronGroup(
        count(40, size),
        """dv/dt = (I - v)/tau_m : 1 (unless refractory)
           dI/dt = -I/tau_s : 1
           tau_m : second (constant)
           tau_s : second (constant, shared)
           t_ref : second (constant)""",
        threshold="v > 1",
        reset="v = -0.1; I *= 0.9",
        refractory="t_ref",
        method="exponential_euler",
        name="hidden",
    )
    hidden.tau_m = rng.uniform(10, 25, len(hidden)) * ms
    hidden.tau_s = 5 * ms
    hidden.t_ref = rng.uniform(0, 3, len(hidden)) * ms
    output, s_out = output_of(rng, hidden)
    s_in = connect(rng, inputs, hidden, "I_post += w", (0, 4 / size**0.5), 0.4, "s_in")
    s_rec = connect(rng, hidden, hidden, "I_post += w", (-1, 1), 0.3, "s_rec", delay=1.5 * ms)
    train = [s_in.w, s_in.delay, s_rec.w, s_rec.delay, s_out.w, hidden.tau_m, hidden.tau_s]
    train += [hidden.t_ref, hidden.I]
    return RandomNetwork(
        [hidden, output],
        [inputs],
        [s_in, s_rec, s_out],
        train,
        (
            Value(hidden[2:], "v*I + t/T", at=[12.3, 3, 17, 12.3] * ms),
            Maximum(output, "v"),
            Final(hidden, "v + 0.5*I"),
            Integral(output[1:], "v**2/second"),
        ),
        spikes,
    )


@_kind
def alif(rng, size, trials):
    """Adaptive threshold, subexpressions, several resets, refractory."""
    inputs, spikes = spiking_input(rng, count(30, size), trials)
    hidden = NeuronGroup(
        count(40, size),
        """dv/dt = (I - v)/tau_m : 1 (unless refractory)
           dI/dt = -I/(5*ms) : 1
           dth/dt = -th/tau_th : 1
           limit = 1 + th : 1
           tau_th : second (constant)
           jump : 1 (constant, shared)""",
        threshold="v > limit",
        reset="v -= limit; th += jump",
        refractory=2 * ms,
        method="exact",
        name="hidden",
    )
    hidden.tau_th = rng.uniform(10, 50, len(hidden)) * ms
    hidden.jump = 0.3
    output, s_out = output_of(rng, hidden)
    s_in = connect(rng, inputs, hidden, "I_post += w", (0, 5 / size**0.5), 0.4, "s_in")
    s_rec = connect(rng, hidden, hidden, "I_post += w", (-0.8, 0.8), 0.3, "s_rec")
    train = [s_in.w, s_in.delay, s_rec.w, s_rec.delay, s_out.delay, hidden.tau_th, hidden.jump]
    return RandomNetwork(
        [hidden, output],
        [inputs],
        [s_in, s_rec, s_out],
        [*train, "tau_m"],
        (
            Integral(output, "v"),
            SpikeTimes(hidden, "t/T"),
            Integral(hidden, "0.1*th**2"),
            Maximum(hidden, "th - 0.1*I"),
            Maximum(hidden, "I - 2*v"),
            Value(hidden, "jump*th*v", at=17 * ms),
            Value(output, "v", at=9 * ms),
        ),
        spikes,
        namespace={"tau_m": 20 * ms},
    )


@_kind
def coba(rng, size, trials):
    """Conductance-based, with physical units; two sets of synapses from the inputs."""
    inputs, spikes = spiking_input(rng, count(40, size), trials)
    hidden = NeuronGroup(
        count(40, size),
        """dv/dt = (g_l*(E_l - v) + ge*(E_e - v) + gi*(E_i - v))/C : volt (unless refractory)
           dge/dt = -ge/(5*ms) : siemens
           dgi/dt = -gi/tau_i : siemens
           E_e : volt (constant, shared)
           tau_i : second (constant)""",
        threshold="v > -50*mV",
        reset="v = E_l",
        refractory=3 * ms,
        method="exponential_euler",
        name="hidden",
    )
    hidden.v = rng.uniform(-65, -52, len(hidden)) * mV
    hidden.E_e = 0 * mV
    hidden.tau_i = rng.uniform(8, 12, len(hidden)) * ms
    unit = {"unit": "siemens"}
    s_e = connect(rng, inputs, hidden, "ge_post += w", (0, 14 / size**0.5), 0.4, "s_e", **unit)
    s_i = connect(rng, inputs, hidden, "gi_post += w", (0, 14), 0.15, "s_i", **unit)
    s_rec = connect(rng, hidden, hidden, "ge_post += w", (0, 4), 0.3, "s_rec", **unit)
    train = [s_e.w, s_e.delay, s_i.w, s_i.delay, s_rec.w, s_rec.delay, hidden.E_e, hidden.tau_i]
    return RandomNetwork(
        [hidden],
        [inputs],
        [s_e, s_i, s_rec],
        [*train, hidden.v, "C"],
        (
            Integral(hidden, "v/volt"),
            Final(hidden, "ge/nS"),
            Maximum(hidden, "v/mV/10 + ge/nS - gi/nS/2"),
            Value(hidden, "v/mV*ge/nS", at=15 * ms),
        ),
        spikes,
        namespace={"g_l": 10 * nS, "C": 200 * pF, "E_l": -65 * mV, "E_i": -80 * mV},
    )


@_kind
def qif(rng, size, trials):
    """Quadratic integrate-and-fire, Runge-Kutta."""
    inputs, spikes = spiking_input(rng, count(30, size), trials)
    hidden = NeuronGroup(
        count(30, size),
        """dv/dt = (v*(v - 1) + I + drive)/tau : 1
           dI/dt = -I/(5*ms) : 1
           drive : 1 (constant)""",
        threshold="v > 3",
        reset="v = -0.5",
        method="rk4",
        name="hidden",
    )
    hidden.drive = rng.uniform(0, 0.3, len(hidden))
    output, s_out = output_of(rng, hidden)
    s_in = connect(rng, inputs, hidden, "I_post += w", (0, 2.5 / size**0.5), 0.4, "s_in")
    s_rec = connect(rng, hidden, hidden, "I_post += w", (-0.5, 0.5), 0.3, "s_rec")
    train = [s_in.w, s_in.delay, s_rec.w, s_rec.delay, s_out.w, hidden.drive, "tau"]
    return RandomNetwork(
        [hidden, output],
        [inputs],
        [s_in, s_rec, s_out],
        train,
        (Integral(output, "v**2"), Maximum(output, "I"), Maximum(hidden, "v")),
        spikes,
        namespace={"tau": 10 * ms},
    )


@_kind
def delta(rng, size, trials):
    """Synapses that change the potential itself, so that arrivals fire their targets at once."""
    inputs, spikes = spiking_input(rng, count(30, size), trials)
    hidden = NeuronGroup(
        count(40, size),
        """dv/dt = (drive - v)/tau : 1
           drive : 1 (constant)
           theta : 1 (constant, shared)""",
        threshold="v >= theta",
        reset="v -= theta",
        method="exact",
        name="hidden",
    )
    hidden.drive, hidden.theta = rng.uniform(0.2, 1.3, len(hidden)), 1
    output, s_out = output_of(rng, hidden)
    s_in = connect(rng, inputs, hidden, "v_post += w", (0, 0.3 / size**0.5), 0.4, "s_in")
    s_rec = connect(rng, hidden, hidden, "v_post += w", (-0.15, 0.2), 0.3, "s_rec")
    train = [s_in.w, s_in.delay, s_rec.w, s_rec.delay, s_out.w, hidden.drive, hidden.theta]
    return RandomNetwork(
        [hidden, output],
        [inputs],
        [s_in, s_rec, s_out],
        train,
        (
            Integral(output, "v"),
            Integral(hidden, "0.2*v**2"),
            SpikeTimes(hidden, "sin(t/ms)"),
            Maximum(hidden, "v - 0.4*v**2"),
        ),
        spikes,
        namespace={"tau": 15 * ms},
    )


@_kind
def delta_refractory(rng, size, trials):
    """The same with a refractory period of one to thirty steps, and a condition of two parts."""
    network = delta(rng, size, trials)
    inputs, spikes = network.inputs, network.spikes
    hidden = NeuronGroup(
        count(40, size),
        """dv/dt = (drive + a - v)/tau : 1 (unless refractory)
           da/dt = -a/tau_a : 1
           drive : 1 (constant)
           tau_a : second (constant, shared)
           t_ref : second (constant)""",
        threshold="v > 1 and a < 0.5",
        reset="v = 0.1*v; a -= 0.2",
        refractory="t_ref",
        method="exact",
        name="hidden",
    )
    hidden.drive, hidden.tau_a = rng.uniform(0.2, 1.3, len(hidden)), 20 * ms
    hidden.t_ref = rng.uniform(0.1, 3, len(hidden)) * ms
    output, s_out = output_of(rng, hidden)
    s_in = connect(rng, inputs[0], hidden, "v_post += w", (0, 0.6 / size**0.5), 0.4, "s_in")
    s_rec = connect(rng, hidden, hidden, "a_post += w; v_post += 0.3*w", (-0.2, 0.3), 0.3, "s_rec")
    return RandomNetwork(
        [hidden, output],
        inputs,
        [s_in, s_rec, s_out],
        [s_in.w, s_in.delay, s_rec.w, s_rec.delay, hidden.drive, hidden.tau_a, hidden.t_ref],
        (Integral(output, "v"), SpikeTimes(hidden, "t/T")),
        spikes,
        namespace={"tau": 15 * ms},
    )


@_kind
def saturating(rng, size, trials):
    """Synapses whose effect depends on the state; all that can depends on time."""
    inputs, spikes = spiking_input(rng, count(30, size), trials)
    hidden = NeuronGroup(
        count(30, size),
        """dv/dt = (g*(reversal - v) + 0.3*sin(t/(10*ms)) - v)/tau : 1
           dg/dt = -g/tau_g : 1
           reversal : 1 (constant)
           tau_g : second (constant, shared)""",
        threshold="v > 1 + 0.1*sin(t/(0.4*ms))",
        reset="v = 0.1*sin(t/(4*ms))",
        method="rk2",
        name="hidden",
    )
    hidden.reversal, hidden.tau_g = rng.uniform(3, 6, len(hidden)), 6 * ms
    output, s_out = output_of(rng, hidden)
    on_pre = "g_post += w*(1 - g_post)*(1 + 0.3*cos(t/(7*ms)))"
    s_in = connect(rng, inputs, hidden, on_pre, (0, 0.6 / size**0.5), 0.4, "s_in")
    s_rec = connect(rng, hidden, hidden, on_pre, (0, 0.1), 0.3, "s_rec")
    train = [s_in.w, s_in.delay, s_rec.w, s_rec.delay, hidden.reversal, hidden.tau_g, "tau"]
    return RandomNetwork(
        [hidden, output],
        [inputs],
        [s_in, s_rec, s_out],
        train,
        (
            Integral(output, "v"),
            SpikeTimes(hidden, "t/T", which="first"),
            Maximum(hidden, "g - 0.5*v"),
            Maximum(hidden, "v - g"),
        ),
        spikes,
        namespace={"tau": 20 * ms},
    )


@_kind
def two_populations(rng, size, trials):
    """Subgroups, two inputs, zero delays, shared delays, several synapses between two neurons."""
    inputs, spikes = spiking_input(rng, count(20, size), trials, name="inp_a")
    others, more = spiking_input(rng, count(10, size), trials, name="inp_b")
    n = count(50, size)
    cells = NeuronGroup(
        n,
        """dv/dt = (x + kick - v)/tau_m : 1
           dx/dt = (y - x)/tau_s : 1
           dy/dt = -y/tau_s : 1
           kick : 1
           tau_m : second (constant)""",
        threshold="v > 1",
        reset="v = 0; kick = 0.5*kick",
        method="euler",
        name="cells",
    )
    cells.tau_m = rng.uniform(10, 20, n) * ms
    exc, inh = cells[: n * 4 // 5], cells[n * 4 // 5 :]
    strength = 3.5 / size**0.5
    s_in = connect(rng, inputs, cells, "y_post += w", (0, strength), 0.4, "s_in")
    s_kick = connect(rng, others, exc, "kick_post += 0.05*w", (0, 1), 0.4, "s_kick", delay=1 * ms)
    s_e = connect(rng, exc, cells, "y_post += w", (0, 0.6), 0.2, "s_e")
    s_e.connect(i=[0, 0, 1], j=[1, 1, 1])
    s_e.w[-3:], s_e.delay[-3:] = 0.3, 0 * ms
    s_i = connect(rng, inh, exc, "y_post -= w", (0, 1), 0.4, "s_i", delay=0.5 * ms)
    s_loop = Synapses(exc, exc, "w : 1", on_pre="x_post += w", delay=0 * ms, name="s_loop")
    s_loop.connect(j="i")
    s_loop.w = rng.uniform(-0.2, 0.2, len(s_loop))
    synapses = [s_in, s_kick, s_e, s_i, s_loop]
    train = [view for s in synapses for view in (s.w, s.delay)] + [cells.tau_m, cells.kick, "tau_s"]
    return RandomNetwork(
        [cells],
        [inputs, others],
        synapses,
        train,
        (Integral(exc, "v"), Integral(inh, "0.5*v**2"), SpikeTimes(inh, "t/T")),
        {**spikes, **more},
        namespace={"tau_s": 4 * ms},
    )


@_kind
def adex(rng, size, trials):
    """Exponential integrate-and-fire with adaptation, in volts."""
    inputs, spikes = spiking_input(rng, count(30, size), trials)
    hidden = NeuronGroup(
        count(30, size),
        """dv/dt = (E_l - v + slope*exp((v - v_t)/slope) + I - u)/tau : volt (unless refractory)
           du/dt = (a*(v - E_l) - u)/tau_u : volt
           dI/dt = -I/(5*ms) : volt
           slope : volt (constant, shared)
           a : 1 (constant)""",
        threshold="v > -40*mV",
        reset="v = E_l; u += 2*mV",
        refractory=1 * ms,
        method="euler",
        name="hidden",
    )
    hidden.v, hidden.slope = -65 * mV, 2 * mV
    hidden.a = rng.uniform(0, 0.2, len(hidden))
    output, s_out = output_of(rng, hidden)
    strong = (0, 60 / size**0.5)
    s_in = connect(rng, inputs, hidden, "I_post += w*mV", strong, 0.4, "s_in")
    s_rec = connect(rng, hidden, hidden, "I_post += w*mV", (-8, 8), 0.3, "s_rec")
    train = [s_in.w, s_in.delay, s_rec.w, s_rec.delay, hidden.slope, hidden.a, "tau_u", "v_t"]
    return RandomNetwork(
        [hidden, output],
        [inputs],
        [s_in, s_rec, s_out],
        train,
        (
            Integral(output, "v"),
            Final(hidden, "u/mV"),
            Value(hidden, "u*v/mV**2", at=[14.1, 9, 0] * ms),
        ),
        spikes,
        namespace={"E_l": -65 * mV, "v_t": -50 * mV, "tau": 10 * ms, "tau_u": 50 * ms},
    )
