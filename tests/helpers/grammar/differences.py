"""Directional derivatives by central differences, with an estimate of their own error."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

#: Steps, relative to the size of an array's entries.
STEPS = (1e-4, 1e-5, 1e-3, 1e-6)


@dataclass(frozen=True)
class Difference:
    """A derivative along a direction.

    Attributes
    ----------
    value, error : float
        The derivative and how far it may be off.
    same : bool
        Whether the network has the same spikes on all sides.
    kink : bool
        Whether the slopes to the left and to the right differ.
    """

    value: float
    error: float
    same: bool
    kink: bool


def differentiate(loss_at, base, expected: float, scale: float) -> Difference:
    """Return the derivative of ``loss_at(step) -> (loss, pattern)`` at 0, where it is ``base``.

    The steps are tried in turn until one agrees with ``expected`` to a millionth of ``scale``; else
    the one with the smallest error counts.
    """
    found, bends = [], {}
    for step in STEPS:
        (up, pattern), (down, other) = loss_at(step), loss_at(-step)
        same = np.array_equal(pattern, base[1]) and np.array_equal(other, base[1])
        wide = (up - down) / (2 * step)
        if same and abs(wide - expected) <= 1e-6 * scale:
            return Difference(wide, 0.0, same, False)
        found.append(_refined(loss_at, base, step, wide, same))
        bends[step] = abs(up - 2 * base[0] + down) / step
        if not np.isfinite(wide):
            break
    best = min(found, key=lambda d: (not d.same, d.error if np.isfinite(d.error) else np.inf))
    return replace(best, kink=_has_kink(bends, max(scale, abs(best.value))))


def _refined(loss_at, base, step: float, wide: float, same: bool) -> Difference:
    """Extrapolate with half the step, which also tells how exact the difference is."""
    (up, pattern), (down, other) = loss_at(step / 2), loss_at(-step / 2)
    same = same and np.array_equal(pattern, base[1]) and np.array_equal(other, base[1])
    narrow = (up - down) / step
    rounding = 4e-16 * abs(base[0]) / step
    return Difference((4 * narrow - wide) / 3, abs(narrow - wide) + rounding, same, False)


def _has_kink(bends: dict[float, float], scale: float) -> bool:
    """Whether the slopes to the left and to the right differ however small the step.

    Of a smooth function their difference falls in proportion to the step.
    """
    wide, narrow = bends.get(STEPS[0], np.nan), bends.get(STEPS[1], np.nan)
    return bool(narrow > 1e-4 * scale and narrow > 0.5 * wide)
