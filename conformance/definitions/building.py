"""Parts that the networks of the suite are made of."""

from __future__ import annotations

import numpy as np

#: Functions that make networks, by name, in the order in which they are defined.
NETWORKS = {}


def network(make):
    """Put a function among the networks: its name is theirs, its docstring their description."""
    NETWORKS[make.__name__] = make
    return make


def numbers(values, digits=4):
    return [round(float(x), digits) for x in values]


def parameters(values: dict) -> dict:
    """Return ``{"tau": 0.02, "g": (1e-9, "siemens")}`` as entries of a file.

    Names that begin with ``tau`` or ``t_`` are seconds; other numbers have no unit unless given.
    """
    out = {}
    for name, value in values.items():
        if not isinstance(value, tuple):
            value = value, "second" if name.startswith(("tau", "t_")) else "1"
        out[name] = {"value": value[0], "unit": value[1]}
    return out


def group(size, equations, threshold=None, reset=(), refractory=None, initial=None, **values):
    out = {
        "size": size,
        "equations": [line.strip() for line in equations.strip().splitlines()],
        "threshold": threshold,
        "reset": [reset] if isinstance(reset, str) else list(reset),
        "refractory": refractory,
        "parameters": parameters(values),
        "initial": initial or {},
    }
    return out


LIF = """dv/dt = (I - v)/tau_m : 1
dI/dt = -I/tau_s : 1"""


def lif(size, threshold="v > 1", reset="v = 0", tau_m=0.02, tau_s=0.005, **more):
    return group(size, LIF, threshold, reset, tau_m=tau_m, tau_s=tau_s, **more)


def leaky(size, tau_m=0.02, tau_s=0.005, **more):
    """Neurons without a threshold, which are read out."""
    return group(size, LIF, tau_m=tau_m, tau_s=tau_s, **more)


def spikes(rng, size, count, stop, start=0.001):
    """Return inputs with ``count`` spikes, no two of them closer than 0.1 ms."""
    slots = rng.choice(int((stop - start) / 1e-4), count, replace=False)
    times = np.sort(start + 1e-4 * slots + rng.uniform(0, 4e-5, count))
    neurons = rng.permutation(np.arange(count) % size)
    return {"size": size, "neuron": neurons.tolist(), "time": numbers(times, 7)}


def pathway(
    rng, source, target, pairs, w=None, on_pre="I_post += w", on_post=(), equations="",
    delay=(0.001, 0.008), initial=None, **values,
):  # fmt: skip
    """Return synapses; ``w`` is a range or values, ``delay`` a range or one number for all."""
    i, j = (list(k) for k in zip(*pairs, strict=True))
    if isinstance(w, tuple) and len(w) == 2 and not isinstance(w[1], str):
        w = numbers(rng.uniform(*w, len(i)))
    if isinstance(delay, tuple):
        delay = numbers(rng.uniform(*delay, len(i)), 7)
    return {
        "source": source,
        "target": target,
        "source_index": i,
        "target_index": j,
        "equations": [line.strip() for line in equations.strip().splitlines()],
        "on_pre": [on_pre] if isinstance(on_pre, str) and on_pre else list(on_pre or ()),
        "on_post": [on_post] if isinstance(on_post, str) else list(on_post),
        "parameters": parameters(({"w": w} if w is not None else {}) | values),
        "initial": initial or {},
        "delay": delay,
    }


def all_to_all(m, n):
    return [(i, j) for i in range(m) for j in range(n)]


def others(n):
    return [(i, j) for i in range(n) for j in range(n) if i != j]


def readout(kind, of, expression, loss, **more):
    return {"kind": kind, "of": of, "expression": expression, "loss": loss, **more}


def weighted(*weights):
    return {"kind": "weighted_sum", "weights": list(weights)}


def integral(of="groups/out", expression="v**2", weights=(1.0, -0.5)):
    return readout("integral", of, expression, weighted(*weights))


def spike_times(of, weights, expression="t"):
    return readout("spike_times", of, expression, weighted(*weights))


def file(duration, groups, synapses, readouts, trained, inputs=None, tags=()):
    return {
        "duration": duration,
        "tags": list(tags),
        "groups": groups,
        "inputs": inputs or {},
        "synapses": synapses,
        "readouts": readouts if isinstance(readouts, list) else [readouts],
        "trained": [_path(path) for path in trained],
    }


def _path(short: str) -> str:
    """Return ``s_in.w`` as the path ``synapses/s_in/parameters/w``.

    Names of synapses begin with ``s_``; ``.v(0)`` is an initial value, ``.time`` one of inputs.
    """
    owner, name = short.split(".")
    if name == "time":
        return f"inputs/{owner}/time"
    kind = "synapses" if owner.startswith("s_") else "groups"
    if name == "delay":
        return f"{kind}/{owner}/delay"
    if name.endswith("(0)"):
        return f"{kind}/{owner}/initial/{name[:-3]}"
    return f"{kind}/{owner}/parameters/{name}"


def layers(rng, hidden, sizes, duration, count, trained, readout=None, tags=(), w_in=(3, 6.5),
           recurrent=None, s_in=None, s_out=None, delay=(0.001, 0.008)):  # fmt: skip
    """Return inputs, a hidden group that is given, and two leaky neurons that are read out."""
    m, n = sizes
    synapses = {"s_in": s_in or pathway(rng, "inp", "hid", all_to_all(m, n), w_in, delay=delay)}
    if recurrent is not None:
        synapses["s_rec"] = recurrent
    groups = {"hid": hidden}
    if readout is None:
        groups["out"] = leaky(2)
        synapses["s_out"] = s_out or pathway(
            rng, "hid", "out", all_to_all(n, 2), (-2, 3), delay=delay
        )
    return file(
        duration, groups, synapses, readout or integral(), trained,
        {"inp": spikes(rng, m, count, 0.6 * duration)}, tags,
    )  # fmt: skip
