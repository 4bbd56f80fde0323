"""What a loss sees of the network: readout objects as `ReadoutSpec`."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import numpy as np
from brian2.units.fundamentalunits import DimensionMismatchError

from brian_eventprop._units import to_si
from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import inline, names, parse
from brian_eventprop.reading.equations.own_steps import expression_of
from brian_eventprop.reading.equations.statements import resolve
from brian_eventprop.reading.equations.symbols import Collection, add_symbols, group_symbol
from brian_eventprop.reading.equations.timed_arrays import TimedValueReader
from brian_eventprop.reading.equations.types import as_number, booleans
from brian_eventprop.reading.functions.inlining import own_functions, with_bodies
from brian_eventprop.reading.groups import subexpressions
from brian_eventprop.reading.spec import Group, ReadoutSpec, Symbol
from brian_eventprop.reading.synapses.pathways import parent
from brian_eventprop.reading.synapses.readouts import read_synapse_readout
from brian_eventprop.reading.unsupported import check_functions, check_reserved, unsupported

_SPIKES = ("spike_times", "spike_count")
_WITH_TRACES = ("integral", "maximum", "value", "trace")
#: What an expression in Brian2's syntax is made of.
_SYNTAX = (
    ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip


def read_readout(
    readout,
    groups: Mapping[str, Group],
    brian_groups: Mapping[str, object],
    namespace: Mapping,
    duration: float | None,
    collection: Collection,
) -> ReadoutSpec:
    """Return the specification of one readout."""
    part = readout.group
    if isinstance(part, brian.Synapses):
        return read_synapse_readout(readout, namespace, collection, part.name in groups)
    name = parent(part).name
    if name not in groups:
        raise ValueError(
            f"The readout of '{part.name}' needs a NeuronGroup of the network, which has: "
            f"{', '.join(groups) or 'none'}."
        )
    if readout.kind in _SPIKES and groups[name].threshold is None:
        raise ValueError(f"'{name}' has no threshold, so there are no spikes to read out.")
    group = brian_groups[name]
    kind, at = _time(readout, duration)
    expression = getattr(readout, "expression", "") or ""
    symbols: dict[str, Symbol] = {}
    timed_values: tuple = ()
    if expression:
        _check_syntax(readout, expression)
        check_reserved(group, expression)
        expression = inline(expression, subexpressions(group))
        spec = groups[name]
        ends = isinstance(at, tuple) and np.inf in at  # as a final value
        timed = kind in _WITH_TRACES and not ends
        symbols = _symbols(readout, group, expression, spec, namespace, duration, timed, collection)
        reader = _timed_reader(readout, group, expression, namespace, symbols, collection)
        expression = as_number(expression, booleans(group.variables))
        expression = with_bodies(expression, own_functions(reader.variables))
        if groups[name].every > 1:
            expression = expression_of(expression, group.clock)
        expression, timed_values = (
            reader.expression(expression),
            tuple(reader.timed_values.values()),
        )
        symbols |= reader.symbols
        expression, symbols = _of_part(part, expression, symbols, collection)
    start = getattr(part, "start", 0)
    return ReadoutSpec(
        kind=kind,
        group=name,
        start=int(start),
        stop=int(start) + len(part),
        expression=expression,
        which=getattr(readout, "which", "") or "",
        symbols=symbols,
        timed_values=timed_values,
        scale=_scale(readout, groups[name], group, namespace),
        at=at,
    )


def _time(readout, duration: float | None) -> tuple[str, float | tuple[float, ...] | None]:
    """Return the kind of a readout and the times of a value; one at the end is a final value."""
    if readout.kind not in ("value", "trace"):
        return readout.kind, None
    times = np.array(readout.at, float)
    end = np.inf if duration is None else duration
    if np.any(times > end * (1 + 1e-12)):
        late = f"{times.max() * brian.second}" if readout.of_many_times else "that time"
        raise ValueError(
            f"{readout!r}: a trial lasts {duration * brian.second}, so there is no value at "
            f"{late}. Give an earlier time, or the model a longer duration."
        )
    times[times >= end * (1 - 1e-12)] = np.inf
    if readout.of_many_times:
        return readout.kind, tuple(times.tolist())
    return ("final", None) if times == np.inf else (readout.kind, float(times))


def _check_syntax(readout, expression: str) -> None:
    try:
        nodes = list(ast.walk(parse(expression)))
    except SyntaxError as error:
        raise _no_expression(readout, error.msg) from None
    for node in nodes:
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if text or not isinstance(node, _SYNTAX):
            raise _no_expression(readout, f"'{ast.unparse(node)}' is not part of it")


def _is_condition(readout, expression: str, variables: Mapping) -> bool:
    try:
        return brian.is_boolean_expression(expression, variables)
    except SyntaxError as error:  # the wrong number of arguments, for instance
        raise _no_expression(readout, error.msg.rstrip(".")) from None


def _no_expression(readout, reason: str) -> ValueError:
    return ValueError(
        f"{readout!r}: '{readout.expression}' is no expression in Brian2's syntax ({reason}). Give "
        "one such as 'v', 'v**2' or 'v*exp(-t/T)'."
    )


def _timed_reader(readout, group, expression, namespace, symbols, collection) -> TimedValueReader:
    """What replaces the timed arrays of an expression; a part of a group counts its own neurons."""
    duration = {"T": symbols["T"].value * brian.second} if _is_duration(symbols) else {}
    scope = {**namespace, **duration}
    variables = resolve(group, f"_readout = {expression}", scope)
    part = readout.group
    inner = (int(part.start), int(part.stop)) if isinstance(part, brian.Subgroup) else None
    return TimedValueReader(group, variables, collection, inner)


def _is_duration(symbols) -> bool:
    """Whether T is the duration of a trial, and no variable of the group's own."""
    return "T" in symbols and symbols["T"].kind == "number"


def _scale(readout, spec: Group, group, namespace: Mapping) -> float | None:
    """How far the threshold's variable has to move to be worth one spike, in SI units."""
    scale = getattr(readout, "scale", None)
    if scale is None:
        return None
    tree = ast.parse(spec.threshold, mode="eval")
    sides = [ast.unparse(n.left) for n in ast.walk(tree) if isinstance(n, ast.Compare)]
    compared = []
    for side in sides:
        variables = resolve(group, f"_side = {side}", namespace)
        compared.append(brian.parse_expression_dimensions(side, variables))
    if brian.get_dimensions(scale) in compared:
        return float(np.asarray(scale))
    what = f"the scale of the spikes of '{spec.name}', whose threshold is '{spec.threshold}',"
    return float(to_si(scale, compared[0], what))


def _symbols(readout, group, expression, spec, namespace, duration, timed, collection):
    """The group's symbols and the readout's."""
    symbols = dict(spec.symbols)
    scope = dict(namespace)
    if "T" in names(expression) and "T" not in group.variables:
        symbols["T"] = _duration(expression, spec, duration)
        scope["T"] = symbols["T"].value * brian.second
    variables = resolve(group, f"_readout = {expression}", scope)
    check_functions(group, expression, variables, timed)
    if _is_condition(readout, expression, variables):
        raise ValueError(
            f"{readout!r}: '{readout.expression}' is a condition, true or false, and no number. "
            f"Write int({readout.expression}) for 1 where it holds and 0 elsewhere."
        )
    try:
        brian.parse_expression_dimensions(expression, variables)
    except SyntaxError as error:
        raise _no_expression(readout, error.msg.rstrip(".")) from None
    except DimensionMismatchError as error:
        raise DimensionMismatchError(
            f"{readout!r}: the units do not fit together. {error.desc}", *error.dims
        ) from None
    used = names(expression)
    add_symbols(symbols, used, variables, lambda *a: group_symbol(group, *a), collection)
    if readout.kind == "spike_times":
        _check_spike_times(group, expression, {name: symbols[name] for name in used})
    return symbols


def _duration(expression: str, spec: Group, duration: float | None) -> Symbol:
    if duration is None:
        raise ValueError(f"'{expression}' needs the duration of a trial for its 'T'.")
    if "T" in spec.symbols:
        raise ValueError(
            f"'T' is the duration of a trial in '{expression}', but the equations of "
            f"'{spec.name}' use a constant of that name. Rename the constant."
        )
    return Symbol("T", "number", "T", value=float(duration))


def _of_part(part, expression: str, symbols: dict, collection: Collection) -> tuple[str, dict]:
    """Let ``i`` and ``N`` of a Subgroup's readout be its own; the group's keep their names."""
    used = names(expression) & {"i", "N"}
    if not isinstance(part, brian.Subgroup) or not used:
        return expression, symbols
    indices = np.arange(len(parent(part))) - part.start
    key = collection.add((part.name, "i"), indices, brian.DIMENSIONLESS)
    own = {name: f"{name}_of_{part.start}_{part.stop}" for name in used}
    named = {
        "i": Symbol(own.get("i", "i"), "index", "i", key),
        "N": Symbol(own.get("N", "N"), "number", "N", value=float(len(part))),
    }
    return inline(expression, own), {**symbols, **{own[n]: named[n] for n in used}}


def _check_spike_times(group, expression: str, symbols: Mapping[str, Symbol]) -> None:
    for name, symbol in symbols.items():
        if symbol.kind == "state":
            reason = f"'{name}' jumps at the very spike at which it would be read"
            way_out = "Use t and parameters, or an Integral, Final or Maximum of the state."
            raise unsupported(group, expression, reason, way_out)
