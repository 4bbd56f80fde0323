"""How the cost of a training batch grows with the network: one curve per dimension.

Starting from the shape of the Heidelberg digits (see shd_shape.py), one number at a time is varied:
the longest delay, hidden neurons, batch size, time steps, and the share of synapses that exist.
Neurons cost something, too: a batch without spikes is measured as well, and one of the same neurons
with the same spikes that no synapse takes anywhere.  The cost per event is given as it is, without
neurons at rest, and without neurons and their spikes: what the projections alone cost.
Written are a table and a picture of CPU time per synaptic event, next to this file in results/.

    python benchmarks/scaling.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from peers.running import cpu_name
from shd_shape import measure

BASE = {"precision": "float32", "threads": 1, "repeats": 3}
CURVES = {
    "max_delay": [15, 62, 250, 1000],
    "n_hidden": [64, 128, 256, 512],
    "n_trials": [8, 32, 128],
    "n_steps": [250, 500, 1000, 2000],
    "p": [0.1, 0.3, 1.0],
}
RESULTS = Path(__file__).parent / "results"


def curve(name, values):
    """Return (value, CPU seconds, those at rest, those without synapses, events) for each value."""
    rows = []
    for value in values:
        cpu, _, events, _, bare = measure(**{**BASE, "bare": True, name: value})
        rest, *_ = measure(**{**BASE, "per_step": 0, name: value})
        rows.append((value, cpu, rest, bare, events))
        print(f"{name:10} {value:6} {' '.join(cells(*rows[-1][1:]))}", flush=True)
    return rows


def cells(cpu, rest, bare, events):
    """Return the numbers of a row as text."""
    each = [f"{(cpu - less) / events * 1e9:.2f}" for less in (0, rest, bare)]
    return f"{cpu:.3f}", f"{rest:.3f}", f"{bare:.3f}", f"{events / 1e6:.1f}", *each


def draw(curves, path):
    """Draw the cost of an event along each curve: name to the rows of `curve`."""
    figure, axes = plt.subplots(1, len(curves), figsize=(15, 3), layout="constrained", sharey=True)
    for axis, (name, rows) in zip(axes, curves.items(), strict=True):
        less = {"all": 0, "without neurons at rest": 2, "projections alone": 3}
        for label, k in less.items():
            each = [(row[1] - (row[k] if k else 0)) / row[4] * 1e9 for row in rows]
            axis.plot([row[0] for row in rows], each, "o-", label=label)
        axis.set(xlabel=name, xscale="log")
        axis.set_xticks([row[0] for row in rows], [row[0] for row in rows])
        axis.minorticks_off()
    axes[0].set(ylabel="ns CPU per synaptic event", ylim=(0, None))
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=100)


def main():
    """Measure all curves; write the table and the picture."""
    RESULTS.mkdir(exist_ok=True)
    lines = [f"CPU time on one core of {cpu_name()}, the least of {BASE['repeats']} batches", ""]
    columns = ["varied", "value", "CPU s", "without spikes", "without synapses", "events (M)"]
    columns += ["ns each", "less rest", "projections alone"]
    lines += [f"| {' | '.join(columns)} |"]
    lines += ["|---" * 9 + "|"]
    curves = {name: curve(name, values) for name, values in CURVES.items()}
    for name, rows in curves.items():
        lines += [f"| {name} | {v} | {' | '.join(cells(*row))} |" for v, *row in rows]
    draw(curves, RESULTS / "scaling.png")
    (RESULTS / "scaling.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
