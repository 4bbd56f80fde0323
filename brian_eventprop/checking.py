"""Is the gradient right?  Central differences against the adjoint, on the user's own model."""

from __future__ import annotations

import copy
import functools
import re
from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.runtime import solver_for

__all__ = ["ArrayCheck", "GradientReport", "check_gradient"]

#: Steps of the differences, relative to the size of an array's entries; the most exact one counts.
STEPS = (1e-4, 1e-5, 1e-6)

_JUMPS = re.compile(r"\b(floor|ceil|int|sign|clip|abs)\s*\(|[<>]=?|==")


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
        Worst difference, relative to the largest derivative of the array.
    ok : bool
    explanation : str
        Why the derivatives may differ; empty if they agree.
    """

    name: str
    size: int
    entries: np.ndarray
    adjoint: np.ndarray
    differences: np.ndarray
    error: float
    ok: bool
    explanation: str = ""


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
        lines = [self.compared, f"{'array':{width}}  entries     worst error  verdict"]
        for a in self.arrays:
            counted = f"{len(a.entries)} of {a.size}"
            verdict = "agrees" if a.ok else "DIFFERS"
            lines.append(f"{a.name:{width}}  {counted:<10}  {a.error:11.1e}  {verdict}")
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
        With the clock solver, whose loss is a staircase on the time grid, the differences are
        those of the event solver; then the two agree to first order in the time step only.
    spikes, targets
        As in `EventPropModel.run`.
    entries : int
        How many entries of each trained array are compared: the one with the largest derivative,
        and others at random.
    tolerance : float, optional
        Largest error, relative to the largest derivative of the array; by default 1e-5, with the
        clock solver 0.05.
    seed : int
        Of the choice of entries.
    raises : bool
        Whether to raise an error if a gradient differs.
    show : bool
        Whether to print the table.

    Returns
    -------
    GradientReport

    Raises
    ------
    AssertionError
        With `raises`, if a gradient differs; the message is the table.

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
    clock = model.solver == "clock"
    tolerance = (0.05 if clock else 1e-5) if tolerance is None else tolerance
    result = model.run(spikes, targets)
    on_grid = _neurons(result) if clock else None
    _leave_out_surrogates(model)
    gradients = model._gradient_arrays()
    twin = _in_exact_time(model) if clock else copy.copy(model)
    report = _compare(twin, gradients, spikes, targets, entries, tolerance, seed, on_grid)
    if show:
        print(report)
    if raises and not report.ok:
        raise AssertionError(str(report))
    return report


def _leave_out_surrogates(model) -> None:
    """Drop the last run's derivatives in spike counts: differences do not see them."""
    forward, derivatives = model._last
    model._last = (
        forward,
        tuple(
            derivative if spec.scale is None else 0 * derivative
            for spec, derivative in zip(model.spec.readouts, derivatives, strict=True)
        ),
    )


def _in_exact_time(model):
    """The same model (and the same live parameters) with the event solver."""
    twin = copy.copy(model)
    twin._coming = {}
    twin._solver = solver_for(
        "event", "cpu", model.system, model._network, model.n_steps, "float64", None,
        float(model.duration),
    )  # fmt: skip
    return twin


def _neurons(result):
    """Who spiked in which trial, and how often, in every group."""
    counts = [np.stack([s.sample, s.i]) for s in result.spikes.values()]
    return [np.unique(c, axis=1, return_counts=True) for c in counts]


def _compare(model, gradients, spikes, targets, entries, tolerance, seed, on_grid):
    """The report; ``on_grid`` are the spikes of the clock solver if it made the gradients."""

    def run():
        result = model.run(spikes, targets)
        return result.loss, _neurons(result)

    rng = np.random.default_rng(seed)
    base = run()
    grazing = model.gradient().grazing
    clock = on_grid is not None
    others = _other_spikes(on_grid, base[1]) if clock else ""
    reasons = functools.partial(_explain, grazing=grazing, model=model, others=others, clock=clock)
    arrays = []
    for key in model.parameters.keys:
        adjoint = gradients[key]
        chosen = _choose(adjoint, entries, rng)
        size = _size(model.parameters.raw(key), key, adjoint, base[0])
        found = [_difference(model, key, int(k), run, base, size) for k in chosen]
        arrays.append(_verdict(key, adjoint, chosen, found, tolerance, reasons))
    compared = "Adjoint against central differences of the event solver"
    notes = []
    if clock:
        compared = "Adjoint of the clock solver against central differences of the event solver"
        notes.append(
            "On the time grid the loss has no derivative in a delay or a spike time, so the clock "
            "solver follows the exact one to first order in dt only: try a smaller dt, or "
            "solver='event'."
        )
    if model.system.pushed:
        notes.append(
            "Left out: the surrogate gradients of spike counts "
            f"({', '.join(sorted(model.system.pushed))}), which no difference can see."
        )
    if grazing:
        notes.append(f"{grazing} spikes graze the threshold: close to them the gradient is huge.")
    return GradientReport(tuple(arrays), tolerance, compared, tuple(notes))


def _choose(adjoint, entries, rng):
    if adjoint.size <= entries:
        return np.arange(adjoint.size)
    first = int(np.argmax(np.abs(adjoint)))
    others = rng.choice(np.delete(np.arange(adjoint.size), first), entries - 1, replace=False)
    return np.sort(np.append(others, first))


@dataclass(frozen=True)
class _Difference:
    value: float
    doubt: float
    same_spikes: bool
    kink: bool
    edge: bool


def _size(array, key, adjoint, loss):
    """The size of an array's entries, of which a step is a small part.

    Zeros say nothing of it (a reversal potential of 0 V lies among millivolts, a conductance of
    0 S among nanosiemens), so it is then the change that moves the loss by about itself.
    """
    steepest = np.abs(adjoint).max(initial=0.0)
    moves = max(abs(loss), 1e-3) / steepest if steepest > 0 else np.inf
    return np.abs(array).max(initial=0.0) or min(1e-3 if key[1] == "delay" else 1.0, moves)


def _difference(model, key, entry, run, base, size):
    """The derivative by central differences, extrapolated; of all steps the least doubtful."""
    array = model.parameters.raw(key)
    kept = array[entry]
    best = None
    try:
        for step in STEPS:
            found = _at_step(array, entry, kept, step * size, run, base, key[1] == "delay")
            if best is None or _rank(found) < _rank(best):
                best = found
            if best.same_spikes and best.doubt < 1e-7 * abs(best.value):
                break
    finally:
        array[entry] = kept
    return best


def _rank(found):
    return not found.same_spikes, found.doubt


def _at_step(array, entry, kept, step, run, base, bounded):
    """Extrapolated differences at one step; from one side for a delay that cannot go lower."""
    one_sided = bounded and kept < step
    changes = (step, step / 2, step / 4) if one_sided else (step, -step, step / 2, -step / 2)
    losses, same = [], True
    for change in changes:
        array[entry] = kept + change
        loss, counts = run()
        losses.append(loss - base[0])
        same = same and _equal(counts, base[1])
    array[entry] = kept
    rounding = 4e-16 * abs(base[0]) / step
    if one_sided:
        slopes = [loss / change for loss, change in zip(losses, changes, strict=True)]
        wide, narrow = 2 * slopes[1] - slopes[0], 2 * slopes[2] - slopes[1]
        kink = False
    else:
        wide, narrow = (losses[0] - losses[1]) / (2 * step), (losses[2] - losses[3]) / step
        right, left = 2 * losses[2] / step, -2 * losses[3] / step
        kink = abs(right - left) > 0.01 * (abs(right) + abs(left)) + 100 * rounding
    value = (4 * narrow - wide) / 3
    return _Difference(value, abs(narrow - wide) / 3 + rounding, same, kink, one_sided)


def _equal(a, b):
    return all(
        x[0].shape == y[0].shape and np.array_equal(x[0], y[0]) and np.array_equal(x[1], y[1])
        for x, y in zip(a, b, strict=True)
    )


def _other_spikes(on_grid, in_exact_time):
    """Tell if the time grid has other spikes than exact time."""
    if _equal(on_grid, in_exact_time):
        return ""
    spikes, others = (int(sum(c.sum() for _, c in s)) for s in (on_grid, in_exact_time))
    return f"other neurons spike on the time grid ({spikes} spikes, {others} in exact time)"


def _verdict(key, adjoint, chosen, found, tolerance, reasons):
    name = ".".join(filter(None, key))
    values = np.array([f.value for f in found])
    # a difference across a spike that appears is in doubt for another reason than rounding
    doubts = np.array([f.doubt if f.same_spikes else 0.0 for f in found])
    largest = max(np.abs(adjoint).max(initial=0.0), np.abs(values).max(initial=0.0))
    gap = np.abs(values - adjoint[chosen])
    if largest <= 10 * doubts.max(initial=0.0):  # nothing but rounding
        gap = np.maximum(gap - 10 * doubts, 0.0)
    error = float(gap.max(initial=0.0) / largest) if largest > 0 else 0.0
    ok = error <= tolerance
    wrong = [f for f, g in zip(found, gap, strict=True) if g > tolerance * largest]
    explanation = "" if ok else reasons(wrong)
    return ArrayCheck(name, adjoint.size, chosen, adjoint[chosen], values, error, ok, explanation)


def _explain(wrong, grazing, model, others, clock):
    reasons = [others] if others else []
    if any(not f.same_spikes for f in wrong):
        reasons.append("a spike appears or vanishes within the step: no derivative there")
    elif any(f.kink for f in wrong):
        reasons.append("the loss has a kink there: two events at the same time, or a jump")
    elif any(f.edge for f in wrong):
        reasons.append("a delay of 0 can only grow, past other arrivals at the same time")
    if grazing:
        reasons.append(f"{grazing} spikes only graze the threshold")
    expressions = [e for g in model.spec.groups for e in g.derivatives.values()]
    expressions += [r.expression for r in model.spec.readouts]
    expressions += [s.expression for p in model.spec.pathways for s in p.statements]
    jumps = [e for e in expressions if _JUMPS.search(e)]
    if jumps:
        reasons.append(f"'{jumps[0]}' is not smooth")
    if not reasons and clock:
        return (
            "nothing but the time step explains it: if the error does not fall with dt, please "
            "report this network"
        )
    return "; ".join(reasons) or "no reason found: please report this network"
