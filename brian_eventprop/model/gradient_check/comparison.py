"""The adjoint of every trained array beside central differences of the loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from brian_eventprop._names import name_of
from brian_eventprop.model.differences import Difference, differentiate
from brian_eventprop.model.event_order import (
    order_in_exact_time,
    other_order,
    same_order,
    timing_of,
)
from brian_eventprop.model.gradient_check.report import (
    DIFFERS,
    UNDECIDED,
    ArrayCheck,
    GradientReport,
)
from brian_eventprop.model.gradient_check.verdicts import (
    EXACT_ENOUGH,
    FLAT,
    TRUSTED,
    Reasons,
    verdict_of,
)
from brian_eventprop.model.jumps import jumping_expressions
from brian_eventprop.model.results import Spikes


def _neurons(spikes):
    """Who spiked in which trial, and how often, in every group."""
    counts = [np.stack([s.sample, s.i]) for s in spikes.values()]
    return [np.unique(c, axis=1, return_counts=True) for c in counts]


@dataclass(frozen=True)
class OnGrid:
    """The spikes of the clock solver, and how many of them only graze the threshold."""

    spikes: Spikes
    grazing: int


class Comparison:
    """Adjoint and differences of all trained arrays of a model in exact time.

    ``on_grid`` is what the clock solver has if it made the gradients.
    """

    def __init__(self, model, gradients, spikes, targets, entries, tolerance, on_grid):
        self.model, self.gradients, self.entries = model, gradients, entries
        self.given, self.tolerance, self.on_grid = (spikes, targets), tolerance, on_grid
        result = model.run(*self.given)
        self.loss, self.spikes, self.neurons = result.loss, result.spikes, _neurons(result.spikes)
        self.grazing = model.gradient().grazing or (on_grid.grazing if on_grid else 0)
        self.forward = model._last.forward

    def report(self, loss: float, seed: int) -> GradientReport:
        """Return the table; ``loss`` is that of the solver that made the gradients."""
        rng = np.random.default_rng(seed)
        arrays = tuple(self._array(key, loss, rng) for key in self.model.parameters.keys)
        compared = "Adjoint against central differences of the event solver"
        notes = []
        if self.on_grid is not None:
            compared = "Adjoint of the clock solver against central differences of the event solver"
            notes.append(
                "On the time grid the loss has no derivative in a delay or a spike time, so the "
                "clock solver follows the exact one to first order in dt only."
            )
        if groups := self.model.system.surrogate_groups:
            notes.append(
                f"Left out: the surrogate gradients of spike counts ({', '.join(sorted(groups))}), "
                "which no difference can see."
            )
        if self.grazing:
            notes.append(
                f"{self.grazing} spikes graze the threshold: close to them the gradient is huge."
            )
        if any(array.verdict == UNDECIDED for array in arrays):
            notes.append(self._who_can_tell())
        return GradientReport(arrays, self.tolerance, compared, tuple(notes))

    def _who_can_tell(self) -> str:
        if self.on_grid is None:
            return "To tell, check other values: those of other trials, or of another seed."
        return (
            "To tell, check bep.EventPropModel(..., solver='event'), the same model in exact time, "
            "or this one with a smaller defaultclock.dt or other trials."
        )

    def _array(self, key, loss: float, rng) -> ArrayCheck:
        name, adjoint = name_of(key), np.asarray(self.gradients[key], dtype=float)
        chosen = _choose(adjoint, self.entries, rng)
        signs = rng.choice((-1.0, 1.0), adjoint.size)
        if failure := _not_finite(adjoint, loss, self.loss):
            nothing = np.full(len(chosen), np.nan)
            return ArrayCheck(
                name, adjoint.size, chosen, adjoint[chosen], nothing, np.nan, DIFFERS, failure
            )
        moved = _Moved(self.model, key, adjoint, self)
        found = [moved.beside(_unit(int(k), adjoint.size), adjoint[k]) for k in chosen]
        nothing = np.finfo(float).eps * abs(self.loss) / moved.size
        check = verdict_of(name, adjoint, chosen, found, self.tolerance, self._reasons, nothing)
        if check.ok and len(chosen) < adjoint.size:
            return self._with_all(check, adjoint, moved, signs)
        return check

    def _with_all(self, check, adjoint, moved, signs) -> ArrayCheck:
        """Compare all entries at once, along a random direction."""
        direction = moved.allowed(signs)
        expected = float(direction @ adjoint)
        found = moved.beside(direction, expected)
        scale = max(float(np.linalg.norm(adjoint)), abs(found.value), FLAT * found.slope)
        gap = abs(found.value - expected)
        if gap > max(self.tolerance * scale, found.error):
            reasons, error = self._reasons([found]), gap / scale
            return replace(
                check, error=error, verdict=reasons.verdict(error),
                explanation=f"the entries differ together, along a random direction: {reasons}",
            )  # fmt: skip
        if found.error > max(TRUSTED, self.tolerance) * scale and np.any(adjoint):
            left = adjoint.size - len(check.entries)
            note = f"the other {left} entries were not compared: no difference is exact enough"
            return replace(check, explanation="; ".join(filter(None, [check.explanation, note])))
        return check

    def _reasons(self, wrong) -> Reasons:
        jumping = next(jumping_expressions(self.model.spec, self.model.parameters.keys), "")
        clock = self.on_grid is not None
        return Reasons(wrong, self._other_events if clock else "", self.grazing, jumping, clock)

    @cached_property
    def order(self) -> list[np.ndarray]:
        """The order of all events in exact time; of the run without a change."""
        return self.order_of(self.forward, self.spikes)

    def order_of(self, forward, spikes) -> list[np.ndarray]:
        """Return the order of all events of a run."""
        return order_in_exact_time(
            self.model, timing_of(self.model, forward, spikes, (self.given[0], None))
        )

    @cached_property
    def _other_events(self) -> str:
        """What the time grid has otherwise than exact time: who spikes, or in which order."""
        on_grid = _neurons(self.on_grid.spikes)
        if not _equal(on_grid, self.neurons):
            return _other_spikes(on_grid, self.neurons)
        model = self.model
        timing = timing_of(
            model, self.forward, self.spikes, (self.given[0], None), self.on_grid.spikes
        )
        return other_order(model.spec, model._network, timing, float(model.duration))


def _choose(adjoint, entries, rng):
    if adjoint.size <= entries:
        return np.arange(adjoint.size)
    first = int(np.argmax(np.abs(adjoint)))
    others = rng.choice(np.delete(np.arange(adjoint.size), first), entries - 1, replace=False)
    return np.sort(np.append(others, first))


def _unit(entry: int, size: int) -> np.ndarray:
    direction = np.zeros(size)
    direction[entry] = 1.0
    return direction


def _not_finite(adjoint, loss: float, exact_loss: float) -> str:
    """Say what is not finite, of all entries and not of those only that are compared."""
    if not np.isfinite(loss):
        return f"the loss is not finite: {loss}"
    if not np.isfinite(exact_loss):
        return f"the loss in exact time is not finite: {exact_loss}"
    bad = np.flatnonzero(~np.isfinite(adjoint))
    if not len(bad):
        return ""
    return (
        f"the adjoint is not finite in {len(bad)} of {adjoint.size} entries, first in entry "
        f"{bad[0]}: {adjoint[bad[0]]}"
    )


class _Moved:
    """The loss of a model while one of its trained arrays is moved."""

    def __init__(self, model, key, adjoint, base: Comparison):
        self.model, self.key, self.base = model, key, base
        self.array = model.parameters.raw(key)
        self.size = _size(self.array, key, adjoint, base.loss)
        self.steepest = np.abs(adjoint).max(initial=0.0)
        self.bounded = key[1] == "delay"

    def allowed(self, direction) -> np.ndarray:
        """Return a direction without the entries that would get below their lowest value."""
        if not self.bounded:
            return direction
        return np.where(self.array > 1e-3 * self.size, direction, 0.0)

    def beside(self, direction, expected: float) -> Difference:
        """Return the derivative along a direction, to be compared with an expected one.

        Where the two are apart, it is taken again from steps within which no two events change
        their order.  At such a change the loss has a kink, which a step may hide: its slopes to
        both sides may be less apart than the loss bends within the step.  If all steps are too
        wide for that, and the slopes are apart by as much, the loss has a kink.
        """
        found = self.along(direction)
        apart, scale = abs(found.value - expected), max(self.steepest, abs(found.value))
        if apart <= max(self.base.tolerance * scale, found.error):
            return found
        if not (found.finite and found.same_spikes):
            return found
        strict = self.along(direction, in_order=True)
        if strict.same_spikes:
            return strict
        return replace(found, kink=True) if apart <= found.gap + found.error else found

    def along(self, direction, in_order: bool = False) -> Difference:
        """Return the derivative along a direction; with `in_order` of steps that keep the order."""
        kept = self.array.copy()
        room = np.min(kept[direction != 0], initial=np.inf) if self.bounded else np.inf

        def sample(change):
            self.array[...] = kept + change * direction
            try:
                result = self.model.run(*self.base.given)
            except FloatingPointError:  # it stops there: a threshold below the reset, for instance
                return np.nan, False
            same = _equal(_neurons(result.spikes), self.base.neurons)
            if same and in_order:
                forward = self.model._last.forward
                same = same_order(self.base.order_of(forward, result.spikes), self.base.order)
            return result.loss, same

        def good_enough(found):
            scale = max(self.steepest, abs(found.value), FLAT * found.slope)
            return found.error <= EXACT_ENOUGH * self.base.tolerance * scale

        try:
            return differentiate(sample, self.base.loss, self.size, good_enough, room)
        finally:
            self.array[...] = kept


def _size(array, key, adjoint, loss):
    """The size of an array's entries, of which a step is a small part.

    Zeros say nothing of it (a reversal potential of 0 V lies among millivolts, a conductance of
    0 S among nanosiemens), so it is then the change that moves the loss by about itself.
    """
    steepest = np.abs(adjoint).max(initial=0.0)
    moves = max(abs(loss), 1e-3) / steepest if steepest > 0 else np.inf
    return np.abs(array).max(initial=0.0) or min(1e-3 if key[1] == "delay" else 1.0, moves)


def _equal(a, b):
    return all(
        x[0].shape == y[0].shape and np.array_equal(x[0], y[0]) and np.array_equal(x[1], y[1])
        for x, y in zip(a, b, strict=True)
    )


def _other_spikes(on_grid, in_exact_time):
    """Tell how many spikes there are on the time grid and in exact time."""
    spikes, others = (int(sum(c.sum() for _, c in s)) for s in (on_grid, in_exact_time))
    return f"other neurons spike on the time grid ({spikes} spikes, {others} in exact time)"
