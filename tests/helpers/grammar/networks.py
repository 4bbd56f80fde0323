"""A whole network as the text of a Brian2 script, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

from . import neurons, readouts, refractoriness, synapses
from .draw import Cell, Draw

HEADER = """\
from brian2 import *
import brian_eventprop as bep
prefs.codegen.target = 'numpy'
DT = 0.1
"""

#: What is run: the time step is put in from outside, so that it can be refined.
FOOTER = """\
for solver in ('event', 'clock'):
    model = bep.EventPropModel(network, train=train, loss=loss, duration=duration,
                               namespace=constants, solver=solver)
    print(solver, model.run(targets=targets).loss)
    gradients = model.gradient()
    for item in train:
        print(' ', model.key_of(item), gradients.raw(model.key_of(item)))
"""


@dataclass(frozen=True)
class Script:
    """A network that was drawn.

    ``text`` defines ``network``, ``train``, ``loss``, ``targets``, ``duration`` and ``constants``;
    it expects ``DT``, the time step in milliseconds.
    """

    seed: int
    text: str
    tags: tuple[str, ...]

    def whole(self) -> str:
        """Return a script that runs by itself."""
        return HEADER + self.text + FOOTER


def draw_network(seed: int) -> Script:
    """Draw a network; the same seed gives the same one."""
    draw = Draw([seed, 17])
    cells = _cells(draw)
    if seed >= refractoriness.FIRST_SEED:
        for cell in cells:
            refractoriness.end_with_states(draw, cell)
    projections, inputs = _projections(draw, cells)
    duration = draw.number(6, 9) if any(c.slow for c in cells) else draw.number(10, 25)
    loss, targets = readouts.loss(draw, cells)
    constants = {}
    for part in (*cells, *projections):
        constants |= part.constants
    trainable = [t for part in (*cells, *projections) for t in part.trainable]
    train = draw.some(dict.fromkeys(trainable), 5)
    lines = ["start_scope()", "defaultclock.dt = DT*ms"]
    lines += [f"{name} = {text}" for name, text in constants.items()]
    lines += inputs
    for cell in cells:
        lines += cell.lines(_method(draw, cell))
    for projection in projections:
        lines += projection.lines
    objects = [text[0] for text in inputs]
    objects += [part.name for part in (*cells, *projections)]
    lines += [
        f"network = [{', '.join(objects)}]",
        f"train = [{', '.join(train)}]",
        f"loss = {loss}",
        f"targets = {targets}",
        f"duration = {duration}*ms",
        f"constants = dict({', '.join(f'{n}={n}' for n in constants)})",
    ]
    return Script(seed, "\n".join(lines) + "\n", tuple(draw.tags))


def _cells(draw: Draw) -> list[Cell]:
    cells = [neurons.neurons(draw, "G")]
    if draw.chance(0.25):
        cells.append(neurons.neurons(draw, "H"))
    if draw.chance(0.35):
        cells.append(neurons.integrator(draw, "O"))
        draw.tag("integrator")
    return cells


def _method(draw: Draw, cell: Cell) -> str:
    methods = list(cell.methods)
    many = sum("/dt = " in equation for equation in cell.equations) > 3
    if many or any(equation.startswith("du/dt") for equation in cell.equations):
        methods = [m for m in methods if m != "exact"]  # SymPy takes minutes
    method = draw.pick(methods)
    draw.tag(f"method {method}")
    return method


def _projections(draw: Draw, cells: list[Cell]):
    """Inputs to the first group, a chain of groups, recurrent connections."""
    first, made, inputs = cells[0], [], []
    for k, name in enumerate("PQ" if draw.chance(0.15) else "P"):
        channels = int(draw.rng.integers(1, 4))
        inputs.append(_input(draw, name, channels))
        made.append(synapses.project(draw, f"S{'ab'[k]}", name, channels, first))
    if len(inputs) > 1:
        draw.tag("two inputs")
    for k, (pre, post) in enumerate(zip(cells, cells[1:], strict=False)):
        source, senders = pre.name, pre.size
        if pre.size > 1 and draw.chance(0.15):
            draw.tag("synapses from a subgroup")
            source, senders = f"{pre.name}[1:]", pre.size - 1
        made.append(synapses.project(draw, f"S{k + 1}", source, senders, post, pre))
    if draw.chance(0.4):
        draw.tag("recurrent")
        made.append(synapses.project(draw, "R", "G", first.size, first, first, recurrent=True))
    if draw.chance(0.1) and len(cells) > 1 and cells[1].spikes:
        draw.tag("feedback")
        second = cells[1]
        made.append(synapses.project(draw, "F", "H", second.size, first, second, recurrent=True))
    return made, inputs


def _input(draw: Draw, name: str, channels: int) -> str:
    """A group of input spikes, some exactly on the time grid."""
    count = int(draw.rng.integers(2, 8))
    indices = [int(k) for k in draw.rng.integers(0, channels, count)]
    times = [float(draw.number(0.3, 12)) for _ in range(count)]
    if draw.chance(0.1):
        draw.tag("input spikes on the grid")
        times = [round(t, 1) for t in times]
    pairs = _apart(sorted(zip(times, indices, strict=True)))
    return (
        f"{name} = SpikeGeneratorGroup({channels}, {[i for _, i in pairs]}, "
        f"{[t for t, _ in pairs]}*ms, name='{name}')"
    )


def _apart(pairs: list) -> list:
    """Leave out spikes of a neuron within a time step: a `SpikeGeneratorGroup` refuses them."""
    last: dict = {}
    kept = []
    for time, neuron in pairs:
        if time > last.get(neuron, -1.0) + 0.21:
            kept.append((time, neuron))
            last[neuron] = time
    return kept
