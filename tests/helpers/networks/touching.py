"""Recurrent networks whose arrivals touch the states of two groups at once."""

from __future__ import annotations

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms

import brian_eventprop as bep

#: Equations of the synapses, on_pre, on_post.  'z' follows the current, 'x' changes with events.
KINDS = {
    "reads the source": ("", "I_post += c*w*z_pre", None),
    "state of the target, too": ("", "g_post += w*x_pre*(1 - g_post)", "w *= 1 + 0.1*c*z_pre"),
    "lifts its target": ("", "v_post += 0.5*c*w*(0.5 + z_pre)", None),
    "writes the source": ("", "I_post += w*x_pre\nx_pre *= 1 - 0.2*c", None),
    "writes both": ("", "g_post += w*x_pre*(1 - g_post)\nx_pre -= 0.1*c*x_pre*v_post", None),
    "reads what it writes elsewhere": ("", "z_post += c*w*(z_pre - z_post)", None),
    "a spike of the target": ("", "I_post += w*x_pre", "x_pre += 0.1*c*(1 - x_pre)*g_post"),
    "clock-driven": (
        "da/dt = -a/(10*ms) : 1 (clock-driven)",
        "g_post += w*a*(1 - g_post)\na += c*(1 + v_post)",
        "a *= 0.8",
    ),
    "all at once": (
        "ds/dt = -s*s/(8*ms) : 1 (clock-driven)\nda/dt = -a/(6*ms) : 1 (event-driven)",
        "s += w\nI_post += s*x_pre + a\na += c*z_pre\nx_pre *= 0.9",
        None,
    ),
}


def touching(kind: str, refractory: bool = False, readouts: str = "integral", **options):
    """Return a model of a group that spikes with synapses of a kind from and onto itself.

    Synapses without states of their own are onto the same neurons; some of their arrivals are in
    the same time step.  ``readouts`` may be 'maximum'.
    """
    defaultclock.dt = 0.2 * ms
    rng = np.random.default_rng(5)
    times = (np.arange(16) * 1.6 + rng.uniform(0, 1.2, 16)) * ms
    source = SpikeGeneratorGroup(4, rng.integers(0, 4, 16), times, name="source")
    flag = " (unless refractory)" if refractory else ""
    group = NeuronGroup(
        3,
        f"""dv/dt = (I + 3*g*(2 - v) - v)/(12*ms) : 1{flag}
        dI/dt = -I/(5*ms) : 1
        dg/dt = -g/(4*ms) : 1
        dz/dt = (I - z)/tz : 1
        x : 1
        tz : second""",
        threshold="v > 1", reset="v = 0; z += 0.2", method="rk2", name="group",
        refractory=1.4 * ms if refractory else False,
    )  # fmt: skip
    group.tz, group.x, group.v = "(9 + i)*ms", [1, 0.8, 0.9], rng.uniform(0, 0.5, 3)
    first = Synapses(source, group, "w : 1", on_pre="g_post += w*(1 - g_post)", name="first")
    first.connect()
    first.w, first.delay = rng.uniform(0.3, 0.6, 12), "(i % 3)*0.2*ms"
    model, on_pre, on_post = KINDS[kind]
    s = Synapses(
        group, group, f"w : 1\nc : 1\n{model}", on_pre=on_pre, on_post=on_post, method="rk2",
        name="s",
    )  # fmt: skip
    s.connect("i != j")
    s.connect("i > j")  # some of them twice
    s.w, s.c = rng.uniform(0.2, 0.6, len(s)), 0.4
    s.delay = "0.2*ms*(1 + (i + 2*j) % 4)"
    last = Synapses(group, group, "w : 1", on_pre="I_post += w", name="twin")
    last.connect("i != j")
    last.w, last.delay = -0.2, 1 * ms
    loss = bep.Integral(group, "v**2*(1 + i) + 0.3*x + 0.2*z")
    if readouts == "maximum":
        loss = bep.Maximum(group, "v + 0.1*I*(1 + i) + 0.1*z + 0.1*x")
    views = [first.w, first.delay, s.w, s.c, s.delay, last.w, group.tz, group.x, group.v]
    return bep.EventPropModel(
        [source, group, first, s, last], train=views,
        loss=bep.Sum(loss, bep.SpikeTimes(group, "t/(10*ms)")), duration=24 * ms, **options,
    )  # fmt: skip


def trials(seed: int = 0, n: int = 3):
    """Return random spikes of the input."""
    rng = np.random.default_rng(seed)
    count = 12 * n
    steps = rng.choice(4 * 80 * n, count, replace=False)
    times = (steps % 80) * 2e-4
    return bep.SpikeData(times, steps // 80 % 4, steps // 320, n_trials=n, n_channels=4)


def upstroke(on_pre, refractory, **options):
    """AdEx neurons whose synapses have a source with a state; spikes arrive in every time step."""
    defaultclock.dt = 0.1 * ms
    source = NeuronGroup(
        12, "dv/dt = 1/(1.15*ms) : 1\ndz/dt = -z/(20*ms) : 1", threshold="v > 1", reset="v = 0",
        method="euler", name="source",
    )  # fmt: skip
    source.v, source.z = "i/12.0", 1
    group = NeuronGroup(
        2,
        "dv/dt = (0.1*exp((v - 1)/0.1) - v + g*(3 - v))/(8*ms) : 1\ndg/dt = -g/(5*ms) : 1",
        threshold="v > 2", reset="v = 0", method="euler", name="group",
        refractory=refractory,
    )  # fmt: skip
    s = Synapses(source, group, "w : 1", on_pre=on_pre, name="s")
    s.connect()
    s.w, s.delay = "0.1 + 0.02*j + 0.005*i", 0.3 * ms
    other = Synapses(source, group, "w : 1", on_pre="g_post += w*(1.5 - g_post)", name="other")
    other.connect()
    other.w, other.delay = 0.02, 0.3 * ms
    loss = bep.Sum(bep.SpikeTimes(group, "t/(10*ms)"))
    return bep.EventPropModel(
        [source, group, s, other],
        train=[s.w, source.z, s.delay, other.w, other.delay],
        loss=loss,
        duration=14 * ms,
        **options,
    )
