"""Fits of spike times: `SpikeFitter`."""

from __future__ import annotations

import numpy as np
from brian2 import Quantity, mV, second
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions
from brian2.utils.stringtools import get_identifiers

from brian_eventprop._checks import number, whole_number
from brian_eventprop._units import TIME, to_seconds, to_si
from brian_eventprop.fit.cells import Copies
from brian_eventprop.fit.fitter import Fitter, random_of
from brian_eventprop.fit.metrics import gamma_factors
from brian_eventprop.fit.space import Space
from brian_eventprop.fit.track import Track
from brian_eventprop.losses.spike_trains import VanRossum
from brian_eventprop.readouts import SpikeCount, SpikeTimes


class SpikeFitter(Fitter):
    """Fits the parameters of a neuron to recorded spikes, from many starts, with exact gradients.

    Parameters
    ----------
    model : str or `Equations`
        The neuron.  Its parameters (``g : siemens (constant)``) are what can be fitted.
    input : Quantity (n_traces, n_steps) or `TimedArray`
        What was injected, one row per recording (one column of a `TimedArray`).
    output : list of Quantity
        The spike times of each recording.
    dt : Quantity
        Time step of the input and of the model.
    reset, threshold, refractory, method
        As of a `NeuronGroup`.
    input_var : str
        The input in the model; used in it, but not defined.
    n_samples : int
        Number of starts, which run as one batch.
    param_init : dict, optional
        Initial values, and the values of parameters that are not fitted.
    solver, backend, threads, tolerance
        As of an `EventPropModel`: spikes on the grid of the time step by default, and in exact time
        with ``solver='event'``.
    namespace : dict, optional
        Where external names are looked up; by default around the call.
    level : int, optional
        How many more calls up the names are looked up.

    Examples
    --------
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> start_scope()
    >>> current = np.full((1, 300), 1.5)
    >>> recorded = [[11.1, 22.2]*ms]  # a neuron with tau = 10 ms, at 11.0 ms after each reset
    >>> fitter = bep.fit.SpikeFitter("dv/dt = (I - v)/tau : 1\\ntau : second (constant)", current,
    ...                              recorded, dt=0.1*ms, threshold="v > 1", reset="v = 0",
    ...                              method="exact", n_samples=2)
    >>> params, error = fitter.fit(20, seed=1, tau=[5, 20]*ms)
    >>> 9 < params["tau"]/ms < 11
    True
    """

    output_var = "spikes"

    def __init__(
        self, model, input, output, dt, reset, threshold, input_var="I", refractory=False,
        n_samples=30, method=None, param_init=None, *, solver="clock", backend="cpu",
        threads=None, tolerance=None, namespace=None, level=0,
    ):  # fmt: skip
        options = {"solver": solver, "backend": backend, "threads": threads, "tolerance": tolerance}
        super().__init__(
            model, input_var, input, dt, n_samples, method, reset, refractory, threshold,
            param_init, options, namespace, level + 1,
        )  # fmt: skip
        if isinstance(output, Quantity) and output.ndim == 1:
            output = [output]
        trains = [np.sort(np.ravel(to_si(one, TIME, "output"))) for one in output]
        if len(trains) != self.n_traces:
            raise ValueError(
                f"output must have the spikes of {self.n_traces} recordings, not of {len(trains)}"
            )
        self.output = [train * second for train in trains]
        self._counts = np.array([len(train) for train in trains])
        if not self._counts.any():
            raise ValueError("output has no spikes: there is nothing to fit")
        self._target = np.full((len(trains), self._counts.max()), np.inf)
        for own, train in zip(self._target, trains, strict=True):
            own[: len(train)] = train

    def fit(
        self, n_rounds=100, optimizer="adam", *, filter_tau=None, coincidence=None,
        rate_weight=1.0, rate_scale=None, callback=None, seed=None, bounds=None, **more_bounds,
    ):  # fmt: skip
        """Minimise the distance of van Rossum and the difference of the rates, from random starts.

        Parameters
        ----------
        n_rounds : int
            How many batches of `n_samples` neurons are run at most; the first ones draw the starts.
        optimizer : str
            ``'adam'``, ``'differential_evolution'``, which is one search, without gradients, or a
            method of `scipy.optimize.minimize` with gradients and bounds.
        filter_tau : Quantity, optional
            Time constant of the distance at the end, by default a fifth of the mean interval
            between spikes; at the beginning it is the mean interval.
        coincidence : Quantity, optional
            Spikes not farther apart coincide, for the gamma factor; by default 4 ms.
        rate_weight : float
            Weight of the bound of the rate: the mean over the recordings of
            ``((n - n_recorded)/n_recorded)**2``.  Without it (0) neurons may run away into bursts.
        rate_scale : Quantity, optional
            What change of the potential is taken to be worth one spike, by default 10 mV, or 1 if
            it has no unit; see `FiringRate`.
        callback : callable or 'text', optional
            Called after each round with ``(params, errors, best_params, best_error, index)``; the
            fit stops if it returns True.
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
        best_error : float
            The distance of van Rossum per recorded spike, plus the term of the rate.
        """
        rounds = whole_number(n_rounds, "n_rounds", least=1)
        interval = self.n_traces * float(self.duration) / self._counts.sum()
        last = interval / 5 if filter_tau is None else to_seconds(filter_tau, "filter_tau")
        delta = 4e-3 if coincidence is None else to_seconds(coincidence, "coincidence")
        rate = number(rate_weight, "rate_weight")
        self._space, self._refining = self._prepare({**(bounds or {}), **more_bounds}), None
        names = ("error", "gamma_factor", "n_spikes")
        self._track = Track(
            self._space, self.n_samples, callback, dict.fromkeys(names, DIMENSIONLESS)
        )
        scale = self._worth_a_spike() if rate_scale is None else rate_scale

        copies = self._search_copies(scale)
        random = random_of(seed)

        def loss_with(tau):
            return self._loss_of(copies, tau, last, rate, delta)

        rounds -= self._draw_starts(copies, loss_with(last), random, self._traces)
        # wide first: spikes far from their targets are pulled, too
        for k, share in enumerate(_parts(max(rounds, 1), 3)):
            loss = loss_with(max(interval, last) ** (1 - k / 2) * last ** (k / 2))
            self._search(copies, loss, share, optimizer, random, self._traces)
        return self._found()

    def generate_spikes(self, params=None) -> list[Quantity]:
        """Return the spike times for the recorded inputs; see `generate`."""
        return self.generate("spikes", params)

    def _search_copies(self, scale) -> Copies:
        def readouts(group):
            return [SpikeTimes(group, which="each"), SpikeCount(group, scale=scale)]

        return self._copies(self.n_samples, readouts, self._begun()[0])

    def _loss_of(self, copies: Copies, tau: float, last: float, rate: float, delta: float):
        """Return the loss of the readouts, with one time constant to go by and one to judge by."""
        distance = VanRossum(copies.group, tau=tau * second)
        final = VanRossum(copies.group, tau=last * second)
        return lambda found: self._loss(found, distance, final, rate, delta)

    def _worth_a_spike(self):
        threshold = self._cell.arguments["threshold"]
        names = sorted(get_identifiers(threshold) & set(self.model.diff_eq_names))
        dims = {self.model.dimensions[name] for name in names}
        if dims == {get_dimensions(mV)}:
            return 10 * mV
        if dims == {DIMENSIONLESS}:
            return 1.0
        raise ValueError(
            f"say what change of the threshold's '{threshold}' is worth one spike: "
            "fit(..., rate_scale=...)"
        )

    def _loss(self, readouts, distance, final, rate, delta):
        times, counts = readouts
        n = times.shape[1]
        total = self._counts.sum()
        spread, pull = self._distances(times, distance)
        off = (counts - self._counts[:, None]) / np.maximum(self._counts, 1)[:, None]
        losses = spread / total + rate * np.mean(off**2, axis=0)
        push = 2 * rate * off / np.maximum(self._counts, 1)[:, None] / self.n_traces
        errors = self._distances(times, final)[0] / total + rate * np.mean(off**2, axis=0)
        metrics = {
            "error": errors,
            "gamma_factor": gamma_factors(times, self._target, delta, float(self.duration)),
            "n_spikes": counts.sum(axis=0),
        }
        return losses, [pull.reshape(times.shape) / total, push.reshape(-1, n)], metrics

    def _distances(self, times: np.ndarray, distance: VanRossum):
        """Return the distance of each start, summed over recordings, and its derivatives."""
        n_recordings, n = times.shape[:2]
        wanted = np.repeat(self._target, n, axis=0)[:, np.newaxis]
        losses, (pull,) = distance((times.reshape(n_recordings * n, 1, -1),), wanted)
        return losses.reshape(n_recordings, n).sum(axis=0), pull

    # ---- least squares ----
    def refine(self, params=None, *, n_starts=5, **kwds):
        """Refine parameters by least squares of spike times; return them with error bars.

        The k-th spike is compared with the k-th recorded one.  A missing spike stands at the end of
        the recording and pulls at nothing, a superfluous one is not compared: it is for parameters
        with which the neuron has as many spikes as the recordings.

        Parameters
        ----------
        params : dict, optional
            Where to begin, by default at the best ones so far.
        n_starts : int
            From how many of the best starts of `fit`, if no `params` are given; the best is kept.
        **kwds
            Other bounds of some parameters, ``g_L=[1, 20]*nS``; everything else goes to
            `scipy.optimize.least_squares`, such as ``loss='soft_l1'`` or ``max_nfev=20``.

        Returns
        -------
        params : dict
            With units.
        estimate : `Estimate`
            Standard errors, covariance and residuals, in seconds.  On the grid of the time step
            the error of a spike time is taken to be ``dt/sqrt(12)`` at least, that of rounding, and
            standard errors are a lower limit, since rounding moves all later spikes as well.
        """
        return super().refine(params, n_starts=n_starts, **kwds)

    def _on_grid(self) -> bool:
        return self._options["solver"] == "clock"

    def _unit(self) -> float:
        return float(self.dt)

    def _jacobian_copies(self, space: Space) -> Copies:
        def readouts(group):
            return [SpikeTimes(group, which="each")]

        return self._copies(self._target.shape[1], readouts, space)

    def _residuals(self, readouts):
        times = self._first(np.sort(readouts[0][:, 0]))
        times = np.where(np.isfinite(times), times, float(self.duration))
        with np.errstate(invalid="ignore"):
            return ((times - self._target) / self._unit()).ravel()[self._compared()]

    def _first(self, times: np.ndarray) -> np.ndarray:
        """Return as many spikes of each recording as there are recorded ones at most."""
        most = self._target.shape[1]
        found = np.full((len(times), most), np.inf)
        found[:, : times.shape[1]] = times[:, :most]
        return found

    def _one_each(self, readouts):
        (times,) = readouts
        of = np.zeros(times.shape)
        k = np.arange(min(times.shape[1:]))
        of[:, k, k] = np.isfinite(times[:, k, k])
        return [of], np.full(self._target.shape, 1 / self._unit())

    def _compared(self):
        return np.flatnonzero(np.isfinite(self._target).ravel())


def _parts(n: int, k: int) -> list[int]:
    """Split n rounds into k parts, none empty but if there are too few."""
    return [len(part) for part in np.array_split(np.arange(n), k) if len(part)]
