"""Is the gradient right?  Central differences against the adjoint, on the user's own model."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from brian_eventprop._checks import positive_number, whole_number
from brian_eventprop._names import name_of
from brian_eventprop.data.drawn_counts import drawn_spikes
from brian_eventprop.data.timed_inputs import given_traces
from brian_eventprop.model.differences import Difference, differentiate
from brian_eventprop.model.event_order import input_events, other_order, spike_events
from brian_eventprop.model.jumps import jumping_expressions
from brian_eventprop.model.results import Spikes
from brian_eventprop.reading import on_own_grid
from brian_eventprop.runtime import solver_for

__all__ = ["ArrayCheck", "GradientReport", "check_gradient"]

#: A difference is trusted if its own error is at most this part of the largest derivative: a factor
#: of 1.001 on the adjoint is still seen then.
TRUSTED = 5e-4
#: What an extremum of the loss is flat compared with: this part of the slopes beside it.
FLAT = 1e-3
#: Part of the tolerance at which no better difference is looked for.
EXACT_ENOUGH = 0.03

AGREES, DIFFERS, UNDECIDED = "agrees", "DIFFERS", "UNDECIDED"


@dataclass(frozen=True)
class ArrayCheck:
    """What was found for one trained array.

    Attributes
    ----------
    name : str
    size : int
        Number of entries of the array.
    entries : array
        The entries that were compared.
    adjoint, differences : array
        Both derivatives of these entries, in SI units.
    error : float
        Worst difference, relative to the largest derivative of the array; NaN if anything is not
        finite.
    verdict : {'agrees', 'DIFFERS', 'UNDECIDED'}
        Undecided are derivatives of which no difference is exact enough to tell.
    explanation : str
        Why the derivatives may differ, or what could not be told.
    exact_to : float
        What the differences themselves may be wrong by, relative to the largest derivative.
    """

    name: str
    size: int
    entries: np.ndarray
    adjoint: np.ndarray
    differences: np.ndarray
    error: float
    verdict: str
    explanation: str = ""
    exact_to: float = np.nan

    @property
    def ok(self) -> bool:
        """Whether adjoint and differences agree."""
        return self.verdict == AGREES


@dataclass(frozen=True)
class GradientReport:
    """The outcome of `check_gradient`; prints as a table.

    Attributes
    ----------
    arrays : tuple of ArrayCheck
    tolerance : float
    compared : str
        What was compared with what.
    notes : tuple of str
        What the user should know besides.
    """

    arrays: tuple[ArrayCheck, ...]
    tolerance: float
    compared: str
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether every array agrees."""
        return all(array.ok for array in self.arrays)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        width = max(len(array.name) for array in self.arrays)
        title = f"{'array':{width}}  entries     worst error  exact to  verdict"
        lines = [self.compared, title]
        for a in self.arrays:
            counted = f"{len(a.entries)} of {a.size}"
            numbers = f"{a.error:11.1e}  {a.exact_to:8.1e}"
            lines.append(f"{a.name:{width}}  {counted:<10}  {numbers}  {a.verdict}")
            if a.explanation:
                lines.append(f"{'':{width}}  {a.explanation}")
        return "\n".join([*lines, *self.notes])


def check_gradient(
    model,
    spikes=None,
    targets=None,
    *,
    entries: int = 5,
    tolerance: float | None = None,
    seed: int = 0,
    raises: bool = False,
    show: bool = True,
) -> GradientReport:
    """Compare the gradient of a model with central differences of its loss.

    Parameters
    ----------
    model : `EventPropModel`
        If it has no loss, a random sum of its readouts is differentiated.
        With the clock solver, whose loss is a staircase on the time grid, the differences are
        those of the event solver; then the two agree to first order in the time step only.
    spikes, targets
        As in `EventPropModel.run`.
    entries : int
        How many entries of each trained array are compared: the one with the largest derivative,
        and others at random.  The rest is compared all together, along a random direction.
    tolerance : float, optional
        Largest error, relative to the largest derivative of the array; by default 1e-5, with the
        clock solver 0.05.
    seed : int
        Of the choice of entries.
    raises : bool
        Whether to raise an error if a gradient differs or nothing can be told.
    show : bool
        Whether to print the table.

    Returns
    -------
    GradientReport

    Raises
    ------
    AssertionError
        With `raises`, if a gradient does not agree; the message is the table.

    Notes
    -----
    The step of a difference is chosen by what the loss shows of its noise and of its bends, and so
    is the error that the difference itself may have ("exact to").  An array agrees only if its
    differences can be trusted; where none can, the verdict is ``UNDECIDED``.  Anything that is not
    finite fails.

    Examples
    --------
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> start_scope()
    >>> source = SpikeGeneratorGroup(1, [0], [1]*ms)
    >>> neuron = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact")
    >>> s = Synapses(source, neuron, "w : 1", on_pre="v_post += w", name="s_check")
    >>> s.connect()
    >>> s.w, s.delay = 2.0, 3*ms
    >>> model = bep.EventPropModel([source, neuron, s], train=[s.w, s.delay], solver="event",
    ...                            loss=bep.Sum(bep.Final(neuron, "v")), duration=10*ms)
    >>> bep.check_gradient(model, show=False).ok
    True
    """
    entries = whole_number(entries, "entries", least=1)
    clock = _solver_of(model) == "clock"
    tolerance = (0.05 if clock else 1e-5) if tolerance is None else tolerance
    tolerance = positive_number(tolerance, "tolerance")
    if model.loss is None:
        model = _with_random_loss(model, seed)
    result = model.run(spikes, targets)
    _leave_out_surrogates(model)
    gradients = model.gradient_arrays()
    on_grid = _OnGrid(result.spikes, model.gradient().grazing) if clock else None
    twin = _in_exact_time(model) if clock else copy.copy(model)
    comparison = _Comparison(twin, gradients, spikes, targets, entries, tolerance, on_grid)
    report = comparison.report(result.loss, seed)
    if show:
        print(report)
    if raises and not report.ok:
        raise AssertionError(str(report))
    return report


def _solver_of(model) -> str:
    if not hasattr(model, "gradient_arrays"):
        raise TypeError(f"check_gradient needs an EventPropModel, not {type(model).__name__}")
    return model.solver


def _with_random_loss(model, seed: int):
    """The same model (and the same live parameters) with a random sum of its readouts as loss."""

    def loss(readouts, targets):
        del targets
        random, total, weights = np.random.default_rng(seed), 0.0, []
        for values in readouts:
            there = np.isfinite(values)
            weights.append(np.where(there, random.standard_normal(values.shape[1:]), 0.0))
            parts = np.where(there, values, 0.0) * weights[-1]
            total = total + parts.reshape(len(values), -1).sum(axis=1)
        return total, tuple(weights)

    twin = copy.copy(model)
    twin.loss, twin._coming = loss, {}
    return twin


def _leave_out_surrogates(model) -> None:
    """Drop the last run's derivatives in spike counts: differences do not see them."""
    derivatives = tuple(
        derivative if spec.scale is None else np.zeros_like(derivative)
        for spec, derivative in zip(model.spec.readouts, model._last.derivatives, strict=True)
    )
    model._last = replace(model._last, derivatives=derivatives)


def _in_exact_time(model):
    """The same model (and the same live parameters) with the event solver."""
    twin = copy.copy(model)
    twin._coming = {}
    twin._solver = solver_for(
        "event", "cpu", model.system, model._network, model.n_steps, "float64", None,
        float(model.duration),
    )  # fmt: skip
    return twin


def _neurons(spikes):
    """Who spiked in which trial, and how often, in every group."""
    counts = [np.stack([s.sample, s.i]) for s in spikes.values()]
    return [np.unique(c, axis=1, return_counts=True) for c in counts]


@dataclass(frozen=True)
class _OnGrid:
    """The spikes of the clock solver, and how many of them only graze the threshold."""

    spikes: Spikes
    grazing: int


class _Comparison:
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
                "clock solver follows the exact one to first order in dt only: try a smaller dt, "
                "or solver='event'."
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
        return GradientReport(arrays, self.tolerance, compared, tuple(notes))

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
        found = [moved.along(_unit(int(k), adjoint.size)) for k in chosen]
        nothing = np.finfo(float).eps * abs(self.loss) / moved.size
        check = _verdict(name, adjoint, chosen, found, self.tolerance, self._reasons, nothing)
        if check.ok and len(chosen) < adjoint.size:
            return self._with_all(check, adjoint, moved, signs)
        return check

    def _with_all(self, check, adjoint, moved, signs) -> ArrayCheck:
        """Compare all entries at once, along a random direction."""
        direction = moved.allowed(signs)
        expected, found = float(direction @ adjoint), moved.along(direction)
        scale = max(float(np.linalg.norm(adjoint)), abs(found.value), FLAT * found.slope)
        gap = abs(found.value - expected)
        if gap > max(self.tolerance * scale, found.error):
            what = "the entries differ together, along a random direction"
            reasons = f"{what}: {self._reasons([found])}"
            return replace(check, error=gap / scale, verdict=DIFFERS, explanation=reasons)
        if found.error > max(TRUSTED, self.tolerance) * scale and np.any(adjoint):
            left = adjoint.size - len(check.entries)
            note = f"the other {left} entries were not compared: no difference is exact enough"
            return replace(check, explanation="; ".join(filter(None, [check.explanation, note])))
        return check

    def _reasons(self, wrong) -> str:
        others = "" if self.on_grid is None else self._other_events
        return _explain(wrong, self.grazing, self.model, others, self.on_grid is not None)

    @cached_property
    def _other_events(self) -> str:
        """What the time grid has otherwise than exact time: who spikes, or in which order."""
        on_grid = _neurons(self.on_grid.spikes)
        if not _equal(on_grid, self.neurons):
            return _other_spikes(on_grid, self.neurons)
        model = self.model
        spec, values, given = model.spec, model._values, model._inputs(self.given[0])
        given |= drawn_spikes(spec, given_traces(spec, self.given[0], None), model.n_steps)
        trains = {
            name: spike_events(train, self.on_grid.spikes[name], spec.dt)
            for name, train in self.spikes.items()
        }
        for source in spec.inputs:
            data = given[source.name]
            trains[source.name] = input_events(data, on_own_grid(source, data, spec.dt), spec.dt)
        delays = {p.delay: np.asarray(values[p.delay], float) for p in spec.pathways}
        periods = model._solver.refractory_periods(self.forward)
        return other_order(spec, model._network, delays, periods, trains, float(model.duration))


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

    def __init__(self, model, key, adjoint, base: _Comparison):
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

    def along(self, direction) -> Difference:
        """Return the derivative along a direction."""
        kept = self.array.copy()
        room = np.min(kept[direction != 0], initial=np.inf) if self.bounded else np.inf

        def sample(change):
            self.array[...] = kept + change * direction
            try:
                result = self.model.run(*self.base.given)
            except FloatingPointError:  # it stops there: a threshold below the reset, for instance
                return np.nan, False
            return result.loss, _equal(_neurons(result.spikes), self.base.neurons)

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


def _verdict(name, adjoint, chosen, found, tolerance, reasons, nothing) -> ArrayCheck:
    """Compare; `nothing` is a derivative by which a variable leaves the loss as it is."""
    expected, values = adjoint[chosen], np.array([f.value for f in found])
    doubts = np.array([f.error for f in found])
    # what leaves the loss as it is, but for rounding, has the derivative 0
    none = [f.flat and abs(a) <= nothing for f, a in zip(found, expected, strict=True)]
    doubts[none] = 0.0
    known = np.abs(values[doubts < 0.1 * np.abs(values)])
    slopes = max(f.slope for f in found)
    scale = max(np.abs(adjoint).max(initial=0.0), known.max(initial=0.0), FLAT * slopes)
    gaps = np.where(none, 0.0, np.abs(values - expected))

    def check(verdict, explanation=""):
        relative = [float(a.max()) / scale if scale > 0 else float(a.max()) for a in (gaps, doubts)]
        return ArrayCheck(
            name, adjoint.size, chosen, expected, values, relative[0], verdict, explanation,
            relative[1],
        )  # fmt: skip

    wrong = [
        f
        for f, gap, doubt in zip(found, gaps, doubts, strict=True)
        if not gap <= (max(tolerance * scale, doubt) if f.same_spikes else tolerance * scale)
    ]
    if wrong:
        return check(DIFFERS, reasons(wrong))
    worst, trusted = doubts.max(), max(tolerance, TRUSTED) * scale
    if worst > trusted:
        return check(UNDECIDED, _undecided(found, doubts, trusted, reasons))
    coarse = bool(worst > tolerance * scale)
    return check(AGREES, "the differences themselves are no more exact than this" if coarse else "")


def _undecided(found, doubts, trusted, reasons) -> str:
    worst = found[int(np.argmax(doubts))]
    if not worst.same_spikes or worst.kink:
        return reasons([worst])
    return (
        f"no difference can be trusted: the derivative is {worst.value:.1e}, give or take "
        f"{worst.error:.1e}, and would be needed to {trusted:.1e}; it is too small for the noise "
        "of the loss, or the loss is not smooth"
    )


def _explain(wrong, grazing, model, others, clock):
    if any(not f.finite for f in wrong):
        return "the loss is not finite beside these values, so there is no difference"
    reasons = [others] if others else []
    if any(not f.same_spikes for f in wrong):
        reasons.append("a spike appears or vanishes within the step: no derivative there")
    elif any(f.kink for f in wrong):
        reasons.append("the loss has a kink there: two events at the same time, or a jump")
    elif any(f.one_sided for f in wrong):
        reasons.append("a delay of 0 can only grow, past other arrivals at the same time")
    if grazing:
        reasons.append(f"{grazing} spikes only graze the threshold")
    if jump := next(jumping_expressions(model.spec, model.parameters.keys), ""):
        reasons.append(f"'{jump}' is not smooth")
    if not reasons and clock:
        return (
            "nothing but the time step explains it: if the error does not fall with dt, please "
            "report this network"
        )
    return "; ".join(reasons) or "no reason found: please report this network"
