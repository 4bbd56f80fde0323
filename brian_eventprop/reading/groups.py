"""A Brian2 `NeuronGroup` as a `Group` of the specification."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import fold, inline, mentions, names
from brian_eventprop.reading.equations.noise import check_additive, is_noisy, with_given_noise
from brian_eventprop.reading.equations.own_steps import with_own_dt
from brian_eventprop.reading.equations.regular import (
    RegularCode,
    build_regular,
    read_regular,
    written_regularly,
)
from brian_eventprop.reading.equations.statements import (
    Block,
    as_expression,
    code_text,
    read_block,
    resolve,
    spell_out_all,
    without_unused,
)
from brian_eventprop.reading.equations.symbols import (
    LAST_SPIKE,
    Collection,
    add_symbols,
    group_symbol,
)
from brian_eventprop.reading.equations.timed_arrays import TimedValueReader
from brian_eventprop.reading.equations.types import as_condition, as_number, booleans
from brian_eventprop.reading.events import name_of_event
from brian_eventprop.reading.functions.inlining import own_functions, with_bodies
from brian_eventprop.reading.refused.noise import check_spiking
from brian_eventprop.reading.refused.refusals import Refusals
from brian_eventprop.reading.spec import Group, Statement, Symbol
from brian_eventprop.reading.unsupported import (
    check_functions,
    check_neuron_group,
    check_reserved,
    event_of,
    unsupported,
)

_NO_ABSTRACT_CODE = "it has no abstract code that could be differentiated"
_METHODS = "Use 'exact', 'exponential_euler', 'euler', 'rk2', 'rk4' or 'heun'."


@dataclass(frozen=True)
class GroupCode:
    """The blocks of one group, before it is known which parameters events write."""

    group: Any
    method: str
    update: Block | None
    threshold: Block | None
    reset: Block | None
    refractory: str | None
    refractory_is_condition: bool
    equations: Mapping[str, Any]
    regular: tuple[RegularCode, ...] = ()
    event: str = "spike"
    noisy: Any = None


def read_group_code(
    group, namespace: Mapping, ignored: Container[int] = (), event: str | None = None
) -> GroupCode:
    """Check a `NeuronGroup` and read its blocks of code, those of its spikes or of an event."""
    event = event_of(group) if event is None else event
    with Refusals() as refusals:
        refusals.check(check_neuron_group, group, ignored)
        period = refusals.check(_read_refractory, group, namespace)
        noisy, given = (group if is_noisy(group) else None), None
        if noisy is not None:
            given = refusals.check(_with_given_noise, group, namespace)
        read, known = given or (group, namespace)
        equations = refusals.check(_equation_variables, read, known)
        group.equations.check_units(group, run_namespace=namespace)
        brian.check_subexpressions(group, group.equations, namespace)
        group, namespace = read, known
        if not refusals:
            method, update = refusals.check(read_update, group, equations, namespace) or ("", None)
        threshold = refusals.check(_read_threshold, group, namespace, event)
        never = threshold is not None and _condition(threshold) == "False"
        reset = None if never else refusals.check(_read_reset, group, namespace, event)
        regular = refusals.check(read_regular, group, namespace, frozen_states(group), ignored)
    refractory, is_condition = period
    return GroupCode(
        group=group,
        method=method,
        update=update,
        threshold=None if never else threshold,
        reset=reset,
        refractory=refractory,
        refractory_is_condition=is_condition,
        equations=equations,
        regular=tuple(regular),
        event=event,
        noisy=noisy,
    )


def _with_given_noise(group, namespace: Mapping) -> tuple[Any, Mapping]:
    """Return the group with its noise as timed arrays, and the namespace that has them."""
    check_spiking(group, subexpressions(group))
    check_additive(group, subexpressions(group), group.equations.diff_eq_names)
    method, _ = _chosen(group, _equation_variables(group, namespace))
    return with_given_noise(group, namespace, method)


def is_refractory(group) -> bool:
    """Whether spikes make neurons refractory; custom events never do."""
    return group._refractory is not False and event_of(group) == "spike"


def event_states(code: GroupCode) -> list[str]:
    """Return the names that a spike or regular code writes, and the time of the last spike."""
    written = [*(code.reset.written if code.reset else []), *written_regularly(code.regular)]
    return [*written, *[LAST_SPIKE] * (code.threshold is not None and _reads_last_spike(code))]


def _reads_last_spike(code: GroupCode) -> bool:
    """Whether the user's own code reads the time of the last spike."""
    group = code.group
    texts = [eq.expr.code for eq in group.user_equations.values() if eq.expr is not None]
    texts += [code.refractory or "", *map(code_text, group.event_codes.values())]
    texts += map(code_text, group.events.values())
    return is_refractory(group) and any(mentions(text, LAST_SPIKE) for text in texts)


def build_group(
    code: GroupCode, states: tuple[str, ...], namespace: Mapping, collection: Collection
) -> Group:
    """Put the specification together once the states are known."""
    group = code.group
    _check_writable(group, states)
    if code.noisy is not None:
        check_additive(code.noisy, subexpressions(code.noisy), states)
    own = own_functions(code.equations)
    definitions, flags = subexpressions(group), booleans(code.equations)
    derivatives = {
        eq.varname: with_bodies(as_number(inline(eq.expr.code, definitions), flags), own)
        for eq in group.user_equations.values()
        if eq.type == brian.DIFFERENTIAL_EQUATION
    }
    frozen = frozen_states(group)
    blocks = (code.update, code.threshold, code.reset, *(r.block for r in code.regular))
    functions = _functions(*blocks)
    reader = TimedValueReader(group, {**code.equations, **functions}, collection)
    derivatives = {name: reader.expression(text) for name, text in derivatives.items()}
    others = {s: e for s, e in derivatives.items() if mentions(e, "not_refractory")}
    derivatives |= {name: fold(text, True) for name, text in others.items()}
    if not is_refractory(group):
        others = {}
    held = {name: fold(text, False) for name, text in others.items() if name not in frozen}
    update, update_refractory = _update_statements(code.update, states, frozen, reader)
    threshold = reader.expression(_condition(code.threshold)) if code.threshold else None
    reset = _event_statements(code.reset, states, reader, free=not is_refractory(group))
    if LAST_SPIKE in states:  # Brian2 sets it before it runs the reset
        reset = (Statement(LAST_SPIKE, "t"), *reset)
    made = [build_regular(r, group, reader, collection) for r in code.regular]
    regular = tuple(r for r, _ in made)
    refractory = None
    if code.refractory is not None:
        plain = as_condition if code.refractory_is_condition else as_number
        refractory = plain(inline(code.refractory, definitions), flags)
        refractory = with_bodies(refractory, own_functions(_period_variables(code, namespace)))

    symbols: dict[str, Symbol] = dict(reader.symbols)
    symbols |= {name: symbol for _, own in made for name, symbol in own.items()}
    used = set(states) | set(group.user_equations.parameter_names)
    every = collection.every(group.clock)
    used |= {"t", "dt"} if regular or every > 1 else set()  # they tell when it runs
    for expression in [*derivatives.values(), *held.values(), threshold, refractory]:
        used |= names(expression) if expression else set()
    jumps = [s for r in regular for s in r.statements]
    for statement in (*update, *update_refractory, *reset, *jumps):
        used |= names(statement.expression)
    variables = _all_variables(code, used, namespace)
    add_symbols(symbols, used, variables, lambda *a: group_symbol(group, *a), collection)
    _check_refractory(code, refractory, symbols)
    _check_refractory_jumps(code, refractory)
    condition = refractory if code.refractory_is_condition else None
    built = Group(
        name=name_of_event(group, code.event),
        size=len(group),
        symbols=symbols,
        states=states,
        frozen=frozen,
        derivatives=derivatives,
        derivatives_refractory=held,
        method=code.method,
        update=update,
        update_refractory=update_refractory,
        threshold=threshold,
        reset=reset,
        refractory=None if condition else refractory,
        refractory_condition=condition,
        text=_text(group, code.event),
        timed_values=tuple(reader.timed_values.values()),
        regular=regular,
        every=every,
    )
    return with_own_dt(built, group.clock)


def _functions(*blocks: Block | None) -> dict[str, Any]:
    variables = {name: v for block in blocks if block for name, v in block.variables.items()}
    return {name: v for name, v in variables.items() if isinstance(v, brian.Function)}


def subexpressions(group) -> dict[str, str]:
    """Return the definition of each subexpression of a group that Brian2 puts in its place."""
    return {
        eq.varname: eq.expr.code
        for eq in group.user_equations.values()
        if eq.type == brian.SUBEXPRESSION and "constant over dt" not in eq.flags
    }


def frozen_states(group) -> tuple[str, ...]:
    """Return the states that stand still while the neuron is refractory."""
    if not is_refractory(group):
        return ()
    return tuple(
        eq.varname
        for eq in group.user_equations.values()
        if eq.type == brian.DIFFERENTIAL_EQUATION and "unless refractory" in eq.flags
    )


def _equation_variables(group, namespace: Mapping) -> dict[str, Any]:
    # The same names as Brian2 resolves, so that its cache already holds the solution when it runs.
    needed = group.equations.names | group.equations.identifiers | {"dt"}
    if group._refractory is not False:
        code = group.state_updater._get_refractory_code(run_namespace=namespace)
        _, used, unknown = brian.analyse_identifiers(code, group.variables, recursive=True)
        needed |= used | unknown
    variables = group.resolve_all(needed, namespace, user_identifiers=set())
    own = {name: variables[name] for name in group.equations.identifiers}
    check_functions(group, "\n".join(str(eq) for eq in group.user_equations.values()), own, True)
    return variables


# --- state update -----------------------------------------------------------------------------


def read_update(group, variables: Mapping, namespace: Mapping) -> tuple[str, Block | None]:
    """Return the integration method and its abstract code, optimised."""
    if not group.equations.diff_eq_names:
        return "", None
    name, code = _chosen(group, variables)
    resolved = resolve(group, code, namespace)
    return name, read_block(group, code, resolved, check_units=False, timed_values=True)


def _chosen(group, variables: Mapping) -> tuple[str, str]:
    """Return the integration method that Brian2 takes, and its abstract code."""
    choice = group.state_updater.method_choice
    options = group.state_updater.method_options
    if isinstance(choice, str) or callable(choice):
        return _apply(group, variables, choice, method_options=options)
    return _first_applicable(group, variables, choice)


def _first_applicable(group, variables: Mapping, choice) -> tuple[str, str]:
    """Choose as Brian2 does: the first method that does not decline the equations."""
    for method in choice:
        try:
            return _apply(group, variables, method)
        except brian.UnsupportedEquationsException:
            continue
    raise ValueError(f"No integration method of {choice} suits the equations of '{group.name}'.")


def _apply(group, variables: Mapping, method, **options) -> tuple[str, str]:
    known = brian.StateUpdateMethod.stateupdaters
    name = method.lower() if isinstance(method, str) else None
    if name is None:
        name = next((n for n, m in known.items() if m is method), "custom")
    name = "exact" if name == "linear" else name
    if name.startswith("gsl") or name == "milstein":
        raise unsupported(group, f"method='{name}'", _NO_ABSTRACT_CODE, _METHODS)
    code = brian.StateUpdateMethod.apply_stateupdater(
        group.equations, variables, method, group_name=group.name, **options
    )
    if not isinstance(code, str):
        raise unsupported(group, f"method='{name}'", _NO_ABSTRACT_CODE, _METHODS)
    return name, code


def spell_out_update(block: Block, states: tuple[str, ...]) -> tuple[Statement, ...]:
    """Return the update of a group without refractoriness and timed arrays."""
    return without_unused(spell_out_all(block.statements), states)


def _update_statements(
    block: Block | None,
    states: tuple[str, ...],
    frozen: tuple[str, ...],
    timed_values: TimedValueReader,
) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
    """Return the update of a free and of a refractory neuron."""
    if block is None:
        return (), ()
    held = [s for s in block.statements if s.var not in frozen]
    free = timed_values.block(spell_out_all(block.statements, free=True))
    held = timed_values.block(spell_out_all(held, free=False))
    return without_unused(free, states), without_unused(held, states)


# --- events -----------------------------------------------------------------------------------


def _read_threshold(group, namespace: Mapping, event: str) -> Block | None:
    if event not in group.events:
        return None
    condition = code_text(group.events[event]).strip()
    # Brian2 adds `and not_refractory` itself, so it may stand there already
    given = is_refractory(group)
    if not given:
        check_reserved(group, condition)
    code = f"_cond = {condition}"
    variables = resolve(group, code, namespace)
    check_functions(group, condition, variables, True)
    if not brian.is_boolean_expression(condition, variables):
        raise TypeError(
            f"The threshold '{condition}' of '{group.name}' is not a condition, such as 'v > 1'."
        )
    return read_block(group, code, variables, timed_values=True)


def _condition(threshold: Block) -> str:
    """Return the condition of a threshold for a free neuron, 'False' if it is never met."""
    return fold(as_expression(spell_out_all(threshold.statements), "_cond"), free=True)


def _read_reset(group, namespace: Mapping, event: str) -> Block | None:
    if event not in group.event_codes:
        return None
    code = code_text(group.event_codes[event])
    return read_block(group, code, resolve(group, code, namespace), timed_values=True)


def _event_statements(
    block: Block | None, states: tuple[str, ...], timed_values: TimedValueReader, free: bool
) -> tuple[Statement, ...]:
    if block is None:
        return ()
    return without_unused(timed_values.block(spell_out_all(block.statements, free)), states)


def _read_refractory(group, namespace: Mapping) -> tuple[str | None, bool]:
    """Return the refractory period in seconds, or the condition, and whether it is a condition."""
    if not is_refractory(group):
        return None, False
    period = group._refractory
    if isinstance(period, brian.Quantity):
        brian.fail_for_dimension_mismatch(
            period, brian.second, f"The refractory period has to be a time, not {period}."
        )
        return repr(float(period)), False
    period = code_text(period).strip()
    if mentions(period, "not_refractory"):
        reason = "it reads 'not_refractory', which it decides itself"
        raise unsupported(group, f"refractory='{period}'", reason, "Leave 'not_refractory' out.")
    variables = resolve(group, f"_period = {period}", namespace)
    check_functions(group, period, variables)
    dimension = brian.parse_expression_dimensions(period, variables)
    if brian.is_boolean_expression(period, variables):
        return period, True
    brian.fail_for_dimension_mismatch(
        dimension, brian.second, f"The refractory period '{period}' has to be a time."
    )
    return period, False


def _check_refractory_jumps(code: GroupCode, refractory: str | None) -> None:
    """Refuse what runs regularly and changes what the refractory period depends on."""
    changed = set(written_regularly(code.regular))
    for name in sorted(names(refractory) & changed) if refractory else ():
        reason = f"'{name}' jumps at fixed times, by what runs regularly or is constant over dt"
        way_out = "Let it depend on other variables."
        raise unsupported(code.group, f"refractory='{code.refractory}'", reason, way_out)


def _check_refractory(
    code: GroupCode, refractory: str | None, symbols: Mapping[str, Symbol]
) -> None:
    """Refuse a period that goes on changing after the reset."""
    if refractory is None or code.refractory_is_condition:
        return
    for name in sorted(names(refractory)):
        if symbols[name].kind == "t" or name in code.group.equations.diff_eq_names:
            raise _changing_period(code, name, "goes on changing after the spike")


def check_period(code: GroupCode, written: Iterable[str], by: str) -> None:
    """Refuse a period that arrivals change, given the variables that a pathway writes."""
    if code.refractory is None or code.refractory_is_condition:
        return
    period = names(inline(code.refractory, subexpressions(code.group)))
    for name in sorted(period & set(written)):
        raise _changing_period(code, name, f"is changed by the arrivals of '{by}'")


def _changing_period(code: GroupCode, name: str, change: str):
    reason = f"'{name}' {change}, so a neuron may become refractory again without a spike"
    way_out = "Let the period depend on parameters and on variables that only the reset writes."
    return unsupported(code.group, f"refractory='{code.refractory}'", reason, way_out)


def _check_writable(group, states: tuple[str, ...]) -> None:
    """Refuse events that write shared or internal variables."""
    refusals = Refusals()
    for name in states:
        if name == LAST_SPIKE:
            continue
        variable = group.variables[name]
        if variable.read_only or name not in group.user_equations.names:
            raise ValueError(f"'{name}' of '{group.name}' cannot be written by an event.")
        if variable.scalar:
            way_out = "Remove the flag '(shared)'."
            refusals.add(unsupported(group, name, "an event writes a shared variable", way_out))
    refusals.raise_found()


def _period_variables(code: GroupCode, namespace: Mapping) -> dict[str, Any]:
    return resolve(code.group, f"_period = {code.refractory}", namespace)


def _all_variables(code: GroupCode, used: set[str], namespace: Mapping) -> dict[str, Any]:
    """Return the variable behind each name of the group's code."""
    variables = dict(code.equations)
    for block in (code.update, code.threshold, code.reset, *(r.block for r in code.regular)):
        if block:
            variables.update(block.variables)
    if code.refractory is not None:
        variables.update(_period_variables(code, namespace))
    own = {name: code.group.variables[name] for name in used if name in code.group.variables}
    return {**variables, **own}


def _text(group, event: str) -> str:
    """The equations, threshold, reset and refractory period as the user wrote them."""
    lines = [str(group.user_equations)]
    if event in group.events:
        lines.append(f"threshold: {code_text(group.events[event])}")
    if event in group.event_codes:
        lines.append(f"reset: {code_text(group.event_codes[event])}")
    if is_refractory(group):
        lines.append(f"refractory: {group._refractory}")
    return "\n".join(lines)
