"""Terms of the equations: drives, steps in time, timed arrays, conditions, powers.

Each function returns an expression without unit, of the order of ``size``.
"""

from __future__ import annotations

from .draw import Cell, Draw


def drive(draw: Draw, cell: Cell, low: float, high: float) -> str:
    """Return what drives a neuron from outside: constant or a function of the time."""
    kinds = (constant, sine, timed_array, step_in_time)
    return draw.pick(kinds, (5, 1, 1.5, 1.5))(draw, cell, low, high)


def constant(draw: Draw, cell: Cell, low, high) -> str:
    if draw.chance(0.3):
        return draw.number(low, high)
    return cell.parameter(draw, "drive", low, high)


def sine(draw: Draw, cell: Cell, low, high) -> str:
    draw.tag("sine of the time")
    not_exact(cell)
    base = cell.parameter(draw, "drive", low, high)
    return f"{base}*(1 + {draw.number(0.1, 0.5)}*sin(t/({draw.number(1, 5)}*ms)))"


def timed_array(draw: Draw, cell: Cell, low, high) -> str:
    not_exact(cell)
    name = f"input_{cell.name}"
    cells = int(draw.rng.integers(3, 9))
    step = draw.pick(("1*ms", "2.5*ms", "4*ms", "0.5*ms"))
    column = draw.pick(("", "i", "i % 2", "channel", "int(i > 0)", f"i % n_{name}"))
    draw.tag(f"timed array ({column.split('_')[0] or '1-d'})")
    if not column:
        values = draw.numbers(low, high, cells)
        cell.constants[name] = f"TimedArray({values}, dt={step})"
        return f"{name}(t)"
    columns = cell.size if column == "i" else 2
    rows = ", ".join(draw.numbers(low, high, columns) for _ in range(cells))
    cell.constants[name] = f"TimedArray([{rows}], dt={step})"
    if column == "channel":
        cell.equations.append("channel : integer (constant)")
        chosen = [int(k) for k in draw.rng.integers(0, 2, cell.size)]
        cell.settings.append(f"{cell.name}.channel = {chosen}")
    if column.startswith("i % n"):
        cell.constants[f"n_{name}"] = "2"
    return f"{name}(t, {column})"


def step_in_time(draw: Draw, cell: Cell, low, high) -> str:
    draw.tag("step in time")
    not_exact(cell)
    a, b = draw.number(low, high), draw.number(0.1, 0.6)
    on, off = draw.number(2, 6), draw.number(7, 15)
    period = f"{draw.number(2.5, 6)}*ms"
    return draw.pick(
        (
            f"({a} + {b}*int(t > {on}*ms))",
            f"({a} + {b}*int(t > {on}*ms and t < {off}*ms))",
            f"({a} + {b}*int(t < {on}*ms or t > {off}*ms))",
            f"({a} + {b}*(int(t/({period})) % 2))",
            f"({a} + {b}*floor(t/({period})))",
            f"({a} + {b}*(ceil(t/({period})) - 1))",
            f"({a} + {b}*(t % ({period}))/ms)",
            f"({a} + {b}*sign(sin(2*pi*t/({period}))))",
            f"({a} + {b}*((t/ms) // {draw.number(3, 6)}))",
        )
    )


def not_exact(cell: Cell) -> None:
    """Take Brian2's 'exact' from the methods: it does not solve such equations."""
    cell.methods = tuple(m for m in cell.methods if m != "exact")


def nonlinear(cell: Cell, conditionally_linear: bool = False) -> None:
    """Keep the methods for equations that are not linear in the states."""
    kept = ("exact",) if conditionally_linear else ("exact", "exponential_euler")
    cell.methods = tuple(m for m in cell.methods if m not in kept)


def condition(draw: Draw, x: str, y: str) -> str:
    """Return a term with a condition on two states (of the order of 1) or a kink."""
    a, b = draw.number(0.2, 0.8), draw.number(0.1, 0.9)
    size = draw.pick(("", "-")) + draw.number(0.1, 0.4)
    at = draw.number(2, 15)
    options = (
        f"{size}*int({x} > {a})",
        f"{size}*int({x} > {a} and {y} > {b})",
        f"{size}*int({x} > {a} or {y} > {b})",
        f"{size}*int(not ({x} > {a}))",
        f"{size}*int(t > {at}*ms and {x} > {a})",
        f"{size}*int({x} > {a} and not {y} > {b})",
        f"{size}*int({x} + {y} > {a} + {b})",
        f"{size}*clip({x}, {a}, 1)",
        f"{size}*clip({x} - {a}, 0, inf)",
        f"{size}*abs({x} - {a})",
        f"{size}*sign({x} - {a})",
        f"{size}*sign({x} - {a})*clip({y}, 0, {b})",
        f"{size}*{x}*int({x} > {a})",
        f"{size}*({x} - {a})*int({x} > {a})",
    )
    k = int(draw.rng.integers(len(options)))
    draw.tag("kink" if k in (7, 8, 9, 13) else "condition")
    return options[k]


def power(draw: Draw, cell: Cell, x: str) -> str:
    """Return a power, a Hill function or a root of a state that may be 0 but not negative."""
    size = draw.pick(("", "-")) + draw.number(0.1, 0.5)
    form = draw.pick(("power", "hill", "root", "rectified power", "number"))
    draw.tag(f"power ({form})")
    if form == "number":
        return f"{size}*({x})**{draw.pick(('2', '3', '1.5', '2.5'))}"
    if form == "root":
        return f"{size}*sqrt(clip({x}, 0, inf))"
    n = cell.parameter(draw, "n_p", 1.2, 3)
    if form == "power":
        return f"{size}*({x})**{n}"
    if form == "rectified power":
        return f"{size}*clip({x} - {draw.number(0.1, 0.5)}, 0, inf)**{n}"
    k = cell.parameter(draw, "K_p", 0.3, 1.5)
    return f"{size}*({x})**{n}/(({x})**{n} + {k}**{n})"
