"""Derivatives of a file's loss by central differences, and how many digits its numbers have."""

from __future__ import annotations

import copy

import numpy as np

from .simulator import dual
from .simulator.dual import Real
from .simulator.network import Copies, at, number
from .simulator.simulation import Outcome, Simulation

#: Largest step of the differences, relative to the largest number of what is moved, how many
#: smaller ones follow, and by how much they shrink.
STEP, LEVELS, RATIO = Real("4e-3"), 6, 4
#: Half a unit in the last place of a double, relative: what is lost when a number is stored.
ROUNDOFF = Real(2) ** -53


def values_at(file: dict, path: str) -> np.ndarray:
    return np.atleast_1d(np.asarray(number(at(file, path)), dtype=Real))


def by_differences(file: dict, **options) -> tuple[dict[str, np.ndarray], Outcome]:
    """Return the gradient by everything that is trained, by Ridders' method, and the unmoved trial.

    Central differences with steps h, h/4, h/16 ... are extrapolated to h = 0, and of the table of
    extrapolations the one is taken that differs least from its neighbours.  All copies run in one
    go, without derivatives of anything.
    """
    trained = {path: values_at(file, path) for path in file["trained"]}
    steps = {
        path: np.array(
            [STEP * (np.max(np.abs(v)) or Real("1e-3")) / RATIO**k for k in range(LEVELS)]
        )
        for path, v in trained.items()
    }
    rows = 1 + 2 * LEVELS * sum(v.size for v in trained.values())
    moved, row = {}, 1
    for path, value in trained.items():
        moved[path] = np.zeros((rows, value.size), dtype=Real)
        for entry in range(value.size):
            for h in steps[path]:
                moved[path][row : row + 2, entry] = h, -h
                row += 2
    with dual.copies(), np.errstate(all="ignore"):
        outcome = Simulation(file, Copies(moved), **options).run()
    out, losses = {}, outcome.losses[1:].reshape(-1, LEVELS, 2)
    for path, value in trained.items():
        mine, losses = losses[: value.size], losses[value.size :]
        differences = (mine[..., 0] - mine[..., 1]) / (2 * steps[path])
        out[path] = np.array([extrapolated(row) for row in differences])
    return out, outcome


def extrapolated(differences: np.ndarray) -> Real:
    """Return the best extrapolation to h = 0 of central differences with shrinking steps."""
    best, error, last = differences[-1], Real(np.inf), [differences[0]]
    for difference in differences[1:]:
        row = [difference]
        for m, above in enumerate(last, 1):
            row.append(row[-1] + (row[-1] - above) / (RATIO ** (2 * m) - 1))
            estimate = max(abs(row[m] - row[m - 1]), abs(row[m] - above))
            if estimate < error:
                best, error = row[m], estimate
        last = row
    return best


def rounded_at_random(file: dict, rng) -> dict:
    """Return a file whose numbers are all moved by up to half a unit in the last place."""
    for path in all_paths(file):
        old = values_at(file, path)
        file = replaced(file, path, old * (1 + ROUNDOFF * rng.uniform(-1, 1, len(old))))
    return file


def replaced(file: dict, path: str, values: np.ndarray) -> dict:
    """Return a copy of a file with other numbers at a path."""
    out = copy.copy(file)
    keys, place = path.split("/"), out
    for key in keys[:-1]:
        place[key] = copy.copy(place[key])
        place = place[key]
    old = place[keys[-1]]
    shaped = list(values) if isinstance(number(old), list) else values[0]
    place[keys[-1]] = old | {"value": shaped} if isinstance(old, dict) else shaped
    return out


def all_paths(file: dict):
    """Yield the paths of all numbers of a network."""
    for kind in ("groups", "synapses"):
        for name, data in file[kind].items():
            yield from (f"{kind}/{name}/parameters/{key}" for key in data["parameters"])
            yield from (f"{kind}/{name}/initial/{key}" for key in data["initial"])
            if kind == "synapses":
                yield f"synapses/{name}/delay"
    yield from (f"inputs/{name}/time" for name in file["inputs"])


def digits(a, b) -> int:
    """Return how many digits agree, relative to the largest entry; 16 is what a double holds."""
    a, b = (np.atleast_1d(np.asarray(x, dtype=Real)) for x in (a, b))
    if a.size == 0:
        return 16
    error, scale = np.max(np.abs(a - b)), np.max(np.abs(b))
    if error == 0:
        return 16
    return int(np.clip(np.floor(-np.log10(error / scale)), 0, 16)) if scale > 0 else 0
