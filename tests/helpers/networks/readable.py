"""Networks of many kinds for the tests of the reader: each function returns objects and names."""

import numpy as np
from brian2 import (
    Hz,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    Synapses,
    ms,
    mV,
)

from helpers.watch import pathways_of


def spikes_in(n=12, steps=300, count=220, seed=0, name="inp"):
    rng = np.random.default_rng(seed)
    key = np.unique(rng.integers(0, n, count) * 100000 + rng.integers(0, steps, count))
    return SpikeGeneratorGroup(n, key // 100000, (key % 100000) * 0.1 * ms, name=name)


def connect(synapses, rng, p=0.4, weight=0.5, delay=3.0):
    n, m = len(synapses.source), len(synapses.target)
    pre, post = np.nonzero(rng.random((n, m)) < p)
    synapses.connect(i=pre, j=post)
    if "w" in synapses.equations.names:
        synapses.w = weight * rng.random(len(synapses))
    pathways = {p.prepost: p for p in pathways_of(synapses)}
    if "pre" in pathways and not pathways["pre"].variables["delay"].scalar:
        synapses.delay = rng.random(len(synapses)) * delay * ms


def lif(seed=1):
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    model = """dv/dt = (I - v)/tau_m : 1 (unless refractory)
               dI/dt = -I/tau_s : 1"""
    G = NeuronGroup(
        15, model, threshold="v > 1", reset="v = 0", refractory=2 * ms, method="exact", name="G"
    )
    G.v = "0.9*i/N"
    feed = Synapses(inp, G, "w : 1", on_pre="I_post += w", name="feed")
    connect(feed, rng, weight=1.2)
    rec = Synapses(G, G, "w : 1", on_pre="I += w", name="rec")
    connect(rec, rng, p=0.3, weight=0.8)
    rec.delay_[::3] = 0
    kick = Synapses(G[:5], G[7:], "w : 1", on_pre="v_post -= 0.1*w", delay=1 * ms, name="kick")
    connect(kick, rng)
    return [inp, G, feed, rec, kick], dict(tau_m=20 * ms, tau_s=5 * ms)


def lif_without_refractory(seed=2):
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    model = """dv/dt = (I - v)/tau_m : 1
               dI/dt = -I/tau_s : 1"""
    G = NeuronGroup(15, model, threshold="v > 1", reset="v -= 1", method="exact", name="G")
    out = NeuronGroup(3, model, method="exact", name="out")
    feed = Synapses(inp, G, "w : 1", on_pre="I_post += w", name="feed")
    connect(feed, rng, weight=1.5)
    feed.connect(i=[0, 0, 1], j=[1, 1, 1])  # several synapses between two neurons
    feed.w["i == 0"] = 0.7
    read = Synapses(G, out, "w : 1", on_pre="I_post += w", name="read")
    connect(read, rng, delay=0)
    return [inp, G, out, feed, read], dict(tau_m=20 * ms, tau_s=5 * ms)


def adaptive_threshold(seed=3):
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    G = NeuronGroup(
        12,
        """dv/dt = (I - v)/tau_m : 1
           dI/dt = -I/tau_s : 1
           dth/dt = (th0 - th)/tau_t : 1
           drive = 2*v : 1
           margin = drive - 2*th : 1
           th0 : 1
           count : 1
           tau_t : second (shared)""",
        threshold="margin > 0 and drive > 0.5",
        reset="v -= th; th += 0.05*drive; count += 1",
        method="euler",
        name="G",
    )
    G.th0 = "0.6 + 0.02*i"
    G.th = "th0"
    G.tau_t = 50 * ms
    feed = Synapses(inp, G, "w : 1", on_pre="I_post += w", name="feed")
    connect(feed, rng, weight=2)
    rec = Synapses(G, G, "w : 1", on_pre="I_post -= w", name="rec")
    connect(rec, rng, p=0.3, weight=0.3, delay=0)
    return [inp, G, feed, rec], dict(tau_m=20 * ms, tau_s=5 * ms)


def conductances(seed=4):
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    G = NeuronGroup(
        12,
        """dv/dt = (ge*(Ee-v) + gi*(Ei-v) - (v-El))/taum : volt (unless refractory)
           dge/dt = -ge/taue : 1
           dgi/dt = -gi/taui : 1
           El : volt (constant)""",
        threshold="v > Vt",
        reset="v = Vr",
        refractory="1*ms + 0.05*i*ms",
        method="exponential_euler",
        namespace=dict(taum=20 * ms, taue=5 * ms),
        name="G",
    )
    G.El = -60 * mV
    G.v = "El + i*mV/4"
    feed = Synapses(inp, G, "w : 1", on_pre="ge_post += w", name="feed")
    connect(feed, rng, weight=0.6)
    saturate = Synapses(G, G, "w : 1", on_pre="gi_post += w*(1 - gi_post)", name="saturate")
    connect(saturate, rng, p=0.5, weight=0.2)
    names = dict(taui=10 * ms, Ee=0 * mV, Ei=-80 * mV, Vt=-50 * mV, Vr=-60 * mV)
    return [inp, G, feed, saturate], names


def quadratic(method, seed=5):
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    G = NeuronGroup(
        10,
        """dv/dt = (v*(v-1) + I + drive)/tau : 1 (unless refractory)
           dI/dt = -I/tau_s : 1
           drive = 0.1*sin(2*pi*t/T0)*a : 1
           a : 1""",
        threshold="v > 2",
        reset="v = -0.5",
        refractory=1 * ms,
        method=method,
        name="G",
    )
    G.a = "1 + i/N"
    feed = Synapses(inp, G, "w : 1", on_pre="I_post += w", name="feed")
    connect(feed, rng, weight=2)
    rec = Synapses(G, G, "w : 1", on_pre="I_post += w; v_post += 0.01*w", name="rec")
    connect(rec, rng, p=0.3, weight=0.3)
    return [inp, G, feed, rec], dict(tau=10 * ms, tau_s=5 * ms, T0=15 * ms)


def frozen_coupling(method, seed=6):
    """An adaptation current that goes on while the potential it depends on is frozen."""
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    G = NeuronGroup(
        10,
        """dv/dt = -v/tau : 1 (unless refractory)
           du/dt = (0.5*v - u)/tau_u : 1""",
        threshold="v >= 0.8",
        reset="""v = 0.2*u  # below rest
                 u += 0.1""",
        refractory=3 * ms,
        method=method,
        name="G",
    )
    feed = Synapses(inp, G, "w : 1", on_pre="v_post += w; u_post -= 0.1*w", name="feed")
    connect(feed, rng, weight=0.8)
    return [inp, G, feed], dict(tau=10 * ms, tau_u=30 * ms)


def synaptic_code(seed=7):
    """Everything that on_pre may say: parameters of both sides, indices, subexpressions, time."""
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    A = NeuronGroup(
        10,
        """dv/dt = (g - v)/tau : 1
           dg/dt = -g/(5*ms) : 1
           gain : 1
           shift : 1 (shared)
           last : second
           strength = 0.5*gain*g : 1""",
        threshold="v > 0.7",
        reset="v = 0",
        method="euler",
        name="A",
    )
    A.gain = "0.5 + 0.1*i"
    A.shift = 0.3
    feed = Synapses(
        inp,
        A[3:],
        """w : 1
           scale : 1 (shared)
           effective = w*scale*(1 + 0.01*j) : 1""",
        on_pre={
            "a": "g_post += effective",
            "b": "x = 0.1*w*gain_post; g_post += x*exp(-t/(100*ms))",
        },
        delay={"b": 0.5 * ms},
        name="feed",
    )
    connect(feed, rng, p=0.6, weight=1.5)
    feed.scale = 1.1
    feed.a.delay = rng.random(len(feed)) * 2 * ms
    rec = Synapses(
        A[:6],
        A,
        "w : 1",
        on_pre="""g_post = clip(0.9*g_post + w*gain_pre*(i + 1)/N_pre + shift_post*0.1, 0, 4)
                  last_post = t""",
        name="rec",
    )
    connect(rec, rng, p=0.4, weight=0.2)
    soft = Synapses(A, A, "w : 1", on_pre="g_post += w*exp(-delay/(2*ms))*0.1", name="soft")
    connect(soft, rng, p=0.2)
    return [inp, A, feed, rec, soft], dict(tau=10 * ms)


def several_groups(seed=8):
    """Poisson input, two groups, pathways whose names decide their order, default methods."""
    rng = np.random.default_rng(seed)
    P = PoissonGroup(20, 150 * Hz, name="P")
    model = """dv/dt = (b - v)/tau : 1 (unless refractory)
               b : 1"""
    E = NeuronGroup(
        14,
        model,
        threshold="v > 1",
        reset="v = 0",
        refractory="ref",
        name="E",
        namespace={"ref": 1.5 * ms},
    )
    F = NeuronGroup(6, "dv/dt = -v**3/tau : 1", threshold="v > 0.3", reset="v = 0", name="F")
    E.b = 0.8 + rng.random(14) * 0.7
    feed = Synapses(P[5:], E, on_pre="v_post += we", name="feed")
    feed.connect(p=0.5)
    mix = Synapses(E, F, "w : 1", on_pre={"zz": "v_post += w", "aa": "v_post *= 0.8"}, name="mix")
    mix.connect(i=np.repeat(np.arange(14), 6), j=np.tile(np.arange(6), 14))
    mix.w = rng.random(len(mix))
    mix.zz.delay = rng.random(len(mix)) * ms
    back = Synapses(F, E, on_pre="v_post -= 0.05", delay=0.3 * ms, name="back")
    back.connect()
    return [P, E, F, feed, mix, back], dict(tau=10 * ms, we=0.15)


def conditions(seed=9):
    """Boolean subexpressions in the equations, the threshold, the reset and on_pre."""
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    G = NeuronGroup(
        8,
        """dv/dt = (g*int(low) - v - 0.1*int(late))/tau : 1 (unless refractory)
           dg/dt = -g/(5*ms) : 1
           low = v < 0.8 : boolean
           late = t > 10*ms : boolean (shared)""",
        threshold="v > 0.5 and low",
        reset="v = -0.1*int(low)",
        refractory=1 * ms,
        method="euler",
        name="G",
    )
    feed = Synapses(
        inp, G, "w : 1\nstrong = w > 0.5 : boolean", on_pre="g_post += w*int(strong)", name="feed"
    )
    connect(feed, rng, weight=2.5)
    return [inp, G, feed], dict(tau=10 * ms)


def counts(seed=10):
    """Numbers of neurons and of synapses in synaptic code, between parts of groups, too."""
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    model = "dv/dt = (I - v)/tau : 1\ndI/dt = -I/(5*ms) : 1"
    G = NeuronGroup(12, model, threshold="v > 0.6", reset="v = 0", method="euler", name="G")
    feed = Synapses(inp, G, "w : 1", on_pre="I_post += w*(N_incoming + 1)/N_pre", name="feed")
    connect(feed, rng, weight=9)
    part = Synapses(
        G[2:9],
        G[4:],
        """w : 1
           scaled = w/N_incoming : 1""",
        on_pre="I_post += scaled - 0.1*w/N_outgoing + 0.01*N_post/N",
        name="part",
    )
    connect(part, rng, p=0.3, weight=2)
    return [inp, G, feed, part], dict(tau=10 * ms)


def never_spiking(seed=11):
    """Conditions that are never met, as for neurons whose potential is fitted."""
    rng = np.random.default_rng(seed)
    inp = spikes_in(seed=seed)
    model = """dv/dt = (I - v)/tau : 1 (unless refractory)
               dI/dt = -I/(5*ms) : 1
               low : 1"""
    groups, parts = [], []
    for k, threshold in enumerate(("False", "not True or v > 1 and False")):
        G = NeuronGroup(
            4, model, threshold=threshold, reset="v = 0; low += 1", method="euler", name=f"G{k}",
            refractory=2 * ms,
        )  # fmt: skip
        s = Synapses(inp, G, "w : 1", on_pre="I_post += w", name=f"s{k}")
        connect(s, rng)
        groups.append(G)
        parts.append(s)
    return [inp, *groups, *parts], dict(tau=10 * ms)


def periodic(seed=12):
    """Spikes that are repeated, and inputs with time steps of their own."""
    rng = np.random.default_rng(seed)
    periodic = SpikeGeneratorGroup(4, [2, 0, 1, 1], [0, 0.41, 0.5, 6.2] * ms, period=6.3 * ms)
    coarse = SpikeGeneratorGroup(
        4, [0, 3, 2], [0.3, 1.9, 6.99] * ms, period=8 * ms, dt=0.5 * ms, name="coarse"
    )
    fine = SpikeGeneratorGroup(
        4, [0, 1, 2, 3], [1.1, 1.1, 13.02, 27.3] * ms, dt=0.05 * ms, name="fine"
    )
    model = """dv/dt = (I - v)/tau : 1 (unless refractory)
               dI/dt = -I/(5*ms) : 1"""
    G = NeuronGroup(
        8, model, threshold="v > 0.5", reset="v = 0", refractory=1 * ms, method="exact", name="G"
    )
    parts = []
    for source in (periodic, coarse, fine):
        s = Synapses(source, G, "w : 1", on_pre="I_post += w; v_post += 0.1*w")
        connect(s, rng, p=0.6, weight=2)
        s.delay = rng.integers(0, 4, len(s)) * (0.3 if source is periodic else 0.5) * ms
        parts.append(s)
    parts[2].delay = rng.integers(0, 20, len(parts[2])) * 0.1 * ms
    return [periodic, coarse, fine, G, *parts], dict(tau=10 * ms)


NETWORKS = {
    "conditions": conditions,
    "counts": counts,
    "never spiking": never_spiking,
    "periodic": periodic,
    "lif": lif,
    "lif without refractory": lif_without_refractory,
    "adaptive threshold": adaptive_threshold,
    "conductances": conductances,
    "synaptic code": synaptic_code,
    "several groups": several_groups,
}
NETWORKS |= {f"quadratic, {m}": lambda m=m: quadratic(m) for m in ("euler", "rk2", "rk4", "heun")}
NETWORKS |= {
    f"frozen coupling, {m}": lambda m=m: frozen_coupling(m)
    for m in ("exact", "euler", "rk4", "exponential_euler")
}
