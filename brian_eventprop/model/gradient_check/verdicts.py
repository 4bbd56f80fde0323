"""What derivatives say, side by side: that they agree, that they differ, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from brian_eventprop.model.differences import Difference
from brian_eventprop.model.gradient_check.report import AGREES, DIFFERS, UNDECIDED, ArrayCheck

#: A difference is trusted if its own error is at most this part of the largest derivative: a factor
#: of 1.001 on the adjoint is still seen then.
TRUSTED = 5e-4
#: What an extremum of the loss is flat compared with: this part of the slopes beside it.
FLAT = 1e-3
#: Part of the tolerance at which no better difference is looked for.
EXACT_ENOUGH = 0.03
#: Largest relative error of the clock solver that its time step may make: around half of a
#: derivative where potentials are flat at the threshold, but not its sign.
OF_TIME_STEP = 0.75


@dataclass(frozen=True)
class Reasons:
    """Why derivatives may be apart, besides that the adjoint is wrong.

    Attributes
    ----------
    wrong : sequence of Difference
        The differences from which the adjoint is apart.
    other_events : str
        What the time grid has otherwise than exact time: who spikes, or in which order.
    grazing : int
        Spikes that only graze the threshold.
    jumping : str
        An expression of the equations that jumps.
    clock : bool
        Whether the adjoint is that of the clock solver.
    """

    wrong: Sequence[Difference]
    other_events: str
    grazing: int
    jumping: str
    clock: bool

    def verdict(self, error: float) -> str:
        """Return the verdict on derivatives that are apart by a relative error."""
        if not np.isfinite(error) or not all(f.finite for f in self.wrong):
            return DIFFERS
        if not any(f.same_spikes and not f.kink for f in self.wrong):
            return UNDECIDED  # there is no derivative to compare with
        on_grid = self.clock and (self.other_events or self.grazing or self.jumping)
        return UNDECIDED if on_grid or (self.clock and error <= OF_TIME_STEP) else DIFFERS

    def __str__(self) -> str:
        if any(not f.finite for f in self.wrong):
            return "the loss is not finite beside these values, so there is no difference"
        reasons = [self.other_events] if self.other_events else []
        if any(not f.same_spikes for f in self.wrong):
            reasons.append("a spike appears or vanishes within the step: no derivative there")
        elif any(f.kink for f in self.wrong):
            reasons.append("the loss has a kink there: two events at the same time, or a jump")
        elif any(f.one_sided for f in self.wrong):
            reasons.append("a delay of 0 can only grow, past other arrivals at the same time")
        if self.grazing:
            reasons.append(f"{self.grazing} spikes only graze the threshold")
        if self.jumping:
            reasons.append(f"'{self.jumping}' is not smooth")
        return "; ".join(reasons) or self._nothing_else()

    def _nothing_else(self) -> str:
        if self.clock:
            return (
                "nothing but the time step may explain it: if the error does not fall with dt, "
                "please report this network"
            )
        return "no reason found: please report this network"


def verdict_of(
    name: str,
    adjoint: np.ndarray,
    chosen: np.ndarray,
    found: Sequence[Difference],
    tolerance: float,
    reasons: Callable[[Sequence[Difference]], Reasons],
    nothing: float,
) -> ArrayCheck:
    """Compare the chosen entries of an array with what the differences have found.

    ``nothing`` is a derivative by which a variable leaves the loss as it is.
    """
    expected, values = adjoint[chosen], np.array([f.value for f in found])
    doubts = np.array([f.error for f in found])
    # what leaves the loss as it is, but for rounding, has the derivative 0
    none = [f.flat and abs(a) <= nothing for f, a in zip(found, expected, strict=True)]
    doubts[none] = 0.0
    known = np.abs(values[doubts < 0.1 * np.abs(values)])
    slopes = max(f.slope for f in found)
    scale = max(np.abs(adjoint).max(initial=0.0), known.max(initial=0.0), FLAT * slopes)
    gaps = np.where(none, 0.0, np.abs(values - expected))

    error, exact_to = (float(a.max()) / (scale if scale > 0 else 1.0) for a in (gaps, doubts))

    def check(verdict, explanation=""):
        return ArrayCheck(
            name, adjoint.size, chosen, expected, values, error, verdict, explanation, exact_to
        )

    wrong = [
        f
        for f, gap, doubt in zip(found, gaps, doubts, strict=True)
        if not gap <= (max(tolerance * scale, doubt) if f.same_spikes else tolerance * scale)
    ]
    if wrong:
        found_reasons = reasons(wrong)
        return check(found_reasons.verdict(error), str(found_reasons))
    worst, trusted = doubts.max(), max(tolerance, TRUSTED) * scale
    if worst > trusted:
        return check(UNDECIDED, _undecided(found, doubts, trusted, reasons))
    coarse = bool(worst > tolerance * scale)
    return check(AGREES, "the differences themselves are no more exact than this" if coarse else "")


def _undecided(found, doubts, trusted, reasons) -> str:
    worst = found[int(np.argmax(doubts))]
    if not worst.same_spikes or worst.kink:
        return str(reasons([worst]))
    return (
        f"no difference can be trusted: the derivative is {worst.value:.1e}, give or take "
        f"{worst.error:.1e}, and would be needed to {trusted:.1e}; it is too small for the noise "
        "of the loss, or the loss is not smooth"
    )
