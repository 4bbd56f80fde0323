"""Which neuron of NIR a group is: recognised by its equations, whatever their names and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from brian_eventprop.adjoint.symbolic.expressions import symbol, to_sympy
from brian_eventprop.adjoint.symbolic.reverse import compose
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.nir.numbers import NoNumber, Numbers, linear
from brian_eventprop.reading.refused.refusals import Refusals
from brian_eventprop.reading.spec import Group, Key
from brian_eventprop.reading.unsupported import unsupported

_FORM = "tau*dv/dt = v_leak - v + R*I with dI/dt = -I/tau_syn, or without I"


@dataclass(frozen=True)
class Neurons:
    """The neurons of a group in NIR's terms: SI units, one number for each neuron.

    Attributes
    ----------
    v, current
        Names of the potential, and of the synaptic current; '' if there is none.
    gain
        What a current of 1 adds to dv/dt.
    v_threshold, v_reset
        None of neurons that do not spike.
    """

    name: str
    v: str
    current: str
    tau: np.ndarray
    v_leak: np.ndarray
    tau_syn: np.ndarray | None
    gain: np.ndarray | None
    v_threshold: np.ndarray | None
    v_reset: np.ndarray | None

    @property
    def spikes(self) -> bool:
        """Whether they have a threshold."""
        return self.v_threshold is not None

    @property
    def receives(self) -> str:
        """The state to which synapses add: the current, or the potential itself."""
        return self.current or self.v


def recognise(group: Group, obj, values: Mapping[Key, np.ndarray]) -> Neurons:
    """Return a group in NIR's terms.

    Parameters
    ----------
    group
        As it was read.
    obj
        The Brian2 object, for messages.
    values
        Of all keys, SI units.

    Raises
    ------
    UnsupportedError
        If it is no leaky integrator of NIR; all reasons at once.
    """
    with Refusals() as refusals:
        refusals.check(_check_rest, group, obj)
        v, current = _roles(group, obj)
        numbers = Numbers(group.symbols, values, group.size)
        parts = (
            refusals.check(_membrane, group, obj, v, current, numbers),
            refusals.check(_synapse, group, obj, v, current, numbers),
            refusals.check(_threshold, group, obj, v, numbers),
            refusals.check(_reset, group, obj, v, numbers),
        )
    found = {name: array for part in parts for name, array in part.items()}
    return Neurons(group.name, v, current, **found)


def _check_rest(group: Group, obj) -> None:
    """Refuse what a group may have besides equations, a threshold and a reset."""
    refusals = Refusals()
    if group.may_be_refractory:
        period = group.text.rpartition("\nrefractory: ")[2]
        reason = "NIR's neurons are never refractory"
        refusals.add(unsupported(obj, f"refractory={period}", reason, "Leave it out."))
    for regular in group.regular:
        code = "; ".join(f"{s.target} = {s.expression}" for s in regular.statements)
        reason = "NIR has no code that runs at given times"
        refusals.add(unsupported(obj, code, reason, "Leave run_regularly out."))
    for state in group.states:
        if state not in group.derivatives:
            reason = "it has no differential equation, and NIR's neurons have no other states"
            refusals.add(unsupported(obj, state, reason, f"NIR has {_FORM}."))
    refusals.raise_found()


def _roles(group: Group, obj) -> tuple[str, str]:
    """Return the names of the potential and of the synaptic current."""
    states = list(group.derivatives)
    if len(states) == 1:
        return states[0], ""
    if len(states) != 2:
        reason = f"it has {len(states)} state variables, {', '.join(states)}"
        raise unsupported(obj, group.text, reason, f"NIR has {_FORM}.")
    reads = {x: _reads(group, x) & set(states) - {x} for x in states}
    receiving = [x for x in states if reads[x]]
    if len(receiving) != 1:
        what = "each reads the other" if receiving else "neither reads the other"
        reason = f"of its state variables {' and '.join(states)} {what}"
        raise unsupported(obj, group.text, reason, f"NIR has {_FORM}.")
    (v,) = receiving
    return v, next(x for x in states if x != v)


def _reads(group: Group, state: str) -> set[str]:
    return {s.name for s in to_sympy(group.derivatives[state]).free_symbols}


def _terms(group: Group, obj, state: str, numbers: Numbers):
    """Return the coefficients of a state's equation and its constant, as numbers."""
    right = group.derivatives[state]
    try:
        factors, rest = linear(to_sympy(right), group.derivatives)
        return {name: numbers(f) for name, f in factors.items()}, numbers(rest)
    except (NoNumber, UnsupportedError) as error:
        way_out = f"NIR has {_FORM}, with constant parameters."
        raise unsupported(obj, f"d{state}/dt = {right}", f"{error}".rstrip("."), way_out) from None


def _decay(group: Group, obj, state: str, factor: np.ndarray) -> np.ndarray:
    """Return the time constants of a state."""
    if np.all(factor < 0):
        return -1 / factor
    reason = f"'{state}' does not decay to a fixed value in all neurons"
    statement = f"d{state}/dt = {group.derivatives[state]}"
    raise unsupported(obj, statement, reason, f"NIR has {_FORM}, with tau > 0.")


def _membrane(group: Group, obj, v: str, current: str, numbers: Numbers) -> dict:
    factors, rest = _terms(group, obj, v, numbers)
    tau = _decay(group, obj, v, factors[v])
    return {"tau": tau, "v_leak": rest * tau, "gain": factors[current] if current else None}


def _synapse(group: Group, obj, v: str, current: str, numbers: Numbers) -> dict:
    if not current:
        return {"tau_syn": None}
    factors, rest = _terms(group, obj, current, numbers)
    if np.any(rest != 0) or np.any(factors[v] != 0):
        statement = f"d{current}/dt = {group.derivatives[current]}"
        reason = f"'{current}' does not decay to 0 by itself"
        raise unsupported(obj, statement, reason, f"NIR has {_FORM}.")
    return {"tau_syn": _decay(group, obj, current, factors[current])}


def _threshold(group: Group, obj, v: str, numbers: Numbers) -> dict:
    if group.threshold is None:
        return {"v_threshold": None}
    way_out = f"NIR's neurons spike where {v} > v_threshold: write it so."
    try:
        condition = to_sympy(group.threshold)
        if isinstance(condition, sp.StrictLessThan):
            condition = condition.reversed
        if not isinstance(condition, sp.StrictGreaterThan):
            raise NoNumber("it is not one comparison by '>'")
        factors, rest = linear(condition.lhs - condition.rhs, group.derivatives)
        if any(f != 0 for name, f in factors.items() if name != v):
            raise NoNumber(f"it does not compare '{v}'")
        factor = numbers(factors[v])
        if not np.all(factor > 0):
            raise NoNumber(f"it is not a lower limit of '{v}'")
        return {"v_threshold": -numbers(rest) / factor}
    except (NoNumber, UnsupportedError) as error:
        raise unsupported(obj, group.threshold, f"{error}".rstrip("."), way_out) from None


def _reset(group: Group, obj, v: str, numbers: Numbers) -> dict:
    if group.threshold is None:
        return {"v_reset": None}
    code = group.text.rpartition("\nreset: ")[2] if group.reset else "reset"
    way_out = f"NIR's neurons are set to a value after a spike: '{v} = v_reset'."
    if not group.reset:
        raise unsupported(obj, code, "there is none", way_out)
    after = compose(group.reset, group.states)
    others = [x for x in group.states if x != v and after[x] != symbol(x)]
    if others:
        raise unsupported(obj, code, f"it changes '{others[0]}', too", way_out)
    if symbol(v) in after[v].free_symbols:
        reason = f"it depends on '{v}': a reset by subtraction is not part of NIR"
        raise unsupported(obj, code, reason, way_out)
    try:
        return {"v_reset": numbers(after[v])}
    except NoNumber as error:
        raise unsupported(obj, code, f"{error}", way_out) from None
