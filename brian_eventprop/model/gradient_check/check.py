"""The function `check_gradient`: which model is run, and which of it is compared with which."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from brian_eventprop._checks import positive_number, whole_number
from brian_eventprop.model.gradient_check.comparison import Comparison, OnGrid
from brian_eventprop.model.gradient_check.report import GradientReport
from brian_eventprop.runtime import solver_for


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
    is the error that the difference itself may have ("exact to").  There are three verdicts:

    - *agrees*: the differences can be trusted, and the adjoint is what they are.
    - *DIFFERS*: it is not, and nothing explains that.  Anything that is not finite differs, too.
    - *cannot tell*: no difference can be trusted (the derivative is below the noise of the loss, a
      spike appears within every step, two events are at the same time), or the time grid of the
      clock solver has other spikes, or another order of events, than exact time, or an error (of
      less than 75 %) that the time step alone may make.  The explanation says which, and the report
      which check can tell: mostly that of the same model with ``solver='event'``.

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
    on_grid = OnGrid(result.spikes, model.gradient().grazing) if clock else None
    twin = _in_exact_time(model) if clock else copy.copy(model)
    comparison = Comparison(twin, gradients, spikes, targets, entries, tolerance, on_grid)
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
