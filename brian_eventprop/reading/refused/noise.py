"""Where white noise may act, and why nowhere else.

A variable x that noise drives, dx/dt = f + sigma*xi, is *rough*: it has no slope.  A spike at its
crossing of a threshold has a time whose derivative is a slope's inverse, so along given noise that
derivative is that of one path at one time step, and goes to 0 with dt.  It is the same where an
event that moves meets x.  What is driven by x, such as a potential with an Ornstein-Uhlenbeck
current, is smooth, and has all its derivatives.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import inline, names, parse
from brian_eventprop.reading.equations.statements import code_text
from brian_eventprop.reading.spec import Group, Key, NetworkSpec, Statement, Symbol
from brian_eventprop.reading.unsupported import line_with, unsupported

WHY = (
    "along given noise the slope at a crossing grows without bound as dt falls, so the derivative "
    "of the time of a spike by that slope is wrong by a factor of 10 to 40 at usual time steps, "
    "and vanishes with dt"
)
WAY_OUT = (
    "Let the noise drive a variable that drives this one, such as an Ornstein-Uhlenbeck current, "
    "or let a SpikeGeneratorGroup or PoissonGroup with given spikes carry it."
)

#: Functions that jump where their argument does not.
_STEPS = ("sign", "floor", "ceil", "int")


def check_noise(spec: NetworkSpec) -> None:
    """Refuse noise in what spikes, or in what an event reads, replaces or stops.

    Raises
    ------
    UnsupportedError
        With the object, the code and the variable.
    """
    noise = {timed.name for timed in spec.timed if timed.noise}
    if not noise:
        return
    rough = _rough(spec, noise)
    for group in spec.groups:
        for text, use in _uses(group, rough, noise):
            raise _refused(f"NeuronGroup '{group.name}': '{text}'", use)
        for statement in _reading(group.reset, group.symbols, rough):
            text = f"{statement.target} = {statement.expression}"
            raise _refused(f"NeuronGroup '{group.name}': '{text}'", "a spike reads or replaces it")
    for pathway in spec.pathways:
        for _ in _reading(pathway.statements, pathway.symbols, rough):
            what = f"Synapses '{pathway.synapses}': '{pathway.text}'"
            raise _refused(what, "an arrival reads or replaces it")


def check_spiking(group, definitions: Mapping[str, str]) -> None:
    """Refuse noise in a variable of the group's own thresholds.

    ``definitions`` are those of its subexpressions.
    """
    noise, equations = group.user_equations.stochastic_variables, group.user_equations.values()
    flows = {e.varname: e.expr.code for e in equations if e.type == brian.DIFFERENTIAL_EQUATION}
    rough = noise | {state for state, e in flows.items() if names(inline(e, definitions)) & noise}
    for condition in group.events.values():
        if names(inline(code_text(condition), definitions)) & rough:
            xi = min(noise)
            line = line_with("\n".join(map(str, equations)), noise)
            reason = f"'{xi}' drives a variable that a threshold compares, and {WHY}"
            raise unsupported(group, line, reason, WAY_OUT)


def _refused(what: str, use: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} is not supported: white noise drives a variable here, and {use}: {WHY}. {WAY_OUT}"
    )


def _rough(spec: NetworkSpec, noise: set[str]) -> set[Key]:
    """Return the states that noise drives, and those that are copies or sums of such."""
    found: set[Key] = set()
    for group in spec.groups:
        for state, derivative in group.derivatives.items():
            texts = [derivative, group.derivatives_refractory.get(state, "0")]
            if any(_is_noise(group.symbols.get(n), noise) for t in texts for n in names(t)):
                found.add(group.start(state))
        for regular in group.regular:  # constant over dt
            for s in regular.statements:
                if any(_is_noise(group.symbols.get(n), noise) for n in names(s.expression)):
                    found.add(group.start(s.target))
    while True:
        more = {
            (c.receiver, c.state)
            for c in spec.couplings
            if any(s.kind == "state" and s.key in found for s in c.symbols.values())
        }
        if more <= found:
            return found
        found |= more


def _is_noise(symbol: Symbol | None, noise: set[str]) -> bool:
    return symbol is not None and symbol.kind == "timed" and symbol.variable in noise


def _uses(group: Group, rough: set[Key], noise: set[str]) -> Iterator[tuple[str, str]]:
    """Yield code in which the order of rough variables and others decides about events."""

    def among(text: str) -> bool:
        symbols = [group.symbols.get(name) for name in names(text)]
        return any(
            _is_noise(s, noise) or (s is not None and s.kind == "state" and s.key in rough)
            for s in symbols
        )

    if group.threshold is not None and among(group.threshold):
        yield group.threshold, "its threshold reads it"
    for text in (group.refractory, group.refractory_condition):
        if text and among(text):
            yield text, "refractoriness depends on it"
    for state, derivative in group.derivatives.items():
        if state in group.frozen and group.start(state) in rough:
            yield f"{state} (unless refractory)", "it stands still after a spike"
        for text in _conditions(derivative):
            if among(text):
                yield text, "a condition in the equations reads it"
        held = group.derivatives_refractory.get(state)
        if held is not None and group.start(state) in rough:
            yield f"d{state}/dt = {derivative}", "its equation is another one after a spike"


def _conditions(expression: str) -> Iterator[str]:
    """Yield the parts of an expression at whose zeros it jumps."""
    for node in ast.walk(parse(expression)):
        called = isinstance(node, ast.Call) and getattr(node.func, "id", "") in _STEPS
        remainder = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod)
        if called or remainder or isinstance(node, ast.Compare):
            yield ast.unparse(node)


def _reading(
    statements: Iterable[Statement], symbols: Mapping[str, Symbol], rough: set[Key]
) -> Iterator[Statement]:
    """Yield statements that do more with a rough variable than add something smooth to it."""
    tainted = {n for n, s in symbols.items() if s.kind == "state" and s.key in rough}
    for statement in statements:
        added = _added(statement) if statement.target in tainted else statement.expression
        if added is None or names(added) & tainted:
            yield statement


def _added(statement: Statement) -> str | None:
    """Return what a statement adds to its target, None if it does something else."""
    node = parse(statement.expression)
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add | ast.Sub):
        return None
    is_target = isinstance(node.left, ast.Name) and node.left.id == statement.target
    return ast.unparse(node.right) if is_target else None
