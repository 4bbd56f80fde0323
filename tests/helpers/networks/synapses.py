"""Networks whose synapses have states: the cases of ``tests/reference_synapses``, and rules.

Each reference case has the gradients that an independent simulation, in which every synapse is part
of one system of equations, found by central differences.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, second

import brian_eventprop as bep
from helpers.watch import pathways_of

FOLDER = Path(__file__).parents[2] / "reference_synapses"

#: What synapses do: equations, on_pre, on_post.
RULES = {
    "depression": (
        "U : 1\ntaud : second\nx : 1\nlast : second",
        "x = 1 - (1 - x)*exp(-(t - last)/taud)\nI_post += w*U*x\nx -= U*x\nlast = t",
        None,
    ),
    "voltage": (
        "eta : 1\ndap/dt = -ap/(15*ms) : 1 (event-driven)",
        "I_post += w\nap += 1\nw = clip(w - 0.3*eta*(v_post - 0.4), 0, 50)",
        "w = clip(w + eta*ap*v_post, 0, 50)",
    ),
    "triplet": (
        "eta : 1\ntaux : second\nda1/dt = -a1/taux : 1 (event-driven)\n"
        "da2/dt = -a2/(40*ms) : 1 (event-driven)\ndb1/dt = -b1/(12*ms) : 1 (event-driven)\n"
        "db2/dt = -b2/(50*ms) : 1 (event-driven)",
        "I_post += w\nw = clip(w - eta*b1*(1 + 0.5*a2), 0, 60)\na1 += 1\na2 += 1",
        "w = clip(w + eta*a1*(1 + 0.5*b2), 0, 60)\nb1 += 1\nb2 += 1",
    ),
    "bounded": (
        "eta : 1\nwmax : 1\ndap/dt = -ap/(15*ms) : 1 (event-driven)\n"
        "daq/dt = -aq/(20*ms) : 1 (event-driven)",
        "I_post += w\nap += 1\nw -= eta*aq*w/wmax",
        "aq += 1\nw += eta*ap*(1 - w/wmax)",
    ),
    "two pathways": (
        "eta : 1\nc : 1",
        {"pre": "I_post += w*(1 + 0.1*c)", "late": "c += eta*v_post"},
        "w += 0.3*eta*c\nc *= 0.9",
    ),
}

_PARAMETERS = {
    "eta": lambda u: 0.2 * u,
    "taux": lambda u: 15 * u * ms,
    "wmax": lambda u: 70 * u,
    "U": lambda u: 0.4 * u,
    "taud": lambda u: 25 * u * ms,
    "x": lambda u: 0.9 * u,
    "c": lambda u: 0.1 * u,
}


def reference(name: str, dt=0.1 * ms, **options):
    """Return a case's content, its model and the trained views by the path of their gradient."""
    data = json.loads((FOLDER / f"{name}.json").read_text())
    defaultclock.dt = dt
    objects = {key: _group(key, g) for key, g in data["groups"].items()}
    for key, g in data["inputs"].items():
        objects[key] = SpikeGeneratorGroup(g["N"], g["i"], np.array(g["t"]) * second, name=key)
    for key, s in data["synapses"].items():
        objects[key] = _synapses(key, s, objects)
    loss = data["loss"]
    readouts = [bep.Integral(objects[g], e) for g, e in loss.get("integral", {}).items()]
    readouts += [bep.Final(objects[s], e) for s, e in loss.get("final_synapse", {}).items()]
    train = {"/".join(path): getattr(objects[path[1]], path[-1]) for path in data["grads"]}
    model = bep.EventPropModel(
        list(objects.values()),
        train=list(train.values()),
        loss=bep.Sum(*readouts),
        duration=data["duration"] * second,
        **options,
    )
    return data, model, train


def errors(data, model, train) -> dict[str, float]:
    """Run a case; return the largest error of each gradient, relative to its largest entry."""
    model.run()
    gradients, found = model.gradient(), {}
    for path, view in train.items():
        expected = np.atleast_1d(data["expected"]["grads"][path])
        value = np.asarray(gradients[view])
        value = value.sum(keepdims=True) if len(expected) < len(value) else value
        found[path] = np.abs(value - expected).max() / np.abs(expected).max()
    return found


def _unit(name):
    return ("second", second) if name.startswith("tau") else ("1", 1)


def _declared(names) -> str:
    return "".join(f"\n{name} : {_unit(name)[0]}" for name in names)


def _set(obj, values):
    for name, value in values.items():
        setattr(obj, name, np.array(value) * _unit(name)[1])


def _group(name, data):
    model = data["model"] + _declared(data["params"]) + _declared(data.get("summed", []))
    method = "rk4" if data.get("summed") else "exact"
    options = {"threshold": data["threshold"], "reset": data["reset"] or None, "method": method}
    group = NeuronGroup(data["N"], model, **options, name=name)
    _set(group, data["params"])
    return group


def _synapses(name, data, objects):
    model = re.sub(r"d(\w+)/dt = 0\*\w+ : 1", r"\1 : 1", data["model"])
    model = re.sub(r"(d\w+/dt = .* : 1)", r"\1 (event-driven)", model) + _declared(data["params"])
    for variable, expression in data.get("summed", {}).items():
        model += f"\n{variable}_post = {expression} : 1 (summed)"
    code = {"on_pre": data["on_pre"] or None, "on_post": data.get("on_post")}
    made = Synapses(objects[data["pre"]], objects[data["post"]], model, **code, name=name)
    made.connect(i=data["i"], j=data["j"])
    if data["on_pre"]:
        made.delay = np.array(data["delay"]) * second
    _set(made, {**data["params"], **data["init"]})
    return made


def plastic(
    rule: str, refractory: bool, seed: int = 1, dt=0.1 * ms, at_once: bool = False, **options
):
    """Return a model of a recurrent group whose input and own synapses follow a rule.

    With ``at_once`` its own synapses have no delay, some of a neuron onto itself.

    Returns
    -------
    model, views, objects
        The model, what it trains, and the Brian2 objects: input, group, synapses from the input,
        recurrent synapses.  Final weights are the second and third readout.
    """
    defaultclock.dt = dt
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 0.04, 20)) * second
    source = SpikeGeneratorGroup(4, rng.integers(0, 4, 20), times, name="source")
    flag = " (unless refractory)" if refractory else ""
    group = NeuronGroup(
        3,
        f"dv/dt = (I - v)/tau : 1{flag}\ndI/dt = -I/(5*ms) : 1\ntau : second",
        threshold="v > 1", reset="v = 0", method="exact", name="group",
        refractory=2 * ms if refractory else False,
    )  # fmt: skip
    group.tau = "(18 + i)*ms"
    inner = 1.0 if refractory else 0.1
    first = _ruled(rule, source, group, 9.0 if refractory else 5.0, rng, "first")
    second_ = _ruled(rule, group, group, inner, rng, "second")
    own = [first, second_]
    if at_once:
        second_.pre.delay = 0 * ms
    for s in own if not refractory else ():
        if "eta" in s.equations.names:
            s.eta = 0.05 * np.asarray(s.eta)  # else they excite each other without end
    views = [group.tau, *(s.w for s in own)]
    for s in own:
        views += [getattr(s, name) for name in _PARAMETERS if name in s.equations.names]
        views += [p.delay for p in pathways_of(s) if p.prepost == "pre"]
    readouts = bep.Integral(group, "v**2*(1 + i)"), bep.Final(first, "w"), bep.Final(second_, "w/2")
    objects = [source, group, first, second_]
    model = bep.EventPropModel(
        objects, train=views, loss=bep.Sum(*readouts), duration=50 * ms, **options
    )
    return model, views, objects


def _ruled(rule, source, target, weight, rng, name):
    model, on_pre, on_post = RULES[rule]
    s = Synapses(source, target, f"w : 1\n{model}", on_pre=on_pre, on_post=on_post, name=name)
    s.connect()
    s.w = weight * rng.uniform(0.7, 1.3, len(s))
    for parameter, value in _PARAMETERS.items():
        if parameter in s.equations.names:
            setattr(s, parameter, value(rng.uniform(0.8, 1.2, len(s))))
    if "eta" in s.equations.names:
        s.eta = np.asarray(s.eta) * weight / 9
    for pathway in pathways_of(s):
        if pathway.prepost == "pre":
            pathway.delay = rng.uniform(0.3, 6, len(s)) * ms
    return s


def trials(seed=0, n=3):
    """Return random spikes of the input of `plastic`."""
    rng = np.random.default_rng(seed)
    times = rng.uniform(0, 0.03, 40)
    channels, numbers = rng.integers(0, 4, 40), rng.integers(0, n, 40)
    return bep.SpikeData(times, channels, numbers, n_trials=n, n_channels=4)
