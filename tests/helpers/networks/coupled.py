"""Small networks of continuously coupled neurons, some in the format of the reference cases."""

from __future__ import annotations

from itertools import product

import numpy as np
from brian2 import NeuronGroup, Synapses, linked_var, ms, start_scope

import brian_eventprop as bep

#: Kind of network: the equations, threshold and reset of its neurons, what is summed, what is
#: trained besides weights and delays, the on_pre code of spikes among them, and of inputs.
KINDS = {
    "gap junctions": dict(
        model="dv/dt = (I - v + S)/tau : 1\ndI/dt = -I/taus : 1",
        threshold="v > 1",
        reset="v = 0",
        summed="w*(v_pre - v_post)",
        params={"tau": 0.015, "taus": 0.005},
        weight=(0.1, 0.4),
        drive=(3.0, 5.0),
    ),
    "soft reset": dict(
        model="dv/dt = (I - v + S)/tau : 1\ndI/dt = -I/taus : 1",
        threshold="v > 1",
        reset="v -= 0.7; I = 0.5*I",
        summed="w*(v_pre - v_post)",
        params={"tau": 0.015, "taus": 0.005},
        weight=(0.1, 0.4),
        drive=(3.0, 5.0),
    ),
    # delta synapses make v jump, too
    "delta": dict(
        model="dv/dt = (b - v + S)/tau : 1",
        threshold="v > 1",
        reset="v = 0",
        summed="w*(v_pre - v_post)",
        params={"tau": 0.015, "b": 0.7},
        weight=(0.1, 0.4),
        drive=(0.2, 0.45),
        on_pre="v_post += w",
        sent=(0.02, 0.06),
    ),
    # arrivals one by one, at a state that others read
    "saturating": dict(
        model="dv/dt = (3*x - v + S)/tau : 1\ndx/dt = -x/taus : 1",
        threshold="v > 1",
        reset="v = 0",
        summed="w*(x_pre - 0.2*v_pre)",
        params={"tau": 0.015, "taus": 0.01},
        weight=(0.3, 0.9),
        drive=(0.5, 0.8),
        on_pre="x_post += w*(1 - x_post)",
        sent=(0.05, 0.2),
    ),
    "refractory": dict(
        model="dv/dt = (I - v + S)/tau : 1 (unless refractory)\ndI/dt = -I/taus : 1",
        threshold="v > 1",
        reset="v = 0",
        refractory=0.00213,
        summed="w*(v_pre - v_post)",
        params={"tau": 0.015, "taus": 0.005},
        weight=(0.1, 0.4),
        drive=(4.0, 6.0),
    ),
    "NMDA": dict(
        model="dv/dt = (I - v + S*(2 - v)/(1 + 0.3*exp(-2*v)))/tau : 1\n"
        "dI/dt = -I/taus : 1\ndx/dt = -x/taux : 1\ndg/dt = (4*x*(1 - g) - g)/taug : 1",
        threshold="v > 1",
        reset="v = 0; x += 1",
        summed="w*g_pre",
        params={"tau": 0.015, "taus": 0.005, "taux": 0.002, "taug": 0.02},
        weight=(0.3, 0.8),
        drive=(4.0, 6.0),
        method="exponential_euler",
    ),
    # the sum is a product of both ends
    "conductance": dict(
        model="dv/dt = (I - v + S)/tau : 1\ndI/dt = -I/taus : 1\ndg/dt = -g/taug : 1",
        threshold="v > 1",
        reset="v = 0; g += 0.5",
        summed="w*g_pre*(2 - v_post)",
        params={"tau": 0.015, "taus": 0.005, "taug": 0.01},
        weight=(0.1, 0.4),
        drive=(3.0, 5.0),
    ),
    "QIF": dict(
        model="dv/dt = (v**2 + I + S)/tau : 1\ndI/dt = -I/taus : 1",
        threshold="v > 10",
        reset="v = -10",
        summed="w*(v_pre - v_post)",
        params={"tau": 0.01, "taus": 0.01},
        weight=(0.02, 0.08),
        drive=(3.0, 5.0),
        method="rk4",
    ),
}


def case(kind: str, seed: int, n: int = 3, duration: float = 0.02) -> dict:
    """A network of a kind: inputs, coupled neurons with delayed spikes between them, outputs."""
    k, rng = KINDS[kind], np.random.default_rng(seed)
    pairs = [(i, j) for i, j in product(range(n), range(n)) if i != j]
    everyone = list(product(range(n), range(n)))

    def synapses(pre, post, ends, low, high, on_pre="", **more):
        i, j = zip(*ends, strict=True)
        w, delay = rng.uniform(low, high, len(ends)), rng.uniform(0.0005, 0.004, len(ends))
        numbers = dict(i=list(i), j=list(j), w=w.round(4).tolist(), delay=delay.round(6).tolist())
        return dict(pre=pre, post=post, on_pre=on_pre, **numbers, **more)

    times = np.sort(rng.uniform(0.0005, 0.7 * duration, 2 * n)).round(6)
    on_pre = k.get("on_pre", "I_post += w")
    hidden = {key: k[key] for key in ("model", "threshold", "reset", "params")}
    hidden |= {"N": n, "summed": ["S"], "refractory": k.get("refractory")}
    hidden["units"] = {p: "second" if p.startswith("tau") else "1" for p in k["params"]}
    out = dict(
        N=1, model="du/dt = (J - u)/tau : 1\ndJ/dt = -J/taus : 1", threshold=None, reset="",
        params={"tau": 0.01, "taus": 0.005}, units={"tau": "second", "taus": "second"},
    )  # fmt: skip
    return dict(
        groups={"hid": hidden, "out": out},
        inputs={"inp": dict(N=n, i=(np.arange(2 * n) % n).tolist(), t=times.tolist())},
        synapses={
            "s_in": synapses("inp", "hid", everyone, *k["drive"], on_pre),
            "s_rec": synapses("hid", "hid", pairs, *k.get("sent", (-1.0, 1.0)), on_pre),
            "couple": synapses("hid", "hid", pairs, *k["weight"], summed={"S": k["summed"]}),
            "s_out": synapses("hid", "out", [(i, 0) for i in range(n)], 1.0, 2.0, "J_post += w"),
        },
        duration=duration,
        loss={"integral": {"out": "u**2", "hid": "0.1*v" if kind != "QIF" else "0.1*I"}},
        grads=[
            ["synapses", "s_in", "w"], ["synapses", "s_in", "delay"], ["synapses", "s_rec", "w"],
            ["synapses", "s_rec", "delay"], ["synapses", "couple", "w"], ["groups", "hid", "tau"],
        ] + [["groups", "hid", "refractory"]] * ("refractory" in k),
    )  # fmt: skip


def below_threshold(followers="followers"):
    """Groups that never spike, coupled in many ways, and what may be trained."""
    start_scope()
    rates = NeuronGroup(
        4,
        """dr/dt = (tanh(S) - r)/tau + slow*(S + back)*u : 1
        du/dt = (r - u)/(8*ms) : 1
        tau : second
        slow : Hz (shared)
        p : 1
        S : 1
        back : 1""",
        method="rk2",
        name="rates",
    )
    rates.tau, rates.r, rates.slow = [9, 10, 11, 12] * ms, [0.3, -0.2, 0.5, 0.1], 0.04 / ms
    rates.p, rates.back = [0.5, 1, 1.5, 2], [0.1, 0.2, 0.3, 0.4]
    follow = NeuronGroup(
        3,
        """dx/dt = (p*y*y - x)/(5*ms) : 1
        y : 1 (linked)
        p : 1 (linked)""",
        method="euler",
        name=followers,
    )
    follow.x = [0.2, 0.1, 0]
    follow.y = linked_var(rates, "r", index=[2, 0, 2])
    follow.p = linked_var(rates, "p", index=[1, 1, 3])
    within = Synapses(
        rates[1:],
        rates,
        """w : 1
        c : 1 (shared)
        gain = c*w : 1
        S_post = gain*tanh(r_pre + 0.1*i)
                 + 0.1*w**2*(r_pre - r_post)**2*cos(t/(5*ms)) : 1 (summed)""",
        name="within",
    )
    within.connect(i=[0, 1, 2, 0, 2, 1], j=[3, 0, 0, 1, 1, 2])
    within.w, within.c = [0.5, -1, 0.8, 2, 0.3, 0.6], 1.3
    between = Synapses(
        rates[:2], follow, "k : 1\nback_pre = k*x_post*tau_pre/(10*ms) : 1 (summed)", name="between"
    )
    between.connect()
    between.k = np.linspace(-0.4, 0.6, len(between))
    train = [within.w, within.c, between.k, rates.tau, rates.slow, rates.p, rates.r, follow.x]
    train += [rates.back]
    return [rates, follow, within, between], train


def model_below_threshold(followers="followers", **options):
    """Return a model of them."""
    objects, train = below_threshold(followers)
    rates, follow = objects[:2]
    loss = bep.losses.Sum(
        bep.Integral(rates, "r**2 + 0.2*S"),
        bep.Final(follow, "x"),
        bep.Final(rates, "back*u"),
        bep.Value(rates, "S*r", at=2.5 * ms),
    )
    return bep.EventPropModel(objects, train=train, loss=loss, duration=5 * ms, **options)


def pooled(names, threshold, **options):
    """A sum over neurons that a group without equations sends back to them, as in NMDA pools."""
    start_scope()
    group = NeuronGroup(
        4,
        """dv/dt = (J*(1.5 - v) + 1.3 - v)/(10*ms) : 1
        ds/dt = -s/(20*ms) + 0.1*v/ms : 1
        J : 1""",
        threshold=f"v > {threshold}",
        reset="v = 0; s += 0.3",
        method="euler",
        name="cells",
    )
    group.v = [0.1, 0.5, 0.9, 0.3]
    pool = NeuronGroup(2, "total : 1\nb : 1", name="pool")
    there = Synapses(group, pool, "w : 1\ntotal_post = w*s_pre : 1 (summed)", name=names[0])
    there.connect(i=[0, 1, 2, 3], j=[0, 0, 1, 1])
    there.w, pool.b = [0.3, 0.2, 0.4, 0.1], [1, 2]
    model = "k : 1\nJ_post = k*total_pre*(1 + 0.1*b_pre) : 1 (summed)"
    back = Synapses(pool, group, model, name=names[1])
    back.connect()
    back.k = np.linspace(0.1, 0.5, 8)
    objects = [group, pool, there, back]
    loss = bep.losses.Sum(bep.Integral(group, "v**2"), bep.Final(pool, "total"))
    train = [there.w, back.k, pool.b, group.v, group.s]
    return objects, bep.EventPropModel(objects, train=train, loss=loss, duration=10 * ms, **options)


def batch(n_trials, seed=0):
    """Return random spikes of the inputs of a reference case."""
    rng = np.random.default_rng(seed)
    trials = np.repeat(np.arange(n_trials), 8)
    times, channels = rng.uniform(0, 0.015, len(trials)), rng.integers(0, 3, len(trials))
    return bep.SpikeData(times, channels, trials, n_trials, 3)
