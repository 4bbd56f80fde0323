"""Readouts and losses."""

from __future__ import annotations

from zlib import crc32

from .draw import Cell, Draw


def part_of(draw: Draw, cell: Cell) -> tuple[str, int]:
    """A group or a part of it, and how many neurons it has."""
    if cell.size > 1 and draw.chance(0.2):
        draw.tag("readout of a subgroup")
        return f"{cell.name}[1:]", cell.size - 1
    return cell.name, cell.size


def readout(draw: Draw, cell: Cell, one_value: bool = False) -> tuple[str, int]:
    """Return a readout as text, and how many neurons it measures."""
    group, size = part_of(draw, cell)
    forms = ["integral", "integral", "final", "maximum"]
    if cell.spikes:
        forms += ["all", "first", "count"] + ([] if one_value else ["each"])
    form = draw.pick(forms)
    draw.tag(f"readout ({form})")
    if form in ("all", "first", "each"):
        what = draw.pick(("t", "t/T", "sin(t/(3*ms))", "exp(-t/(10*ms))"))
        scaled = f"{what}/(10*ms)" if what == "t" else what
        return f"bep.SpikeTimes({group}, {scaled!r}, which={form!r})", size
    if form == "count":
        return f"bep.SpikeCount({group})", size
    expression = draw.pick(cell.observables)
    if draw.chance(0.2):
        expression = f"{expression} + 0.3*({draw.pick(cell.observables)})"
    if form == "integral":
        if draw.chance(0.15):
            draw.tag("condition in a readout")
            form = draw.pick(("int({x} > 0.3)*({x})", "({x})*int(t > 5*ms)", "int({x} > 0.4)",
                              "abs({x} - 0.3)", "clip({x}, 0, 0.5)"))  # fmt: skip
            expression = form.format(x=expression)
        return f"bep.Integral({group}, {f'({expression})/(10*ms)'!r})", size
    if form == "final":
        return _at_a_time(draw, group, expression), size
    quiet = [e for e in cell.observables if "v" not in e] if cell.spikes else []
    if cell.spikes and not quiet:
        return _at_a_time(draw, group, expression), size
    if quiet:
        expression = draw.pick(quiet)
    return f"bep.Maximum({group}, {expression!r})", size


def _at_a_time(draw: Draw, group: str, expression: str) -> str:
    """A final value, or one at a time that the text itself decides: nothing is drawn for it."""
    choice = crc32(f"{group} {expression}".encode()) % 8
    if choice < 4:
        return f"bep.Final({group}, {expression!r})"
    draw.tag("readout (value)")
    return f"bep.Value({group}, {expression!r}, at={(0.0, 1.7, 3.2, 4.9)[choice - 4]}*ms)"


def loss(draw: Draw, cells: list[Cell]) -> tuple[str, str]:
    """Return a loss and its targets, as text."""
    spiking = [c for c in cells if c.spikes]
    form = draw.pick(
        ("sum", "weighted", "squared", "first spike", "entropy", "rossum", "trains"),
        (4.8, 2, 1.5, 0.8, 0.8, 0.8, 0.8),
    )
    draw.tag(f"loss ({form})")
    cell = draw.pick(cells)
    if form == "weighted":
        a, b = (readout(draw, draw.pick(cells))[0] for _ in range(2))
        return f"{draw.number(0.5, 2)}*bep.Sum({a}) + bep.Sum({b})", "None"
    if form == "squared":
        text, size = readout(draw, cell, one_value=True)
        targets = draw.numbers(0, 1, size)
        other, _ = readout(draw, draw.pick(cells))
        return f"bep.MeanSquaredError({text}, target={targets}) + bep.Sum({other})", "None"
    if form == "first spike" and spiking:
        name = draw.pick(spiking).name
        return f"bep.TimeToFirstSpike({name}, tau=5*ms, alpha=0.1)", "[0]"
    if form == "entropy" and cell.size > 1 and cell.observables:
        what = draw.pick(cell.observables)
        return f"bep.CrossEntropy(bep.Integral({cell.name}, '({what})/(10*ms)'), scale=2)", "[1]"
    if form in ("rossum", "trains") and spiking:
        chosen = draw.pick(spiking)
        trains = [sorted(float(draw.number(1, 15)) for _ in range(2)) for _ in range(chosen.size)]
        goal = f"[array(x)*ms for x in {trains}]"
        if form == "rossum":
            return f"bep.VanRossum({chosen.name}, tau=5*ms, target={goal})", "None"
        return f"bep.SpikeTrainError({chosen.name}, scale=5*ms, target={goal})", "None"
    texts = [readout(draw, draw.pick(cells))[0] for _ in range(int(draw.rng.integers(1, 4)))]
    return f"bep.Sum({', '.join(texts)})", "None"
