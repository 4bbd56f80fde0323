"""How the cost of a training batch grows with the network: one curve per dimension.

Starting from the shape of the Heidelberg digits (see shd_shape.py), one number at a time is varied:
the longest delay, hidden neurons, batch size, time steps, and the share of synapses that exist.
Written are a table and a picture of CPU time per synaptic event, next to this file in results/.

    python benchmarks/scaling.py
"""

import platform
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
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
    """Return (value, CPU seconds, events, nanoseconds per event) for each value."""
    rows = []
    for value in values:
        cpu, _, events, _ = measure(**{**BASE, name: value})
        rows.append((value, cpu, events, cpu / events * 1e9))
        print(f"{name:10} {value:6} {cpu:8.3f} s {events / 1e6:8.1f} M {rows[-1][3]:6.2f} ns")
    return rows


if __name__ == "__main__":
    RESULTS.mkdir(exist_ok=True)
    figure, axes = plt.subplots(1, len(CURVES), figsize=(15, 3), layout="constrained", sharey=True)
    lines = [f"CPU time on one core of {platform.processor() or platform.machine()}", ""]
    lines += ["| varied | value | CPU s | events (M) | ns per event |", "|---|---|---|---|---|"]
    for axis, (name, values) in zip(axes, CURVES.items(), strict=True):
        rows = curve(name, values)
        lines += [f"| {name} | {v} | {c:.3f} | {e / 1e6:.1f} | {ns:.2f} |" for v, c, e, ns in rows]
        axis.plot([r[0] for r in rows], [r[3] for r in rows], "o-")
        axis.set(xlabel=name, xscale="log")
    axes[0].set(ylabel="ns CPU per synaptic event", ylim=(0, None))
    figure.savefig(RESULTS / "scaling.png", dpi=100)
    (RESULTS / "scaling.md").write_text("\n".join(lines) + "\n")
