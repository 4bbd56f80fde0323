"""Small networks on a coarse time grid, for tests that run them many times."""

from __future__ import annotations

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms

import brian_eventprop as bep

LIF = """dv/dt = (I - v)/tau_m : 1
         dI/dt = -I/tau_s : 1"""


def spikes(rng, n_trials, n_inputs, n_steps, rate=0.04):
    """Random spikes, at most one of an input in a step of 1 ms; those after the trial are cut."""
    trial, channel, step = np.nonzero(rng.random((n_trials, n_inputs, n_steps + 5)) < rate)
    data = bep.SpikeData((step + 0.3) * 1e-3, channel, trial, n_trials, n_inputs)
    return data.until(n_steps * ms)


def all_to_all(
    seed=0,
    n_inputs=9,
    n_hidden=12,
    n_steps=80,
    max_delay=12,
    trials=5,
    readout="v*exp(-t/T)",
    loss=None,
    synapses=None,
    axonal=False,
    **options,
):
    """A recurrent network of LIF neurons with all connections; its model and input spikes.

    ``loss(hidden, output)`` makes another loss than the usual one; ``synapses`` is the number of
    recurrent ones, if they are not all.  With ``axonal``, delays belong to the sending neurons.
    """
    rng = np.random.default_rng(seed)
    defaultclock.dt = 1 * ms
    inputs = SpikeGeneratorGroup(n_inputs, [], [] * ms, name="inp")
    hidden = NeuronGroup(
        n_hidden, LIF, threshold="v > 1", reset="v = 0", method="exact", name="hidden"
    )
    output = NeuronGroup(3, LIF, method="exact", name="output")
    parts = []
    for name, source, target, mean, spread in (
        ("s_in", inputs, hidden, 14 / n_inputs, 1),
        ("s_rec", hidden, hidden, 0, 2 / n_hidden),
        ("s_out", hidden, output, 0, 1),
    ):
        s = Synapses(source, target, "w : 1", on_pre="I_post += w", name=name)
        if synapses is None or name != "s_rec":
            s.connect()
        else:
            s.connect(i=rng.integers(0, n_hidden, synapses), j=rng.integers(0, n_hidden, synapses))
        s.w = rng.normal(mean, spread, len(s))
        delays = rng.integers(0, max_delay, len(s))
        s.delay = (delays[s.i] if axonal else delays) * ms
        parts.append(s)
    kind = bep.Axonal if axonal else lambda delays: delays
    usual = bep.Sum(bep.Integral(output, readout), bep.SpikeTimes(hidden, "0.1*t/T"))
    model = bep.EventPropModel(
        [inputs, hidden, output, *parts],
        train=[view for s in parts for view in (s.w, kind(s.delay))],
        loss=usual if loss is None else loss(hidden, output),
        duration=n_steps * ms,
        namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
        **options,
    )
    return model, spikes(rng, trials, n_inputs, n_steps)


def of_functions(n_steps=60, trials=2, **options):
    """Neurons whose equations use every function that Brian2's equations have."""
    rng = np.random.default_rng(3)
    defaultclock.dt = 1 * ms
    inputs = SpikeGeneratorGroup(4, [], [] * ms, name="inp")
    cells = NeuronGroup(
        5,
        """dv/dt = (I - v + 0.1*exprel(v) + 0.1*sin(u)*cos(u) + drive + edge)/(10*ms) : 1
           du/dt = (tanh(v) + 0.1*arctan(v) + 0.05*log(1 + I**2) - u)/(20*ms) : 1
           dI/dt = -clip(I, -3, 3)/(5*ms) : 1
           drive = 0.05*sign(u) + 0.01*floor(v) + 0.02*abs(u) + 0.01*sqrt(1 + v**2) : 1
           more = 0.01*expm1(u) + 0.01*log10(2 + I) + 0.01*ceil(u) + 0.01*int(v > u)*v**3 : 1
           edge = 0.01*sqrt(clip(u, 0, inf)) + 0.01*abs(v)**q + 0.01/(1 + exp(-u/0.01)) : 1
           q : 1""",
        threshold="v > 0.8 + more",
        reset="v = 0.1*sinh(u)",
        method="rk2",
        name="cells",
    )
    cells.q = [0.6, 1, 1.5, 2, 3]
    s = Synapses(inputs, cells, "w : 1", on_pre="I_post += w*(1 - 0.1*arctan(I_post))", name="s")
    s.connect()
    s.w, s.delay = rng.uniform(0.5, 2, len(s)), rng.integers(0, 5, len(s)) * ms
    model = bep.EventPropModel(
        [inputs, cells, s],
        train=[s.w, s.delay, cells.v, cells.q],
        loss=bep.Sum(bep.Integral(cells, "v**2/second"), bep.Final(cells, "exp(u) + sqrt(v**2)")),
        duration=n_steps * ms,
        **options,
    )
    return model, spikes(rng, trials, 4, n_steps, rate=0.1)


def three_events(dt=0.1, reset="v = 0; g = 0.8*g", up="open = False; h += q", down="open = True"):
    """After Brian2's example of custom events: v spikes, g crosses a level up and down."""
    defaultclock.dt = dt * ms
    rng = np.random.default_rng(2)
    n = 30
    times = np.sort(rng.choice(np.arange(5, 380), n, replace=False)) * 0.1 * ms
    source = SpikeGeneratorGroup(3, rng.integers(0, 3, n), times, name="source")
    G = NeuronGroup(
        2,
        """dv/dt = (2.5*g - h - v)/(9*ms) : 1
        dg/dt = -g/tau : 1
        dh/dt = -h/(6*ms) : 1
        open : boolean
        q : 1
        tau : second""",
        threshold="v > 1", reset=reset,
        events={"up": "g > 1 and open", "down": "g < 0.9 and not open"}, method="euler", name="G",
    )  # fmt: skip
    G.run_on_event("up", up)
    G.run_on_event("down", down)
    G.open, G.q, G.tau = True, [0.3, 0.5], [5, 6] * ms
    H = NeuronGroup(
        2, "dx/dt = -x/(8*ms) : 1\ndy/dt = (x - y)/(5*ms) : 1", name="H", method="exact"
    )
    into = Synapses(source, G, "w : 1", on_pre="g += w", name="into")
    into.connect()
    into.w, into.delay = rng.uniform(0.35, 0.55, 6), rng.uniform(0.2, 1, 6) * ms
    out = Synapses(
        G, H, "a : 1\nb : 1", on_pre={"pre": "x += a", "fast": "x += b*q_pre"},
        on_event={"pre": "spike", "fast": "up"}, name="out",
    )  # fmt: skip
    out.connect()
    out.a, out.b = [0.5, 0.3, 0.2, 0.4], [0.3, 0.6, 0.1, 0.2]
    loss = bep.Sum(bep.Integral(H, "y**2"), bep.Integral(G, "h**2"))
    views = [into.w, out.a, out.b, G.q, G.tau, G.g]
    return [source, G, H, into, out], views, loss
