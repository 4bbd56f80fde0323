"""Small networks of continuously coupled neurons, in the format of the reference cases."""

from __future__ import annotations

from itertools import product

import numpy as np

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
