"""Optimisers: turn gradients into steps of the trained variables.

Every trained variable has its own learning rate, in its own unit, because a weight and a delay have
nothing in common.  Everything here works on plain SI arrays by key; units are checked once, when
the optimiser is bound to a model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from numbers import Number

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import DimensionMismatchError

from brian_eventprop._checks import number
from brian_eventprop._units import to_si, unit_name

__all__ = ["SGD", "Adam", "Optimizer"]

Key = tuple[str, str]


class Optimizer(ABC):
    """Steps of the trained variables of one model.

    Parameters
    ----------
    rates : dict, or one rate
        Learning rate of each trained variable, ``{s.w: 1e-3, s.delay: 0.1*ms}``: in the unit of the
        variable, or a function of the epoch (0, 1, ...) that returns that; see
        `brian_eventprop.training.schedules`.  One rate alone is that of all variables, which must
        then have its unit.
    bounds : dict, optional
        Lowest and highest value of a variable, ``{s.w: (0, None)}``.  Delays never get negative,
        whatever is given here.
    """

    #: Names of the arrays that are kept per variable, all zero in the beginning.
    slots: tuple[str, ...] = ()
    #: Name of the kernel of a GPU that does what `_change` does, if there is one: set it in the
    #: class that has `_change`.  Without one, gradients and values go by the host.
    kernel: str | None = None

    def __init__(self, rates, bounds: Mapping | None = None):
        # Brian2's views compare element by element: keep pairs, never look a view up.
        self._one_rate, self._given_rates = _given_rates(rates, type(self).__name__)
        self._given_bounds = _given_bounds(bounds)
        self.model = None
        self.epoch = 0
        self.steps = 0
        #: Factor on all learning rates; see `ReduceOnPlateau`.
        self.scale = 1.0

    # ---- set-up ----------------------------------------------------------------------------

    def bind(self, model) -> None:
        """Take the variables of ``model``: check all units, start from zero memory."""
        parameters = model.parameters
        trained = list(parameters.keys)
        pairs = self._given_rates
        if self._one_rate is not None:
            pairs = [(key, self._one_rate) for key in trained]
        self._rates = {model.key_of(view): rate for view, rate in pairs}
        for key in self._rates:
            if key not in trained:
                raise ValueError(f"{name_of(key)} has a learning rate but is not in train=[...]")
        missing = [name_of(key) for key in trained if key not in self._rates]
        if missing:
            raise ValueError(
                f"no learning rate for {', '.join(missing)}: give one (0 keeps it fixed) "
                "or take it out of train=[...]"
            )
        self._dimensions = {key: parameters.dimension(key) for key in trained}
        if self._one_rate is not None:
            self._check_one_rate(trained)
        self._bounds = {key: _default_bounds(key) for key in trained}
        for view, (low, high) in self._given_bounds:
            key = model.key_of(view)
            if key not in self._bounds:
                raise ValueError(f"{name_of(key)} has bounds but is not in train=[...]")
            self._bounds[key] = self._checked_bounds(key, low, high)
        self.model, self.steps = model, 0
        self._memory = parameters.beside(
            {
                (slot, key): np.zeros_like(parameters.raw(key), dtype=float)
                for slot in self.slots
                for key in trained
            }
        )
        self.start_epoch(self.epoch)

    def _check_one_rate(self, trained) -> None:
        """Say for which variables the one rate has the wrong unit."""
        rate = self._one_rate
        value = rate(0, 0) if getattr(rate, "every_step", False) else rate
        value = value(0) if isinstance(value, Callable) else value
        for key in trained:
            try:
                self._rate_in_si(key, value, "")
            except DimensionMismatchError:
                raise DimensionMismatchError(
                    f"{type(self).__name__}({value!r}) gives all variables the same learning rate, "
                    f"but {name_of(key)} needs one in {unit_name(self._dimensions[key])}: give "
                    f"each its own, {type(self).__name__}({{s.w: 1e-3, s.delay: 0.1*ms}})"
                ) from None

    def start_epoch(self, epoch: int) -> None:
        """Set the learning rates of an epoch."""
        self.epoch = int(epoch)
        self.rates = {key: self._rate(key, rate) for key, rate in self._rates.items()}

    def _rate(self, key: Key, rate) -> np.ndarray:
        value = rate
        if isinstance(rate, Callable):
            every_step = getattr(rate, "every_step", False)
            value = rate(self.epoch, self.steps) if every_step else rate(self.epoch)
        value = self.scale * self._rate_in_si(key, value, f"the learning rate of {name_of(key)}")
        if not np.all(np.isfinite(value)) or np.any(value < 0):
            raise ValueError(
                f"the learning rate of {name_of(key)} is {value} in epoch {self.epoch}: "
                "it must be finite and not negative"
            )
        if value.size != 1 and self.model:  # the values themselves may be on a GPU
            shape = self.model.parameters.raw(key).shape
            if value.shape != shape:
                raise ValueError(
                    f"the learning rate of {name_of(key)} is one number, or one for each of its "
                    f"values {shape}, not an array of the shape {value.shape}"
                )
        return value

    def _rate_in_si(self, key: Key, value, what: str) -> np.ndarray:
        return to_si(value, self._dimensions[key], what)

    def _checked_bounds(self, key: Key, low, high):
        what, dimension = f"the bounds of {name_of(key)}", self._dimensions[key]
        least, most = _default_bounds(key)
        least = least if low is None else np.maximum(least, to_si(low, dimension, what))
        most = most if high is None else to_si(high, dimension, what)
        if np.any(least > most):
            raise ValueError(f"{what} leave no room: {low} to {high}")
        return least, most

    # ---- steps -----------------------------------------------------------------------------

    def step(self, gradients: Mapping[Key, np.ndarray]) -> None:
        """Move every trained variable against its gradient, then back into its bounds."""
        self._require_bound()
        for key, rate in self._rates.items():
            if getattr(rate, "every_step", False):
                self.rates[key] = self._rate(key, rate)
        self.steps += 1
        parameters = self.model.parameters
        kernel = self._own_kernel()
        there = getattr(gradients, "held", ()) if kernel else ()
        moved = {}
        for key, rate in self.rates.items():
            if key in there:
                memory = self._memory, [(slot, key) for slot in self.slots]
                gradients.step(kernel, key, rate, self._bounds[key], memory, self._numbers())
                parameters.changed_in_place()
                continue
            moved[key] = self._moved(key, gradients, kernel, parameters.raw(key), rate)
        if hasattr(gradients, "passes"):
            gradients.passes.run()
        for key, array in moved.items():
            parameters.take(key, array)

    def _moved(self, key: Key, gradients: Mapping, kernel: str | None, value, rate) -> np.ndarray:
        """Return the values of a variable after the step, once the gradients' passes are made."""
        low, high = self._bounds[key]
        if hasattr(gradients, "moved"):
            memory = [self._memory[slot, key] for slot in self.slots]
            limits = rate, low, high
            moved = gradients.moved(kernel, key, value, memory, limits, self._numbers())
            if moved is not None:
                return moved
        change = self._change(key, np.asarray(gradients[key], dtype=float))
        return np.clip(value - rate * change, low, high)

    def _own_kernel(self) -> str | None:
        # a subclass that changes the rule must not get the kernel of the rule before
        owner = next(c for c in type(self).__mro__ if "_change" in vars(c))
        return vars(owner).get("kernel")

    def _numbers(self) -> tuple[float, ...]:
        """Return what the kernel needs beside the arrays, for this step."""
        return ()

    @abstractmethod
    def _change(self, key: Key, gradient: np.ndarray) -> np.ndarray:
        """Return what is multiplied by the rate and subtracted."""

    # ---- memory ----------------------------------------------------------------------------

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of all memory, as named arrays."""
        self._require_bound()
        arrays = {
            f"{slot}/{name_of(key)}": array.copy() for (slot, key), array in self._memory.items()
        }
        return {"steps": np.array(self.steps), "epoch": np.array(self.epoch), **arrays}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from what `state` returned."""
        self._require_bound()
        expected = self.state()
        if set(state) != set(expected):
            wrong = ", ".join(sorted(set(state) ^ set(expected)))
            raise ValueError(f"this state belongs to another optimiser or model: {wrong}")
        for name, array in expected.items():
            if np.shape(state[name]) != array.shape:
                raise ValueError(f"{name} has the shape {np.shape(state[name])}, not {array.shape}")
        for (slot, key), array in self._memory.items():
            array[...] = state[f"{slot}/{name_of(key)}"]
        self.steps = int(state["steps"])
        self.start_epoch(int(state["epoch"]))

    def forget(self, key: Key, entries) -> None:
        """Start from zero memory for some entries of a variable, which now stand for others."""
        self._require_bound()
        for slot in self.slots:
            self._memory[slot, key][entries] = 0.0

    def _require_bound(self) -> None:
        if self.model is None:
            raise RuntimeError("the optimiser has no model yet: call bind(model) first")


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): every entry moves by about its learning rate in each step.

    Parameters
    ----------
    rates, bounds
        See `Optimizer`.
    beta1, beta2, eps : float
        Memory of the mean and of the mean square of the gradient; ``eps`` is in units of the
        gradient.

    Examples
    --------
    >>> optimizer = Adam({("s_in", "w"): lambda epoch: 0.01 * 0.95**epoch})
    """

    slots = ("mean", "square")
    kernel = "adam"

    def __init__(self, rates, beta1=0.9, beta2=0.999, eps=1e-8, *, bounds=None):
        super().__init__(rates, bounds)
        beta1, beta2, eps = (
            number(value, what)
            for value, what in ((beta1, "beta1"), (beta2, "beta2"), (eps, "eps"))
        )
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1 and eps > 0):
            raise ValueError("beta1 and beta2 must lie in [0, 1) and eps above 0")
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def _numbers(self):
        unbiased = 1 - self.beta1**self.steps, 1 - self.beta2**self.steps
        return (1 - self.beta1, 1 - self.beta2, self.eps, *unbiased)

    def _change(self, key, gradient):
        mean, square = self._memory["mean", key], self._memory["square", key]
        mean += (1 - self.beta1) * (gradient - mean)
        square += (1 - self.beta2) * (gradient * gradient - square)
        unbiased = mean / (1 - self.beta1**self.steps)
        return unbiased / (np.sqrt(square / (1 - self.beta2**self.steps)) + self.eps)


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    A step is the rate times the gradient per SI unit of the variable, so a rate may be given in the
    unit of the variable (the step for a gradient of 1) or, as dimensions would have it, in its
    square.

    Parameters
    ----------
    rates, bounds
        See `Optimizer`.
    momentum : float
        Part of the last step that is kept.

    Examples
    --------
    >>> optimizer = SGD({("s_in", "w"): 0.1}, momentum=0.9)
    """

    slots = ("velocity",)
    kernel = "sgd"

    def __init__(self, rates, momentum=0.0, *, bounds=None):
        super().__init__(rates, bounds)
        momentum = number(momentum, "momentum")
        if not 0 <= momentum < 1:
            raise ValueError("momentum must lie in [0, 1)")
        self.momentum = momentum

    def _rate_in_si(self, key, value, what):
        dimension = self._dimensions[key]
        squared = getattr(value, "dim", None) == dimension**2
        return to_si(value, dimension**2 if squared else dimension, what)

    def _numbers(self):
        return (self.momentum,)

    def _change(self, key, gradient):
        velocity = self._memory["velocity", key]
        velocity *= self.momentum
        velocity += gradient
        return velocity


def _given_rates(rates, kind: str) -> tuple[object | None, list]:
    """Return the one rate of all variables, or the pairs of variable and rate."""
    if isinstance(rates, Mapping):
        if not rates:
            raise ValueError("give a learning rate for every trained variable: {s.w: 1e-3, ...}")
        return None, list(rates.items())
    if isinstance(rates, Callable) and not isinstance(rates, type):
        return rates, []
    if isinstance(rates, Number) and not isinstance(rates, bool):
        return rates, []
    if isinstance(rates, Quantity | np.ndarray) and np.ndim(rates) == 0:
        return rates, []
    raise TypeError(
        f"{kind} takes a dict with a learning rate for every trained variable, {kind}({{s.w: 1e-3, "
        f"s.delay: 0.1*ms}}), or one number for all, not {repr(rates)[:60]}"
    )


def _given_bounds(bounds) -> list:
    if bounds is None:
        return []
    if not isinstance(bounds, Mapping):
        raise TypeError(f"bounds must be a dict such as {{s.w: (0, None)}}, not {bounds!r}")
    for limits in bounds.values():
        if not isinstance(limits, tuple | list | Quantity) or len(limits) != 2:
            raise ValueError(f"bounds are a lowest and a highest value, (0, None), not {limits!r}")
    return list(bounds.items())


def name_of(key: Key) -> str:
    """Return the name of a variable as a user would write it.

    Examples
    --------
    >>> name_of(("s_in", "w")), name_of(("s_in_pre", "delay")), name_of(("", "tau_m"))
    ('s_in.w', 's_in_pre.delay', 'tau_m')
    """
    owner, variable = key
    return f"{owner}.{variable}" if owner else variable


def _default_bounds(key: Key) -> tuple[float, float]:
    # A negative delay would let an effect come before its cause.
    return (0.0 if key[1] == "delay" else -np.inf, np.inf)
