"""Fits of traces, such as a membrane potential: `TraceFitter`."""

from __future__ import annotations

import numpy as np
from brian2 import Hz, Quantity, TimedArray
from brian2.units.fundamentalunits import fail_for_dimension_mismatch, get_dimensions

from brian_eventprop._checks import plain_numbers, whole_number
from brian_eventprop._units import TIME, quantity, to_seconds, to_si
from brian_eventprop.fit.cells import Copies
from brian_eventprop.fit.fitter import Fitter, _recordings, random_of
from brian_eventprop.fit.space import Space
from brian_eventprop.fit.track import Track
from brian_eventprop.readouts import Value


class TraceFitter(Fitter):
    """Fits the parameters of a neuron to recorded traces, from many starts, with exact gradients.

    Parameters
    ----------
    model : str or `Equations`
        The neuron.  Its parameters (``g : siemens (constant)``) are what can be fitted.
    input_var : str
        The input in the model; used in it, but not defined.
    input : Quantity (n_traces, n_steps) or `TimedArray`
        What was injected, one row per recording (one column of a `TimedArray`).
    output_var : str
        What was recorded: a variable of the model.
    output : Quantity (n_traces, n_steps)
        The recordings, as a `StateMonitor` would give them.  NaN is not compared.
    dt : Quantity
        Time step of input, output and model.
    n_samples : int
        Number of starts, which run as one batch.
    method, reset, refractory, threshold
        As of a `NeuronGroup`.
    param_init : dict, optional
        Initial values, and the values of parameters that are not fitted.
    solver, backend, threads, tolerance
        As of an `EventPropModel`.
    namespace : dict, optional
        Where external names are looked up; by default around the call.
    level : int, optional
        How many more calls up the names are looked up.

    Examples
    --------
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> start_scope()
    >>> current, t = np.ones((1, 100))*nA, arange(100)*0.1*ms
    >>> recorded = (20*mV*(1 - exp(-t/(5*ms))))[np.newaxis]
    >>> fitter = bep.fit.TraceFitter("dv/dt = (R*I - v)/tau : volt\\nR : ohm (constant)\\n"
    ...                              "tau : second (constant)", "I", current, "v", recorded,
    ...                              dt=0.1*ms, n_samples=2, method="exact")
    >>> params, error = fitter.fit(30, seed=1, R=[5, 50]*Mohm, tau=[1, 20]*ms)
    >>> params, estimate = fitter.refine()
    >>> round(params["R"]/Mohm, 3), round(params["tau"]/ms, 3)
    (20.0, 5.0)
    """

    def __init__(
        self, model, input_var, input, output_var, output, dt, n_samples=30, method=None,
        reset=None, refractory=False, threshold=None, param_init=None, *, solver="clock",
        backend="cpu", threads=None, tolerance=None, namespace=None, level=0,
    ):  # fmt: skip
        options = {"solver": solver, "backend": backend, "threads": threads, "tolerance": tolerance}
        super().__init__(
            model, input_var, input, dt, n_samples, method, reset, refractory, threshold,
            param_init, options, namespace, level + 1,
        )  # fmt: skip
        self.output_var = output_var
        if output_var not in self.model.names:
            raise ValueError(f"output_var='{output_var}' is no variable of the model")
        self.output = _recordings(output, self.dt)
        dim = self.model.dimensions[output_var]
        fail_for_dimension_mismatch(
            self.output, dim, f"output must have the unit of '{output_var}'"
        )
        if self.output.shape != self.input.shape:
            raise ValueError(
                f"output must have the shape of input, {self.input.shape}, not {self.output.shape}"
            )
        self._target = np.asarray(self.output, dtype=float)
        self._weigh(None, None, None)
        self._coupled: tuple | None = None

    def fit(
        self, n_rounds=100, optimizer="L-BFGS-B", *, coupling=None, t_start=None, t_weights=None,
        normalization=None, callback=None, seed=None, bounds=None, **more_bounds,
    ):  # fmt: skip
        """Minimise the mean squared error from random starts.

        Parameters
        ----------
        n_rounds : int
            How many batches of `n_samples` neurons are run at most; the first ones draw the starts.
        optimizer : str
            A method of `scipy.optimize.minimize` with gradients and bounds, ``'adam'``, or
            ``'differential_evolution'``, which is one search, without gradients.
        coupling : list of quantities, optional
            Rates, such as ``[1, 0.1]/ms``, at which the variable is drawn to its recording, one
            after the other; the last part of the rounds has none.  With it the error of a neuron
            that spikes or oscillates has no thousand minima: use it for such.  The variable must
            have a differential equation.
        t_start : Quantity, optional
            What is earlier is not compared.
        t_weights : array (n_steps,), optional
            Weight of each time.
        normalization : Quantity, optional
            An error of 1, for the optimiser; by default the standard deviation of the recordings.
        callback : callable or 'text', optional
            Called after each round with ``(params, errors, best_params, best_error, index)``, in
            the thread of a search; the fit stops if it returns True.
        seed : int, optional
            Of the starts.
        bounds : dict, optional
            ``{"g_L": [1, 20]*nS}`` for every parameter without a value in `param_init`; also for
            the initial value of a state, ``"v": [-80, -60]*mV``.  Positive bounds that are ten
            times or more apart are searched in logarithms.
        **more_bounds
            Bounds as keywords, ``g_L=[1, 20]*nS``.

        Returns
        -------
        best_params : dict
            With units.
        best_error : Quantity
            The mean squared error.
        """
        rounds = whole_number(n_rounds, "n_rounds", least=1)
        self._weigh(t_start, t_weights, normalization)
        self._space, self._refining = self._prepare({**(bounds or {}), **more_bounds}), None
        dimensions = {"error": self.output.dim**2}
        self._track = Track(self._space, self.n_samples, callback, dimensions)
        random = random_of(seed)
        given = [] * Hz if coupling is None else coupling
        rates = list(np.ravel(to_si(given, get_dimensions(Hz), "coupling")))
        free = self._copies(self.n_samples, self._readouts, self._space)
        stages: list[tuple[Copies, float | None]] = [(free, None)]
        if rates:
            coupled = self._coupled_copies()
            stages = [(coupled, rate) for rate in rates] + stages
        first, rate = stages[0]
        traces = self._traces_of(rate)
        rounds -= self._draw_starts(first, self._loss, random, traces)
        for k, (copies, rate) in enumerate(stages):
            share = max(rounds // (len(stages) - k), 1)
            rounds -= share
            self._track.start_again()
            traces = self._traces_of(rate)
            self._search(copies, self._loss, share, optimizer, random, traces)
        return self._found()

    def generate_traces(self, params=None):
        """Return the fitted variable for the recorded inputs; see `generate`."""
        return self.generate(self.output_var, params)

    def _weigh(self, t_start, t_weights, normalization) -> None:
        n_steps = self._target.shape[1]
        weights = np.ones(n_steps)
        if t_weights is not None:
            weights = plain_numbers(t_weights, "t_weights")
            if weights.shape != (n_steps,) or np.any(weights < 0) or not np.any(weights):
                raise ValueError(f"t_weights must be {n_steps} numbers, none negative")
        if t_start is not None:
            times = np.arange(n_steps) * float(self.dt)
            weights = np.where(times < to_seconds(t_start, "t_start") - 1e-12, 0.0, weights)
        weights = np.where(np.isfinite(self._target), weights, 0.0)
        self._weights = weights / weights.sum()
        if normalization is None:
            known = np.where(self._weights > 0, self._target, 0.0)
            middle = np.sum(self._weights * known)
            spread = np.sqrt(np.sum(self._weights * (known - middle) ** 2))
            self._scale = spread if spread > 0 else 1.0
        else:
            self._scale = float(to_si(normalization, self.output.dim, "normalization"))

    def _readouts(self, group):
        times = np.arange(self._target.shape[1]) * self.dt
        return [Value(group, self.output_var, at=times)]

    def _coupled_copies(self) -> Copies:
        if not self._cell.is_state(self.output_var):
            raise ValueError(
                f"coupling needs a differential equation of '{self.output_var}', which has none"
            )
        known = np.nan_to_num(self._target)
        if not np.all(np.isfinite(self._target)):
            raise ValueError("coupling needs recordings without NaN")
        target = TimedArray(Quantity(known[0], dim=self.output.dim), dt=self.dt)
        rate = TimedArray([0.0] * Hz, dt=self.duration)
        cell = self._cell.coupled_to(self.output_var, target, rate)
        return self._copies(self.n_samples, self._readouts, self._begun()[0], cell)

    def _traces_of(self, rate):
        if rate is None:
            return self._traces
        drawn = {
            f"{self.output_var}_target": self.output,
            f"{self.output_var}_coupling": np.full((1, 1), rate) * Hz,
        }
        return {**self._traces, **drawn}

    def _loss(self, readouts):
        (values,) = readouts
        weights = self._weights[:, np.newaxis]
        with np.errstate(invalid="ignore", over="ignore"):
            off = np.where(weights > 0, values - self._target[:, np.newaxis], 0.0)
            errors = np.sum(weights * off**2, axis=(0, 2))
        good = np.isfinite(errors)[:, np.newaxis]
        of = np.where(good, 2 * weights * off / self._scale**2, 0.0)
        return errors / self._scale**2, [of], {"error": errors}

    # ---- least squares ----
    def refine(self, params=None, n_values=200, *, n_starts=1, **kwds):
        """Refine parameters by least squares with the exact Jacobian; return them with error bars.

        Parameters
        ----------
        params : dict, optional
            Where to begin, by default at the best ones so far.
        n_starts : int
            From how many of the best starts of `fit`, if no `params` are given; the best is kept.
        n_values : int
            How many values of each recording are compared at most, evenly spread.
        **kwds
            Other bounds of some parameters, ``g_L=[1, 20]*nS``; everything else goes to
            `scipy.optimize.least_squares`, such as ``loss='soft_l1'`` or ``max_nfev=20``.

        Returns
        -------
        params : dict
            With units.
        estimate : `Estimate`
            Standard errors, covariance and residuals.  They take the errors of the recording to be
            independent: where the noise of neighbouring values is correlated, take fewer values.
        """
        n_values = whole_number(n_values, "n_values", least=1)
        steps = np.flatnonzero(self._weights.sum(axis=0) > 0)
        few = np.unique(np.linspace(0, len(steps) - 1, min(n_values, len(steps))).round())
        chosen = steps[few.astype(int)]
        if self._refining is not None and not np.array_equal(chosen, self._chosen):
            self._refining = None
        self._chosen = chosen
        return super().refine(params, n_starts=n_starts, **kwds)

    def _jacobian_copies(self, space: Space) -> Copies:
        times = quantity(self._chosen * float(self.dt), TIME)

        def readouts(group):
            return [Value(group, self.output_var, at=times)]

        return self._copies(len(times), readouts, space)

    def _unit(self) -> float:
        return self._scale

    def _roots(self) -> np.ndarray:
        own = self._weights[:, self._chosen]
        return np.sqrt(own / own.max()) / self._scale

    def _residuals(self, readouts):
        target = np.nan_to_num(self._target[:, self._chosen])
        off = (readouts[0][:, 0] - target) * self._roots()
        return off.ravel()[self._compared()]

    def _one_each(self, readouts):
        of = np.broadcast_to(np.eye(len(self._chosen)), readouts[0].shape)
        return [of], self._roots()

    def _compared(self):
        return np.flatnonzero(self._weights[:, self._chosen].ravel() > 0)
