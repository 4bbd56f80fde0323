"""Write the files of the suite: ``python -m conformance.write [NAME ...]``.

Every network is drawn anew until no event is close to grazing or to another event, so that its
gradient exists and is well conditioned; then its numbers are computed, and by other means again.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .definitions import NETWORKS
from .differences import by_differences, digits, rounded_at_random
from .simulator.dual import Real
from .simulator.simulation import Crowded, run

FOLDER = Path(__file__).parent / "networks"
#: Steps of another length and order, with which the numbers are computed once more.
OTHERWISE = {"longest": Real("7e-4"), "tolerance": Real("1e-20"), "orders": 28}
#: Events are at least this long apart (in seconds), and a potential that turns before its threshold
#: stays away from it by this part of its range.
APART, CLEAR = 3e-6, 0.02
FORMAT = "event-adjoint conformance 1"


def drawn(name: str) -> Iterator[dict]:
    """Yield networks whose events are well apart."""
    for seed in range(200):
        body = NETWORKS[name](np.random.default_rng([seed, len(name)]))
        file = {"format": FORMAT, "name": name, "description": NETWORKS[name].__doc__, **body}
        if is_good(file):
            yield file
    raise RuntimeError(f"{name}: no good network among 200")


def with_results(name: str) -> dict:
    """Return a network with its results, the first in which everything trained has influence."""
    for file in drawn(name):
        results = expected(file)
        if all(np.any(gradient) for gradient in results["gradients"].values()):
            return file | {"expected": results}
    raise AssertionError("drawn() has raised an error")


def is_good(file: dict) -> bool:
    """Whether everything spikes, and no event is close to grazing or to another one."""
    try:
        found = run(file, apart=APART, clear=CLEAR)
    except Crowded:
        return False
    counts = [
        len(found.spikes[name][0]) for name, group in file["groups"].items() if group["threshold"]
    ]
    return bool(
        np.isfinite(found.loss) and min(counts, default=1) > 0 and max(counts, default=1) < 60
    )


def as_lists(found) -> dict:
    return {
        name: {"neuron": neurons, "time": [float(t) for t in times]}
        for name, (neurons, times) in found.spikes.items()
    }


def plain(value):
    return [float(x) for x in value] if np.ndim(value) else float(value)


def expected(file: dict, seed: int = 0) -> dict:
    """Return spikes, loss and gradients of a network, with the digits that hold."""
    found = run(file, file["trained"])
    rounded = run(rounded_at_random(file, np.random.default_rng(seed)), file["trained"])
    differences, other = by_differences(file, **OTHERWISE)
    times = [np.concatenate([t for _, t in r.spikes.values()]) for r in (found, other, rounded)]
    return {
        "loss": float(found.loss),
        "readouts": found.readouts,
        "spikes": as_lists(found),
        "gradients": {path: plain(value) for path, value in found.gradients.items()},
        "digits": {
            "loss": digits(found.loss, other.loss),
            "spikes": digits(times[0], times[1]),
            "gradients": {p: digits(g, differences[p]) for p, g in found.gradients.items()},
        },
        "digits_in_double_precision": {
            "loss": digits(rounded.loss, found.loss),
            "spikes": digits(times[2], times[0]),
            "gradients": {p: digits(rounded.gradients[p], g) for p, g in found.gradients.items()},
        },
    }


def as_text(file: dict) -> str:
    """Return JSON with lists of numbers on one line."""
    text = json.dumps(file, indent=2)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text) + "\n"


def main(names) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in names or NETWORKS:
        start = time.time()
        file = with_results(name)
        (FOLDER / f"{name}.json").write_text(as_text(file))
        holding = file["expected"]["digits"]["gradients"].values()
        double = file["expected"]["digits_in_double_precision"]["gradients"].values()
        count = sum(len(s["time"]) for s in file["expected"]["spikes"].values())
        print(
            f"{name}: {count} spikes, digits {sorted(holding)}, in double {sorted(double)}, "
            f"{time.time() - start:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
