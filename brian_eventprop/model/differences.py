"""Numerical differentiation that knows how exact it is.

Central differences at steps that fall by a factor of 4, extrapolated (Richardson), as in the method
of Ridders (1982).  Their error is not assumed but seen: a wide step is wrong by what the loss
bends, a narrow one by the noise of the loss, and both show in how much neighbouring steps disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["Difference", "differentiate", "is_one_sided"]

#: The first step, relative to the size of the variable, and the factor from step to step.
START, RATIO = 1e-4, 4.0
#: Steps in the order in which they are tried, by the power of `RATIO` that START is divided by.
ORDER = (0, 1, 2, 3, -1, 4, -2, 5, -3, -4, -5, -6)
#: A variable that cannot get lower than 0 needs room for this step to be moved to both sides.
NARROW = 3

#: Factor on the disagreement of two steps; two alone may agree by chance.
SAFETY, CHANCE = 8.0, 100.0
_ROUNDING = 4 * np.finfo(float).eps
#: Changes of the loss, relative to it, that are rounding: of sums of many terms, and of times that
#: were found by iteration.
_FLAT = 1e-13


@dataclass(frozen=True)
class Difference:
    """A derivative by differences of the loss.

    Attributes
    ----------
    value : float
    error : float
        Bound on what the value is wrong by; infinite if nothing is known of it.
    slope : float
        Mean size of the slopes to both sides: what the value is the small difference of, where the
        loss has an extremum.
    same_spikes : bool
        Whether all neurons spike as often as without the change.
    finite : bool
        Whether the loss is finite.
    kink : bool
        Whether the slopes to both sides stay apart when the step falls.
    one_sided : bool
    flat : bool
        Whether the loss is the same at all steps up to the first one, but for rounding.
    gap : float
        How far the slopes to both sides are apart at the narrower of the steps.
    """

    value: float
    error: float
    slope: float = 0.0
    same_spikes: bool = True
    finite: bool = True
    kink: bool = False
    one_sided: bool = False
    flat: bool = False
    gap: float = 0.0


@dataclass(frozen=True)
class _Rung:
    """The difference at one step."""

    step: float
    value: float
    right: float
    left: float
    level: float
    same_spikes: bool
    finite: bool
    flat: bool

    @property
    def gap(self) -> float:
        return abs(self.right - self.left)


def differentiate(
    sample: Callable[[float], tuple[float, bool]],
    base: float,
    size: float,
    good_enough: Callable[[Difference], bool],
    room: float = np.inf,
) -> Difference:
    """Return the derivative of a loss, from as few steps as are good enough.

    Parameters
    ----------
    sample
        Returns the loss after a change, and whether the spikes are those without it.
    base
        The loss without a change.
    size
        Size of what is changed.
    good_enough
        Whether a difference may be returned before all steps were tried.
    room
        How far the variable may be lowered.

    Examples
    --------
    >>> found = differentiate(lambda x: ((1 + x)**3, True), 1.0, 1.0, lambda d: d.error < 1e-8)
    >>> bool(abs(found.value - 3) <= found.error < 1e-8)
    True
    """
    one_sided = is_one_sided(room, size)
    rungs: dict[int, _Rung] = {}
    best = Difference(np.nan, np.inf, finite=False)
    for power in ORDER:
        step = size * START * RATIO**-power
        if one_sided:
            rungs[power] = _to_the_right(sample, base, step)
        elif step <= room:
            rungs[power] = _to_both_sides(sample, base, step)
        if len(rungs) >= 3:
            best = _best(rungs, one_sided)
            if best.same_spikes and good_enough(best):
                break
    return best


def is_one_sided(room: float, size: float) -> bool:
    """Whether a variable is too close to its lowest value to be moved to both sides."""
    return room < size * START * RATIO**-NARROW


def _to_both_sides(sample, base, step):
    (high, same_high), (low, same_low) = sample(step), sample(-step)
    return _Rung(
        step, (high - low) / (2 * step), (high - base) / step, (base - low) / step,
        max(abs(high), abs(low)), same_high and same_low, bool(np.isfinite(high - low)),
        max(abs(high - base), abs(low - base)) <= _FLAT * abs(base),
    )  # fmt: skip


def _to_the_right(sample, base, step):
    (far, same_far), (near, same_near) = sample(step), sample(step / 2)
    value = (4 * near - far - 3 * base) / step
    # the difference of far and near losses has eight times the rounding of a central one
    return _Rung(
        step, value, value, value, 8 * max(abs(far), abs(near)), same_far and same_near,
        bool(np.isfinite(far - near)),
        max(abs(far - base), abs(near - base)) <= _FLAT * abs(base),
    )  # fmt: skip


def _best(rungs: Mapping[int, _Rung], one_sided: bool) -> Difference:
    """Return the difference with the smallest error, of those with the same spikes if there are."""
    finite = {power: rung for power, rung in rungs.items() if rung.finite}
    same = {power: rung for power, rung in finite.items() if rung.same_spikes}
    for usable in (same, finite):
        found = _extrapolated(usable, one_sided)
        if found:
            return min(found, key=lambda difference: difference.error)
    if not finite:
        return Difference(np.nan, np.inf, finite=False, one_sided=one_sided)
    last = finite[max(finite)]
    return Difference(last.value, np.inf, same_spikes=last.same_spikes, one_sided=one_sided)


def _extrapolated(rungs: Mapping[int, _Rung], one_sided: bool) -> list[Difference]:
    """Return Richardson's extrapolation from each step to the next, with its error.

    The noise of the loss is the same at all steps, so what narrower steps show of it counts for
    wider ones as well, divided by their width.
    """
    values = {
        power: (16 * rungs[power + 1].value - rungs[power].value) / 15
        for power in sorted(rungs)
        if power + 1 in rungs
    }
    apart = {p: abs(values[p] - values[q]) for p, q in pairwise(values) if q == p + 1}
    if not apart:
        return []
    safety = SAFETY if len(apart) > 1 else CHANCE
    flat = all(rung.flat for power, rung in rungs.items() if power >= 0)
    found = []
    for power in apart:
        wide, narrow = rungs[power], rungs[power + 1]
        noise = max(gap * RATIO ** (power - q) for q, gap in apart.items() if q >= power)
        # Two steps of a noisy loss may agree by chance, and the step before knows better; far more
        # than chance allows, and it is not noise but a bend, or a jump between the two.
        before = apart.get(power - 1, 0.0)
        noise = max(noise, before / RATIO if before < RATIO**3 * noise else 0.0)
        error = safety * noise + _ROUNDING * narrow.level / narrow.step
        found.append(
            Difference(
                values[power],
                error,
                (abs(narrow.right) + abs(narrow.left)) / 2,
                wide.same_spikes and narrow.same_spikes,
                kink=narrow.gap > wide.gap / 2 and narrow.gap > 10 * error,
                one_sided=one_sided,
                flat=flat,
                gap=narrow.gap,
            )
        )
    return found
