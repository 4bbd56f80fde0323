"""Read a file of the suite and compare results with it; needs nothing but NumPy.

network = load("conformance/networks/lif_recurrent_delay.json")
compare(network, loss=0.12, spikes={"hid": (neurons, times)}, gradients={path: array})
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "networks"
FORMAT = "event-adjoint conformance 1"
NUMBERS = (int, float, list)
#: Keys of each kind of entry and the types of their values; the README explains them.
SCHEMA = {
    "file": {
        "format": str, "name": str, "description": str, "duration": float, "tags": list,
        "groups": dict, "inputs": dict, "synapses": dict, "readouts": list, "trained": list,
        "expected": dict,
    },
    "group": {
        "size": int, "equations": list, "threshold": (str, type(None)), "reset": list,
        "refractory": (str, type(None)), "parameters": dict, "initial": dict,
    },
    "input": {"size": int, "neuron": list, "time": list},
    "synapses": {
        "source": str, "target": str, "source_index": list, "target_index": list,
        "equations": list, "on_pre": list, "on_post": list, "parameters": dict, "initial": dict,
        "delay": NUMBERS,
    },
    "readout": {"kind": str, "of": str, "expression": str, "loss": dict},
    "parameter": {"value": NUMBERS, "unit": str},
    "expected": {
        "loss": float, "readouts": list, "spikes": dict, "gradients": dict, "digits": dict,
        "digits_in_double_precision": dict,
    },
}  # fmt: skip


def check(entry, kind: str, where: str, optional=()) -> None:
    """Raise a ValueError that names what is missing, unknown or of another type."""
    for key, types in SCHEMA[kind].items():
        if key not in entry or not isinstance(entry[key], types):
            raise ValueError(f"{where}: {key!r} is missing, or not {types}")
    if unknown := set(entry) - set(SCHEMA[kind]) - set(optional):
        raise ValueError(f"{where}: nobody knows {sorted(unknown)}")


def at(network: dict, path: str):
    """Return the numbers at a path such as ``synapses/s_in/parameters/w``."""
    entry = network
    for key in path.split("/"):
        entry = entry[key]
    return entry["value"] if isinstance(entry, dict) else entry


def validate(network: dict) -> dict:
    """Check the whole content of a file and return it."""
    check(network, "file", "the file")
    if network["format"] != FORMAT:
        raise ValueError(f"this reader knows {FORMAT!r}, not {network['format']!r}")
    for kind, name in (("group", "groups"), ("input", "inputs"), ("synapses", "synapses")):
        for key, entry in network[name].items():
            check(entry, kind, f"{name}/{key}")
            size = len(entry["source_index"]) if kind == "synapses" else entry["size"]
            for parameter, given in entry.get("parameters", {}).items():
                check(given, "parameter", f"{name}/{key}/{parameter}")
                if np.size(given["value"]) not in (1, size):
                    raise ValueError(f"{name}/{key}/{parameter} has not {size} values, nor one")
    for number, readout in enumerate(network["readouts"]):
        check(readout, "readout", f"readout {number}", optional=("at",))
    check(network["expected"], "expected", "expected")
    for path in network["trained"]:
        if np.shape(at(network, path)) != np.shape(network["expected"]["gradients"][path]):
            raise ValueError(f"{path} and its gradient have different shapes")
    return network


def as_arrays(entry):
    """Return an entry with its lists of numbers as arrays."""
    if isinstance(entry, dict):
        return {key: as_arrays(value) for key, value in entry.items()}
    if isinstance(entry, list) and entry and not any(isinstance(x, str | dict) for x in entry):
        ragged = any(isinstance(x, list) for x in entry) and len({np.shape(x) for x in entry}) > 1
        return [as_arrays(x) for x in entry] if ragged else np.asarray(entry)
    return [as_arrays(x) for x in entry] if isinstance(entry, list) else entry


def load(path) -> dict:
    """Return a checked file, its lists of numbers as arrays."""
    return as_arrays(validate(json.loads(Path(path).read_text())))


def digits(found, expected) -> float:
    """Return how many digits agree, relative to the largest entry; 16 at most, 0 at least."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    if found.shape != expected.shape or not np.all(np.isfinite(found)):
        return 0.0
    error = np.max(np.abs(found - expected), initial=0.0)
    scale = np.max(np.abs(expected), initial=0.0)
    return (
        float(np.clip(-np.log10(error / scale), 0, 16)) if error and scale else 16.0 * (not error)
    )


def compare(network: dict, loss=None, spikes=None, gradients=None) -> dict:
    """Return the agreeing digits of what is given: ``{"loss": .., "spikes": .., path: ..}``.

    ``spikes`` has (neurons, times) for each group, in any order; ``gradients`` has arrays by path.
    """
    expected, out = network["expected"], {}
    if loss is not None:
        out["loss"] = digits(loss, expected["loss"])
    for group, (neurons, times) in (spikes or {}).items():
        given = expected["spikes"][group]
        pairs = [(np.asarray(n), np.asarray(t)) for n, t in
                 ((neurons, times), (given["neuron"], given["time"]))]  # fmt: skip
        (n, t), (m, u) = ((n[o], t[o]) for n, t in pairs for o in [np.lexsort((t, n))])
        same = np.array_equal(n, m)
        out["spikes"] = min(out.get("spikes", 16.0), digits(t, u) if same else 0.0)
    for path, value in (gradients or {}).items():
        out[path] = digits(value, expected["gradients"][path])
    return out


def load_all(names=()) -> list[dict]:
    """Return the files of these names, or all of them."""
    names = names or sorted(path.stem for path in FOLDER.glob("*.json"))
    return [load(FOLDER / f"{name}.json") for name in names]
