"""What is computed before and after the trials, as NumPy source.

``prepare_NAME(v)`` completes the constants of a group or pathway; ``vjp_NAME(v)`` takes the
gradients that the kernels summed for these constants back to the parameters.  ``v`` maps names to
arrays; gradients are ``lam.NAME``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from brian_eventprop.adjoint.groups import LoopInvariants, partials
from brian_eventprop.adjoint.symbolic.expressions import parse, to_sympy
from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen.expr.printing import NumpyStyle, Style, print_sympy, print_tree
from brian_eventprop.reading.synapses.readouts import FINAL_OF_SYNAPSES

_HEAD = '''"""Constants before the trials, and their gradients afterwards; generated."""

import numpy as np

from brian_eventprop.kernels.brian_functions import dexprel_array, exprel_array
'''


def render_parameter_map(system: AdjointSystem) -> str:
    """Render the parameter map of every group and pathway."""
    parts = [_HEAD]
    for g in system.groups:
        parts.append(_functions(g.group.name, g.invariants))
        if g.refractory:
            parts.append(_refractory(g))
    parts += [_functions(p.pathway.name, p.invariants) for p in system.pathways]
    parts += [_functions(c.name, c.invariants) for c in system.couplings]
    for number, readout in enumerate(system.spec.readouts):
        if readout.kind == "spike_times":
            parts.append(_spike_times(number, readout, system))
        if readout.kind == FINAL_OF_SYNAPSES:
            parts.append(_with_partials(f"synapses_{number}", readout.expression, readout.symbols))
    return "\n".join(parts)


def _name(name: str) -> str:
    return f'v["{name}"]'


def _functions(owner: str, invariants: LoopInvariants, prefix: str = "") -> str:
    prepare, (vjp, results) = prepare_lines(invariants), vjp_lines(invariants)
    vjp = [*vjp, f"return {results}"]
    return (
        f"\ndef {prefix}prepare_{owner}(v):\n    " + "\n    ".join(prepare or ["pass"]) + "\n\n"
        f"\ndef {prefix}vjp_{owner}(v):\n    " + "\n    ".join(vjp) + "\n"
    )


def prepare_lines(invariants: LoopInvariants, style: Style | None = None) -> list[str]:
    """Return the assignments of the constants."""
    style = style or NumpyStyle()
    return [
        f"{_name(s.target)} = {print_tree(parse(s.expression), _name, style)}"
        for s in invariants.shared + invariants.per_element
    ]


def vjp_lines(
    invariants: LoopInvariants, style: Style | None = None, total: str = "np.sum"
) -> tuple[list[str], str]:
    """Return the lines that take gradients of constants back, and the dictionary of the results."""
    style, vjp = style or NumpyStyle(), []
    for line in invariants.adjoint.forward + invariants.adjoint.reverse:
        if isinstance(line.value, ast.AST):
            value = print_tree(line.value, _name, style)
        else:
            value = print_sympy(line.value, _name, style)
        value = f"{total}({value})" if line.total else value
        target = _name(line.target)
        vjp.append(f"{target} = {target} + {value}" if line.add else f"{target} = {value}")
    results = ", ".join(
        f'"{name}": {print_sympy(e, _name, style)}'
        for name, e in invariants.adjoint.results.items()
    )
    return vjp, f"{{{results}}}"


def _refractory(group) -> str:
    expression = print_tree(parse(group.refractory), _name, NumpyStyle())
    text = f"\ndef refractory_{group.group.name}(v):\n    return {expression}\n"
    return text + _functions(group.group.name, group.refractory_invariants, "refractory_")


def _spike_times(number: int, readout, system: AdjointSystem) -> str:
    """An expression at each spike, and its derivatives in the time and in the parameters."""
    symbols = {**system.spec.group(readout.group).symbols, **readout.symbols}
    wanted = ["t"] + [n for n, s in symbols.items() if s.key in system.trained]
    return _with_partials(f"spikes_{number}", readout.expression, wanted)


def host_functions(expression: str, wanted: Iterable[str]) -> tuple[Callable, Callable]:
    """Return an expression as a function of the values of its names, and its partial derivatives.

    Parameters
    ----------
    expression
        In Brian2's syntax.
    wanted
        The names in which it is differentiated.

    Examples
    --------
    >>> value, partials = host_functions("a*exp(b)", ["b"])
    >>> float(value({"a": 2.0, "b": 0.0})), float(partials({"a": 2.0, "b": 0.0})["b"])
    (2.0, 2.0)
    """
    functions: dict = {}
    exec(_HEAD + _with_partials("value", expression, wanted), functions)
    return functions["value"], functions["value_back"]


def _with_partials(name: str, expression: str, wanted: Iterable[str]) -> str:
    """An expression, and its derivatives in some names."""
    style = NumpyStyle()
    partial = partials(to_sympy(expression), wanted)
    entries = ", ".join(f'"{n}": {print_sympy(e, _name, style)}' for n, e in partial.items())
    value = print_tree(parse(expression), _name, style)
    return (
        f"\ndef {name}(v):\n    return {value}\n\n\ndef {name}_back(v):\n    return {{{entries}}}\n"
    )
