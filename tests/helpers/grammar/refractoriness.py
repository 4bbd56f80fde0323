"""Refractoriness that ends with states: a condition, or a period that the reset writes."""

from __future__ import annotations

from .draw import Cell, Draw, Port

#: Seeds from here on have it; the networks of all others are as they were before there was any.
FIRST_SEED = 2_000_000


def end_with_states(draw: Draw, cell: Cell) -> None:
    """Give a group that spikes another refractoriness than the one it has."""
    if not cell.spikes:
        return
    form = draw.pick(("hold", "or", "and", "lastspike", "period"), (4, 2, 2, 2, 3))
    draw.tag(f"refractory ({form})")
    if form == "period":
        cell.equations.append("rest : second")
        more = f" + {draw.number(0.3, 1)}*ms" if draw.chance(0.5) else ""
        before = draw.pick((f"{draw.number(0.3, 0.8)}*rest", "0.9*rest*exp(-rest/(2*ms))"))
        cell.reset = _with(cell.reset, f"rest = {before}{more}")
        cell.settings.append(f"{cell.name}.rest = {draw.numbers(0.5, 3, cell.size)}*ms")
        cell.trainable.append(f"{cell.name}.rest")
        cell.refractory = f"{cell.parameter(draw, 't_least', 0.1, 1, 'ms')} + rest"
    else:
        _hold(draw, cell, form)
    if not any("unless refractory" in e for e in cell.equations) and draw.chance(0.5):
        draw.tag("stands still until a condition ends")
        for k, equation in enumerate(cell.equations):
            if equation.startswith("dv/dt"):
                cell.equations[k] = f"{equation} (unless refractory)"
    if draw.chance(0.3):
        draw.tag("equations that are others while refractory")
        tau = cell.parameter(draw, "tau_other", 3, 9, "ms")
        for k, equation in enumerate(cell.equations):
            if equation.startswith("dI/dt"):
                left, _, dimension = equation.rpartition(" : ")
                other = f"int(not_refractory) - I/{tau}*(1 - int(not_refractory))"
                cell.equations[k] = f"dI/dt = ({left.partition(' = ')[2]})*{other} : {dimension}"
                cell.methods = tuple(m for m in cell.methods if m != "exact") or ("euler",)


def _hold(draw: Draw, cell: Cell, form: str) -> None:
    """A variable that each spike sets, or adds to, and a condition on it and others."""
    tau = cell.parameter(draw, "tau_hold", 1, 4, "ms")
    cell.equations.append(f"dhold/dt = -hold/{tau} : 1")
    cell.reset = _with(cell.reset, draw.pick(("hold = 1", "hold += 0.7", "hold = 0.5 + 0.3*hold")))
    least = cell.parameter(draw, "least", 0.2, 0.6)
    other = draw.pick(cell.observables) if cell.observables else "hold"
    cell.refractory = {
        "hold": f"hold > {least}",
        "or": f"hold > {least} or {other} > {draw.number(0.7, 1.5)}",
        "and": f"hold > {least} and not {other} > {draw.number(1, 2)}",
        "lastspike": f"(t - lastspike) < {draw.number(0.5, 3)}*ms or hold > {least}",
    }[form]
    if draw.chance(0.4):
        draw.tag("arrivals at what keeps neurons refractory")
        cell.ports.append(Port("hold", "1", -0.6, -0.1))


def _with(reset: str, statement: str) -> str:
    return "; ".join(filter(None, (reset, statement)))
