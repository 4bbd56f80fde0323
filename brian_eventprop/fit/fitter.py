"""What both fitters share: neuron and recordings, the search from many starts, the refinement."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import Equations, Quantity, TimedArray, second
from brian2.core.functions import Function
from brian2.core.namespace import get_local_namespace
from brian2.units.fundamentalunits import get_dimensions
from brian2.utils.stringtools import get_identifiers

from brian_eventprop._checks import whole_number
from brian_eventprop._units import quantity, to_seconds
from brian_eventprop.fit.cells import Cell, Copies
from brian_eventprop.fit.estimate import Estimate, covariance
from brian_eventprop.fit.lockstep import adam, evolve, minimize_together
from brian_eventprop.fit.minimizers import optimize
from brian_eventprop.fit.residuals import Residuals, settle
from brian_eventprop.fit.space import Space
from brian_eventprop.fit.track import Track
from brian_eventprop.readouts import SpikeTimes, Value

#: What least squares are told; residuals are numbers around 1.
_LEAST_SQUARES = {"x_scale": "jac", "ftol": 1e-12, "xtol": 1e-12, "gtol": 1e-12}

#: On the grid of the time step, least squares begin again where steps of Gauss and Newton have led,
#: so many times at most.
_TURNS = 4

#: Least squares begin this far within the bounds, as a part of their distance.
_INSIDE = 1e-6


class Fitter(ABC):
    """The neuron and its recordings; see `SpikeFitter` and `TraceFitter`."""

    #: How many random points are tried for each start.
    candidates = 4

    #: The fitted variable, or ``'spikes'``.
    output_var: str

    def __init__(
        self, model, input_var, input, dt, n_samples, method, reset, refractory, threshold,
        param_init, options, namespace, level,
    ):  # fmt: skip
        model = Equations(model) if isinstance(model, str) else model
        self.dt = to_seconds(dt, "dt") * second
        self.n_samples = whole_number(n_samples, "n_samples", least=1)
        if input_var not in model.identifiers or input_var in model.names:
            raise ValueError(
                f"input_var='{input_var}' must be used in the model, but not be defined in it"
            )
        self.input = _recordings(input, self.dt)
        self.n_traces, n_steps = self.input.shape
        self.duration = n_steps * self.dt
        name, dim = f"{input_var}_recorded", get_dimensions(self.input)
        unit = "1" if dim.is_dimensionless else repr(dim)
        self.model = model + Equations(f"{input_var} = {name}(t) : {unit}")
        self.parameter_names = tuple(sorted(model.parameter_names))
        if namespace is None:
            namespace = get_local_namespace(level=level + 1)
        space = {k: v for k, v in namespace.items() if isinstance(v, _NAMED)}
        space[name] = TimedArray(self.input[0], dt=self.dt)
        arguments = {
            "threshold": threshold, "reset": reset, "refractory": refractory, "method": method,
            "dt": self.dt,
        }  # fmt: skip
        given = {k: v for k, v in arguments.items() if v is not None}
        self.param_init = dict(param_init or {})
        known = model.diff_eq_names | model.parameter_names
        if unknown := sorted(set(self.param_init) - set(known)):
            raise ValueError(f"param_init has '{unknown[0]}', which is no variable of the model")
        self._cell = Cell(self.model, given, space, self.param_init)
        self._options = {"duration": self.duration, **options}
        self._traces = {name: self.input}
        self._space: Space | None = None
        self._track: Track | None = None
        self._best: dict | None = None
        self._refining: Copies | None = None
        self._searched: tuple | None = None

    # ---- the search ----
    def _prepare(self, bounds: Mapping) -> Space:
        """Return the space of the bounds, after checking that every parameter has a value."""
        known = set(self.parameter_names) | set(self._cell.equations.diff_eq_names)
        if unknown := sorted(set(bounds) - known):
            raise ValueError(
                f"'{unknown[0]}' is no parameter of the model; it has: {', '.join(sorted(known))}"
            )
        missing = [n for n in self.parameter_names if n not in bounds and n not in self.param_init]
        if missing or not bounds:
            name = (missing or ["..."])[0]
            raise TypeError(
                f"give bounds of the parameter, {name}=[low, high], or its value in param_init"
            )
        for name, value in self.param_init.items():
            used = set(bounds) & get_identifiers(value) if isinstance(value, str) else set()
            if used:
                raise ValueError(
                    f"param_init['{name}'] = {value!r} uses '{min(used)}', which is fitted: give a "
                    f"number, or bounds of '{name}' to fit the initial value itself"
                )
        return Space.of(bounds, self.model.dimensions)

    def _fitted(self, cell: Cell, space: Space) -> Cell:
        kept = {k: v for k, v in cell.initial.items() if k not in space.names}
        return Cell(cell.equations, cell.arguments, cell.namespace, kept)

    def _copies(self, n: int, readouts, space: Space, cell: Cell | None = None) -> Copies:
        middle = space.with_units(space.values(np.full(len(space.names), 0.5)))
        cell = self._fitted(cell or self._cell, space)
        return Copies(cell, n, middle, readouts, self._options)

    def _search(self, copies: Copies, loss, rounds, optimizer, random, traces) -> None:
        """Improve all starts; loss takes readouts and returns losses, cotangents and metrics."""
        space, track = self._begun()
        self._searched = copies, loss, traces

        def losses_of(x):
            found, of, metrics = loss(copies.run(space.values(x), traces))
            return None if track.take(x, metrics) else (found, of)

        def losses_alone(x):
            known = losses_of(x)
            return None if known is None else known[0]

        def evaluate(x):
            known = losses_of(x)
            if known is None:
                return None
            return known[0], copies.gradient(known[1]) * space.slopes(x)

        def draw():
            return random.random(len(space.names))

        if optimizer == "adam":
            adam(evaluate, track.x, rounds)
        elif optimizer == "differential_evolution":
            evolve(losses_alone, track.x, rounds, random)
        else:
            minimize_together(evaluate, track.x, rounds, optimizer, draw)

    def _draw_starts(self, copies: Copies, loss, random, traces) -> int:
        """Try random points and keep the best as starts; return how many rounds it took."""
        space, track = self._begun()
        x = space.draw(self.candidates * self.n_samples, random)
        found = []
        for part in np.split(x, self.candidates):
            found.append(loss(copies.run(space.values(part), traces))[2])
        joined = {name: np.concatenate([m[name] for m in found]) for name in found[0]}
        track.keep_best_of(x, joined)
        return self.candidates

    def _begun(self) -> tuple[Space, Track]:
        """Return the space and the starts of the `fit` that is under way."""
        if self._space is None or self._track is None:
            raise RuntimeError("there is nothing fitted yet: call fit() first")
        return self._space, self._track

    def _found(self):
        self._best, error = self._begun()[1].best()
        return self._best, error

    @property
    def best_params(self) -> dict[str, Quantity] | None:
        """The best parameters so far, of `fit` or `refine`."""
        return self._best

    @property
    def best_error(self) -> Quantity | None:
        """The error of the best start of `fit`."""
        return None if self._track is None else self._track.best()[1]

    def evaluate(self, params: Mapping) -> tuple[float, dict[str, Quantity]]:
        """Return what `fit` minimised at last, and its gradient, for optimisers elsewhere.

        Parameters
        ----------
        params : dict
            Values of all fitted parameters, with units.

        Returns
        -------
        loss : float
            The loss of the last rounds, with the options of the last `fit`.
        gradient : dict
            Its derivatives, with units.
        """
        if self._searched is None:
            raise RuntimeError("there is no loss yet: call fit() first")
        copies, loss, traces = self._searched
        space, _ = self._begun()
        losses, of, _ = loss(copies.run(space.in_si(params), traces))
        each = zip(space.names, copies.gradient(of)[0], space.dimensions, strict=True)
        return float(losses[0]), {name: quantity(g, dim**-1) for name, g, dim in each}

    def results(self, format: str = "list"):
        """Return the parameters and metrics of every start, the best one first.

        Parameters
        ----------
        format : {'list', 'dict', 'dataframe'}
            A list of dicts, a dict of quantities, or a pandas DataFrame in SI units.
        """
        if self._track is None:
            raise RuntimeError("there are no results yet: call fit() first")
        rows = self._track.rows()
        if format == "list":
            return rows
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        if format == "dict":
            return {name: Quantity(column) for name, column in columns.items()}
        if format != "dataframe":
            raise ValueError(f"format must be 'list', 'dict' or 'dataframe', not {format!r}")
        import pandas  # pyright: ignore[reportMissingImports]  # who has none asks for none

        return pandas.DataFrame({k: np.asarray(Quantity(c)) for k, c in columns.items()})

    # ---- least squares ----
    def refine(
        self, params: Mapping | None = None, *, n_starts: int = 1, **kwds
    ) -> tuple[dict, Estimate]:
        """Refine parameters by least squares with the exact Jacobian; return them with error bars.

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
            Standard errors, covariance and residuals.
        """
        n_starts = whole_number(n_starts, "n_starts", least=1)
        space, begin, kwds = self._space_to_refine(params, n_starts, kwds)
        known = None if self._space is None else self._space.names
        if self._refining is None or space.names != known:
            self._refining = self._jacobian_copies(space)
        self._space = space
        residuals = Residuals(
            space, self._refining, self._traces, self._residuals, self._one_each, self._compared()
        )
        each = [self._least_squares(residuals, x, kwds) for x in space.points(begin)]
        x, found = min(each, key=lambda pair: np.sum(residuals(pair[0]) ** 2))
        free = (x > 1e-9) & (x < 1 - 1e-9) & (found.active_mask == 0)
        left, jacobian = residuals(x), residuals.slopes(x) / space.slopes(x)
        spread = covariance(jacobian, left, free, 1 / 12 if self._on_grid() else 0.0)
        estimate = Estimate(space, space.values(x), spread, left * self._unit(), found)
        self._best = estimate.params
        return estimate.params, estimate

    def _least_squares(self, residuals: Residuals, x: np.ndarray, kwds: Mapping):
        """Return the best point from a start, and what SciPy says."""
        for _ in range(_TURNS):
            x = np.clip(x, _INSIDE, 1 - _INSIDE)
            found = optimize().least_squares(
                residuals, x, residuals.slopes, bounds=(0.0, 1.0), **{**_LEAST_SQUARES, **kwds}
            )
            x = settle(residuals, found.x) if self._on_grid() else found.x
            if np.array_equal(x, found.x):  # no better
                break
        return x, found

    def _space_to_refine(self, params, n_starts: int, kwds: Mapping):
        """Return the space, values to begin with (any, n_parameters), and what is left of kwds."""
        names = set(self.parameter_names) | set(self._cell.equations.diff_eq_names)
        given = {name: pair for name, pair in kwds.items() if name in names}
        rest = {name: value for name, value in kwds.items() if name not in names}
        if self._space is not None:
            old = zip(self._space.names, self._space.low, self._space.high, strict=True)
            dims = dict(zip(self._space.names, self._space.dimensions, strict=True))
            known = {n: [Quantity(a, dim=dims[n]), Quantity(b, dim=dims[n])] for n, a, b in old}
            given = known | given
        if params is None and self._best is None:
            raise TypeError("give params, or call fit() first")
        begin: list = [self._best if params is None else params]
        if params is None and self._track is not None:
            begin += self._track.rows()[1:n_starts]
        space = self._prepare(given)
        return space, np.array([space.in_si(values) for values in begin]), rest

    def _on_grid(self) -> bool:
        """Whether the values are times on the grid of the time step, of which a step is 1."""
        return False

    @abstractmethod
    def _unit(self) -> float:
        """Return a residual of 1 in SI units."""

    @abstractmethod
    def _jacobian_copies(self, space: Space) -> Copies:
        """Return copies of the neuron, one for each value of a recording."""

    @abstractmethod
    def _residuals(self, readouts) -> np.ndarray:
        """Return what least squares minimise, of the first copy."""

    @abstractmethod
    def _one_each(self, readouts):
        """Return cotangents, one value for each copy, and the residuals' derivatives by values."""

    @abstractmethod
    def _compared(self) -> np.ndarray:
        """Return which values of all recordings are residuals: an index."""

    # ---- what the model does ----
    def generate(self, output_var=None, params: Mapping | None = None) -> Any:
        """Return what the model does with the recorded inputs.

        Parameters
        ----------
        output_var : str or list of str, optional
            A variable or subexpression of the model, or ``'spikes'``; several give a dict.  By
            default what was fitted.
        params : dict, optional
            Parameters, by default the best ones so far.

        Returns
        -------
        Quantity (n_traces, n_steps), or list of Quantity
            A trace, or the spike times of each recording.
        """
        wanted = self.output_var if output_var is None else output_var
        names = [wanted] if isinstance(wanted, str) else list(wanted)
        params = self._best if params is None else params
        if params is None:
            raise TypeError("give params, or call fit() first")
        space = self._space or self._prepare({k: [v, v + abs(v)] for k, v in params.items()})

        def readouts(group):
            times = np.arange(self.input.shape[1]) * self.dt
            return [
                SpikeTimes(group, which="each") if n == "spikes" else Value(group, n, at=times)
                for n in names
            ]

        copies = self._copies(1, readouts, space)
        found = copies.run(space.in_si(params), self._traces)
        each = {n: self._as_output(n, r[:, 0]) for n, r in zip(names, found, strict=True)}
        return each[wanted] if isinstance(wanted, str) else each

    def _as_output(self, name: str, values: np.ndarray):
        if name == "spikes":
            return [np.sort(own[np.isfinite(own)]) * second for own in values]
        return Quantity(values, dim=self._cell.equations.dimensions[name])


#: What is taken from around the call.
_NAMED = (Quantity, numbers.Number, Function)


def _recordings(given, dt) -> Quantity:
    """Return currents (recordings, steps)."""
    if isinstance(given, TimedArray):
        if abs(given.dt - float(dt)) > 1e-9 * float(dt):
            raise ValueError(f"the input's time step is {given.dt * second}, not dt={dt}")
        given = quantity(given.values.T, given.dim)
    dim, values = get_dimensions(given), np.atleast_2d(np.asarray(given, dtype=float))
    if values.ndim != 2 or not values.size:
        raise ValueError(f"input must have the shape (n_traces, n_steps), not {np.shape(given)}")
    return quantity(values, dim)


def random_of(seed) -> np.random.Generator:
    """Return a generator of random numbers."""
    return np.random.default_rng(seed)
