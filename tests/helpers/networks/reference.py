"""The reference cases of ``tests/reference`` as real Brian2 objects.

Each case is a small network with the gradients that an independent event-driven integrator found by
central differences (see ``tests/reference/README.md``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, second

import brian_eventprop as bep
from brian_eventprop.losses import Sum
from brian_eventprop.readouts import Final, Integral, SpikeTimes

FOLDER = Path(__file__).parents[2] / "reference"
COUPLED = sorted(f"coupled/{path.stem}" for path in FOLDER.glob("coupled/*.json"))
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
METHODS = {
    "adex": "rk4",
    "conductance": "exponential_euler",
    "coupled/nmda": "exponential_euler",
    "coupled/qif": "rk4",
    "qif": "rk4",
    "saturating": "exponential_euler",
}


def load(name):
    """The content of one case's JSON file; those with ``(summed)`` variables are in a folder."""
    return json.loads((FOLDER / f"{name}.json").read_text())


@dataclass
class ReferenceCase:
    """A case as Brian2 objects.

    ``train`` maps the JSON's gradient keys (``'synapses/s_in/w'``) to Brian2 views, ``expected`` to
    the reference gradients; ``duration`` is a Quantity.
    """

    name: str
    groups: dict
    inputs: dict
    synapses: dict
    train: dict
    readouts: tuple
    duration: object
    expected: dict
    loss_value: float
    spikes: dict

    @property
    def objects(self):
        """All Brian2 objects of the network."""
        return [*self.groups.values(), *self.inputs.values(), *self.synapses.values()]

    @property
    def loss(self):
        """The loss: the sum of all readouts."""
        return Sum(*self.readouts)


def build(name, dt=0.1 * ms):
    """Build the Brian2 objects of a case on a time grid ``dt``."""
    return build_case(load(name), name, METHODS.get(name, "exact"), dt)


def build_case(data, name, method, dt=0.1 * ms):
    """The same from the content of a file."""
    defaultclock.dt = dt
    groups = {key: _group(key, g, data["loss"], method) for key, g in data["groups"].items()}
    inputs = {
        key: SpikeGeneratorGroup(g["N"], g["i"], np.array(g["t"]) * second, name=key)
        for key, g in data["inputs"].items()
    }
    synapses = {key: _synapses(key, s, {**groups, **inputs}) for key, s in data["synapses"].items()}
    train = {
        "/".join(path): getattr(
            {**groups, **synapses}[path[1]], path[2].replace("refractory", "t_ref")
        )
        for path in data["grads"]
    }
    expected = data["expected"]
    return ReferenceCase(
        name=name,
        groups=groups,
        inputs=inputs,
        synapses=synapses,
        train=train,
        readouts=tuple(_readouts(data["loss"], groups)),
        duration=data["duration"] * second,
        expected={key: np.atleast_1d(value) for key, value in expected["grads"].items()},
        loss_value=expected["loss"],
        spikes=expected["spikes"],
    )


def _group(name, data, loss, method):
    params = dict(data["params"])
    units = dict(data["units"])
    if name in loss.get("spike_time", {}):
        params["c_spike"], units["c_spike"] = loss["spike_time"][name], "1"
    if data.get("refractory"):
        params["t_ref"], units["t_ref"] = data["refractory"], "second"
    lines = [data["model"]]
    for key, value in params.items():
        flags = "constant" if isinstance(value, list) else "constant, shared"
        lines.append(f"{key} : {units[key]} ({flags})")
    lines += [f"{variable} : 1" for variable in data.get("summed", ())]
    group = NeuronGroup(
        data["N"],
        "\n".join(lines),
        threshold=data["threshold"] or None,
        reset=data["reset"] or None,
        refractory="t_ref" if data.get("refractory") else False,
        method=method,
        name=name,
    )
    for key, value in params.items():
        setattr(group, key, np.asarray(value) * (second if units[key] == "second" else 1))
    for key, value in data.get("init", {}).items():
        setattr(group, key, value)
    return group


def _synapses(name, data, groups):
    lines = ["w : 1", *(f"{parameter} : 1 (shared)" for parameter in data.get("params", {}))]
    sums = data.get("summed", {}).items()
    lines += [f"{variable}_post = {expression} : 1 (summed)" for variable, expression in sums]
    ends, on_pre = (groups[data["pre"]], groups[data["post"]]), data["on_pre"] or None
    synapses = Synapses(*ends, "\n".join(lines), on_pre=on_pre, name=name)
    synapses.connect(i=data["i"], j=data["j"])
    synapses.w = data["w"]
    for parameter, value in data.get("params", {}).items():
        setattr(synapses, parameter, value)
    if on_pre:
        synapses.delay = np.array(data["delay"]) * second
    return synapses


def _readouts(loss, groups):
    for name, expression in loss.get("integral", {}).items():
        yield Integral(groups[name], expression)
    for name in loss.get("spike_time", {}):
        yield SpikeTimes(groups[name], "c_spike*t")
    for name, expression in loss.get("final", {}).items():
        yield Final(groups[name], expression)


def model_of(case, **options):
    """The model of a case."""
    return bep.EventPropModel(
        case.objects,
        train=list(case.train.values()),
        loss=case.loss,
        duration=case.duration,
        **options,
    )


def run(name, dt, **options):
    """The case, its result, and each gradient's largest error relative to its largest entry."""
    case = build(name, dt)
    model = model_of(case, **options)
    result = model.run()
    gradients = model.gradient()
    errors = {
        key: np.abs(np.asarray(gradients[view]) - case.expected[key]).max()
        / np.abs(case.expected[key]).max()
        for key, view in case.train.items()
    }
    return case, result, errors


def check(case, result, errors):
    """Gradients within 2 % and spikes within 20 us: what a time step of 1 us leaves."""
    assert max(errors.values()) < 0.02, errors
    assert result.loss == pytest.approx(case.loss_value, rel=5e-3)
    for group, expected in case.spikes.items():
        if not expected["i"]:
            continue
        found = result.spikes[case.groups[group]]
        order = np.lexsort((found.t, found.i))
        expected_order = np.lexsort((expected["t"], expected["i"]))
        np.testing.assert_array_equal(
            np.asarray(found.i)[order], np.asarray(expected["i"])[expected_order]
        )
        times = np.asarray(expected["t"])[expected_order]
        np.testing.assert_allclose(np.asarray(found.t)[order], times, atol=2e-5)
