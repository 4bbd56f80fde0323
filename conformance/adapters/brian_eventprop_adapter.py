"""The networks in Brian2 and brian-eventprop.

    python -m conformance.adapters.brian_eventprop_adapter [--tolerance 1e-13] [NAME ...]
    python -m conformance.adapters.brian_eventprop_adapter --solver clock [--dt 1e-5] [NAME ...]

A file is made into Brian2 objects, which any Brian2 script may use, and these into a model.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

import brian2
import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, second

import brian_eventprop as bep
from conformance.adapters.reporting import report
from conformance.losses import slope, value
from conformance.reader import at

READOUTS = {
    "integral": lambda group, r: bep.Integral(group, r["expression"]),
    "final": lambda group, r: bep.Final(group, r["expression"]),
    "maximum": lambda group, r: bep.Maximum(group, r["expression"]),
    "value": lambda group, r: bep.Value(group, r["expression"], at=np.asarray(r["at"]) * second),
    "spike_times": lambda group, r: bep.SpikeTimes(group, r["expression"]),
    "first_spike": lambda group, r: bep.SpikeTimes(group, r["expression"], which="first"),
}


@dataclass
class Built:
    """A file as Brian2 objects: by path, and what is trained as the views of them that it is."""

    objects: dict
    trained: dict[str, list]
    readouts: list


def statements(lines) -> str | None:
    """Return code as Brian2 writes it, which has no ``max`` and ``min``."""
    code = "\n".join(lines)
    code = re.sub(r"\bmax\(([^(),]+),([^(),]+)\)", r"clip(\1,\2, inf)", code)
    return re.sub(r"\bmin\(([^(),]+),([^(),]+)\)", r"clip(\1, -inf,\2)", code) or None


def in_pathways(lines) -> list[str]:
    """Return the code of as many pathways as are needed so that none reads what it has written.

    Brian2 runs a statement for all synapses before the next one, a file runs all statements for one
    synapse; only with a pathway for each are both the same whatever arrives at once.
    """
    parts, written = [[]], set()
    for line in lines:
        target, expression = re.match(r"\s*(\w+)\s*[-+*/]?=(.*)", line).groups()
        if written & set(re.findall(r"\w+_post\b", expression)):
            parts.append([])
            written = set()
        parts[-1].append(line)
        written.add(target)
    return [statements(part) for part in parts if part]


def declarations(data: dict) -> str:
    """Return the equations with the parameters in Brian2's syntax."""
    lines = list(data["equations"])
    for name, entry in data["parameters"].items():
        flags = "constant" if np.ndim(entry["value"]) else "constant, shared"
        lines.append(f"{name} : {entry['unit']} ({flags})")
    return "\n".join(lines)


def fill(target, data: dict) -> None:
    """Set parameters and initial values; ``name_`` is Brian2's way of giving plain SI numbers."""
    for name, entry in data["parameters"].items():
        setattr(target, f"{name}_", entry["value"])
    for name, entry in data["initial"].items():
        setattr(target, f"{name}_", entry)


def method_for(data: dict):
    """Return Brian2's method: "exact" takes SymPy minutes for more than two coupled equations."""
    coupled = sum(line.startswith("d") and "/dt" in line for line in data["equations"])
    return ("exact", "rk4") if coupled < 3 else "rk4"


def neurons(name: str, data: dict) -> NeuronGroup:
    group = NeuronGroup(
        data["size"],
        declarations(data),
        threshold=data["threshold"],
        reset=statements(data["reset"]),
        refractory=data["refractory"] or False,
        method=method_for(data),
        name=name,
    )
    fill(group, data)
    return group


def synapses(name: str, data: dict, source, target) -> Synapses:
    shared = np.ndim(data["delay"]) == 0
    code = {f"pre_{k}" if k else "pre": c for k, c in enumerate(in_pathways(data["on_pre"]))}
    out = Synapses(
        source,
        target,
        declarations(data),
        on_pre=code or None,
        on_post=statements(data["on_post"]),
        delay={path: data["delay"] * second for path in code} if shared and code else None,
        method=method_for(data),
        name=name,
    )
    out.connect(i=data["source_index"], j=data["target_index"])
    for order, path in enumerate(code):
        getattr(out, path).order = order
        if not shared:
            getattr(out, path).delay = data["delay"] * second
    fill(out, data)
    return out


def views(objects: dict, path: str) -> list:
    """Return what a path of a file is in Brian2: the delay of every pathway, or one variable."""
    owner, name = objects["/".join(path.split("/")[:2])], path.split("/")[-1]
    if name == "delay" and isinstance(owner, Synapses):
        return [getattr(p, name) for p in owner._pathways if p.prepost == "pre"]
    return [getattr(owner, name)]


def build(network: dict) -> Built:
    """Return the Brian2 objects of a file."""
    objects = {f"groups/{n}": neurons(n, d) for n, d in network["groups"].items()}
    for name, data in network["inputs"].items():
        objects[f"inputs/{name}"] = SpikeGeneratorGroup(
            data["size"], data["neuron"], data["time"] * second, name=name
        )
    for name, data in network["synapses"].items():
        ends = (
            next(
                objects[f"{k}/{data[end]}"] for k in ("groups", "inputs") if data[end] in network[k]
            )
            for end in ("source", "target")
        )
        objects[f"synapses/{name}"] = synapses(name, data, *ends)
    trained = {
        path: views(objects, path) for path in network["trained"] if not path.startswith("inputs")
    }
    readouts = [READOUTS[r["kind"]](objects[r["of"]], r) for r in network["readouts"]]
    return Built(objects, trained, readouts)


def run(network: dict, **options) -> dict:
    """Return loss, spikes and gradients of a file, as `compare` takes them."""
    built = build(network)
    model = bep.EventPropModel(
        list(built.objects.values()),
        train=[view for found in built.trained.values() for view in found],
        readouts=built.readouts,
        duration=network["duration"] * second,
        **options,
    )
    result = model.run()
    values = [np.asarray(values)[0] for values in result.readout]
    losses = [r["loss"] for r in network["readouts"]]
    of = [slope(loss, v)[None] for loss, v in zip(losses, values, strict=True)]
    gradients = model.gradient(of=of)
    return {
        "loss": sum(value(loss, v) for loss, v in zip(losses, values, strict=True)),
        "spikes": {
            name: (np.asarray(found.i), np.asarray(found.t))
            for name, data in network["groups"].items()
            if data["threshold"]
            for found in [result.spikes[built.objects[f"groups/{name}"]]]
        },
        "gradients": {
            path: gradient_of(network, path, built, gradients) for path in network["trained"]
        },
    }


def gradient_of(network: dict, path: str, built: Built, gradients) -> np.ndarray:
    """Return a gradient in the shape of the file, where one number may stand for all neurons."""
    if path.startswith("inputs"):
        by_name = gradients.inputs
        found = by_name[path.split("/")[1]] if isinstance(by_name, dict) else by_name
    else:
        found = sum(np.asarray(gradients[view]) for view in built.trained[path])
    found = np.asarray(found, dtype=float)
    return found if np.ndim(at(network, path)) else found.sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--solver", default="event", choices=("event", "clock"))
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--dt", type=float, default=1e-5, help="time step in seconds")
    parser.add_argument("--tolerance", type=float, help="of equations without a closed solution")
    given = parser.parse_args()
    brian2.prefs.codegen.target = "numpy"
    brian2.defaultclock.dt = given.dt * second
    options = {"solver": given.solver, "backend": given.backend, "tolerance": given.tolerance}
    finer = f"{given.tolerance:g}" if given.tolerance else ""
    finer = f"{given.dt:g}" if given.solver == "clock" else finer
    setting = f"brian_eventprop_{given.solver}" + (f"_{finer}" if finer else "")
    report("brian-eventprop", setting, given.names, lambda network: run(network, **options))


if __name__ == "__main__":
    main()
