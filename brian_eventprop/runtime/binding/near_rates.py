"""Constants of Brian2's exact solution where time constants nearly coincide.

``(exp(a h) - exp(b h))/(a - b)`` loses digits as a and b come close, and its derivatives lose twice
as many.  Spikes are those of Brian2, so its own numbers are taken while they can be trusted, and
refused beyond; derivatives are computed again with as many digits as it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import mpmath
import numpy as np

from brian_eventprop.adjoint.groups import LoopInvariants
from brian_eventprop.adjoint.symbolic.expressions import parse, sums_divided_by
from brian_eventprop.adjoint.symbolic.loop_invariant import SHARED
from brian_eventprop.codegen.expr.parameter_map import prepare_lines, vjp_lines
from brian_eventprop.codegen.expr.printing import DIGITS_FUNCTIONS, DigitsStyle
from brian_eventprop.reading.equations.expressions import functions, inline

#: Largest relative error of a constant; of a derivative before it is computed again.
LOST, LOST_DERIVATIVE = 1e-4, 1e-8
#: Decimal digits of what is computed again.
DIGITS = 100

Values = Mapping[str, np.ndarray]


def _space(number, known) -> dict:
    return {"np": np, "number": number, "each": lambda value: value, **known}


# whether there are some digits more than in double precision, to compare with
_EXTENDED = np.finfo(np.longdouble).eps < np.finfo(float).eps
_DOUBLE = _space(float, {name: getattr(np, name) for name in DIGITS_FUNCTIONS})
_MANY = _space(
    mpmath.mpf,
    {n: np.frompyfunc(getattr(mpmath, own), 1, 1) for n, own in DIGITS_FUNCTIONS.items()},
)


def near_rates(invariants: LoopInvariants) -> NearRates | None:
    """Return the care that some constants need; None if none divides by a sum or difference."""
    definitions = {s.target: s.expression for s in (*invariants.shared, *invariants.per_element)}
    for text in definitions.values():
        if not functions(text) <= DIGITS_FUNCTIONS.keys():
            return None
    full = (inline(text, definitions) for text in definitions.values())
    return NearRates(invariants) if any(sums_divided_by(parse(text)) for text in full) else None


class NearRates:
    """The constants of a group whose exact solution divides by differences.

    Parameters
    ----------
    invariants
        Its constants and their reverse.
    """

    def __init__(self, invariants: LoopInvariants):
        style = DigitsStyle()
        vjp, results = vjp_lines(invariants, style, "each")
        self._prepare = compile("\n".join(prepare_lines(invariants, style)), "constants", "exec")
        self._vjp = compile("\n".join([*vjp, f"results = {results}"]), "gradients", "exec")
        self._made = [s.target for s in (*invariants.shared, *invariants.per_element)]
        self._common = {f"lam.{n}" for n in invariants.active if invariants.levels[n] == SHARED}
        self._by_neuron = {f"lam.{n}" for n in invariants.active} - self._common
        self._trusted: dict[str, np.ndarray] | None = None

    def lost(self, v: Values) -> tuple[str, np.ndarray, float] | None:
        """Return the name of a constant without its digits, where it is, and its worst error."""
        given = {name: value for name, value in v.items() if name not in self._made}
        if self._trusted is not None and _same(given, self._trusted):
            return None
        exact = _run(self._prepare, _longer(given) if _EXTENDED else _digits(given), _EXTENDED)
        with np.errstate(all="ignore"):
            for name in self._made:
                error = _error(_floats(v[name]), _floats(exact["v"][name]))
                if np.any(error > LOST):
                    return name, error > LOST, float(np.max(error))
        self._trusted = {name: np.array(value) for name, value in given.items()}
        return None

    def vjp(self, results: Values, v: Values) -> Values:
        """Return the gradients of the parameters, computed again where they have lost digits.

        Parameters
        ----------
        results
            The gradients as they were computed in double precision.
        v
            Values of the parameters, and the gradients ``lam.NAME`` of the constants.
        """
        given = {n: _floats(x) for n, x in v.items() if n not in self._made}
        parts = []
        if self._common:
            # what is common to all is looked at with one neuron only
            alone = {n: x[:1] if np.ndim(x) else x for n, x in given.items()}
            parts.append(self._part({n: _only(n, x, self._common) for n, x in alone.items()}))
        if self._by_neuron:
            parts.append(self._part({n: _only(n, x, self._by_neuron) for n, x in given.items()}))
        if not any(again for _, again in parts):
            return results
        found = [_spread(part) for part, _ in parts]
        return {
            name: sum(np.sum(part[name]) for part in found)
            if np.ndim(result) == 0
            else found[-1][name]
            for name, result in results.items()
        }

    def _part(self, given: Values) -> tuple[Values, bool]:
        """The gradients, neuron by neuron if not alike, and whether some were computed again."""
        found = _run(self._vjp, given, True)["results"]
        better = _run(self._vjp, _longer(given), True)["results"] if _EXTENDED else {}
        with np.errstate(all="ignore"):
            right = [_agree(x, better.get(n, np.nan)) for n, x in found.items()]
        if np.all([np.all(part) for part in right]):
            return found, False
        found, right = _spread(found), _spread(dict(enumerate(right)), bool)
        at = np.flatnonzero(~np.all(list(right.values()), axis=0))
        chosen = {n: x[at] if np.ndim(x) else x for n, x in given.items()}
        exact = _run(self._vjp, _digits(chosen), False)["results"]
        for name, x in exact.items():
            found[name][at] = np.asarray(x, float)
        return found, True


def _run(code, v, extended: bool) -> dict:
    space = {**(_DOUBLE if extended else _MANY), "v": dict(v)}
    digits = nullcontext() if extended else mpmath.workdps(DIGITS)
    with np.errstate(all="ignore"), digits:
        exec(code, space)
    return space


def _only(name, value, kept):
    """A value; 0 in place of the gradient of a constant that is not among those kept."""
    return 0 * value if name.startswith("lam.") and name not in kept else value


def _spread(found: Mapping, kind=float) -> dict:
    """Return one entry per neuron of each array."""
    size = max((np.size(x) for x in found.values()), default=1)
    return {n: np.array(np.broadcast_to(x, size), kind) for n, x in found.items()}


def _floats(value):
    """A number or an array in double precision."""
    return value if isinstance(value, float) else np.asarray(value, float)[()]


def _error(value, right):
    """The relative error of a number or of each of several."""
    if np.ndim(value) or np.ndim(right):
        return np.where(value == right, 0.0, np.abs(value - right) / np.abs(right))
    return 0.0 if value == right else np.abs(value - right) / np.abs(right)


def _longer(given: Values) -> Values:
    return {name: np.asarray(x, np.longdouble)[()] for name, x in given.items()}


def _digits(given: Values) -> Values:
    make = np.frompyfunc(lambda x: mpmath.mpf(float(x)), 1, 1)
    return {name: make(np.asarray(x, float)) for name, x in given.items()}


def _agree(a, b) -> np.ndarray:
    return np.abs(a - b) <= LOST_DERIVATIVE * np.abs(b)


def _same(a, b) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
