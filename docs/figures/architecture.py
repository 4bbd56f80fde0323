"""Draw docs/figures/architecture.svg: the packages that a weight and a spike pass through."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

#: Name, what it makes of what the one before it made.
STAGES = [
    ("Brian2", "objects, equations, values"),
    ("reading/", "NetworkSpec, NetworkValues"),
    ("adjoint/", "AdjointSystem"),
    ("plan/", "layouts of synapses, ClockPlan"),
    ("codegen/", "operations, as text"),
    ("runtime/", "arrays, addresses, trials"),
    ("kernels/", "loops over trials, and time steps"),
    ("model/", "Result, Gradients"),
]
FORWARD, BACKWARD = "#2c6fbb", "#b5482f"


def box(axes, x, title, text):
    axes.add_patch(
        FancyBboxPatch((x, 0), 1.5, 1, boxstyle="round,pad=0.06", fc="#f4f4f1", ec="#555555", lw=1)
    )
    axes.text(x + 0.75, 0.67, title, ha="center", va="center", weight="bold", size=9)
    axes.text(x + 0.75, 0.29, text.replace(", ", ",\n"), ha="center", va="center", size=6.5)


def arrow(axes, x, y, step, color):
    style = {"arrowstyle": "-|>", "color": color, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x + step, y), (x, y), arrowprops=style)


def main():
    figure, axes = plt.subplots(figsize=(12.4, 2.2))
    for k, (title, text) in enumerate(STAGES):
        box(axes, 2 * k, title, text)
        if k:
            arrow(axes, 2 * k - 0.42, 0.66, 0.34, FORWARD)
            arrow(axes, 2 * k - 0.08, 0.34, -0.34, BACKWARD)
    axes.text(0.75, 1.35, "w", ha="center", size=11, color=FORWARD, style="italic")
    axes.text(0.75, -0.45, "dL/dw", ha="center", size=10, color=BACKWARD, style="italic")
    axes.text(5.75, 1.35, "built once per model", ha="center", size=8, color="#555555")
    axes.text(12.7, 1.35, "at every run", ha="center", size=8, color="#555555")
    axes.plot([1.9, 9.6], [1.22, 1.22], color="#aaaaaa", lw=0.8)
    axes.plot([9.9, 15.6], [1.22, 1.22], color="#aaaaaa", lw=0.8)
    axes.set(xlim=(-0.2, 15.7), ylim=(-0.6, 1.6))
    axes.axis("off")
    figure.savefig(Path(__file__).with_suffix(".svg"), bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
