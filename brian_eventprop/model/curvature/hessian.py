"""Hessian-vector products: the exact gradient, differentiated along a direction."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity

from brian_eventprop._names import name_of
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.model.curvature.extrapolation import extrapolate
from brian_eventprop.model.event_order import order_in_exact_time, same_order, timing_of
from brian_eventprop.model.results import Gradients
from brian_eventprop.reading.spec import Key
from brian_eventprop.runtime.solver import Backward

#: The first step: this part of the size of what moves.
_START = 0.02
#: The size of an entry is this part of the largest one of its array at least.
_SMALL = 0.05


@dataclass(frozen=True)
class HessianProduct:
    """The product of the Hessian of a loss with a direction.

    It is looked up as gradients are, by Brian2's views, and has their units: a direction has those
    of the variables.

    Attributes
    ----------
    error : dict of Quantity
        By the name of each trained variable, what the largest wrong entry of its part is wrong by,
        as the differences show it.
    """

    gradients: Gradients
    error: Mapping[str, Quantity]

    def __getitem__(self, item) -> Quantity:
        return self.gradients[item]

    def __repr__(self) -> str:
        errors = ", ".join(f"{name} to {error}" for name, error in self.error.items())
        return f"HessianProduct({errors})"

    def flatten(self, units: Mapping | None = None) -> np.ndarray:
        """Return the product in the vector of `Parameters.flatten`, with the same units."""
        return self.gradients.flatten(units)


def hessian_product(model, direction: Mapping[Key, np.ndarray], given: tuple) -> HessianProduct:
    """Return the Hessian of the mean loss times a direction.

    Parameters
    ----------
    model
        An `EventPropModel`.
    direction
        How its trained variables move, in SI units.
    given
        The batch, as `EventPropModel.run` takes it.
    """
    twin = copy.deepcopy(model)
    result = twin.run(*given)
    _check(twin, result, direction)
    keys, events = list(twin.parameters.keys), _events(twin, result, given)
    start = {key: np.array(twin.parameters.raw(key)) for key in keys}
    at_start = twin.gradient()
    gradients = {key: at_start.raw(key) for key in keys}

    def at(step: float) -> list[np.ndarray] | None:
        for key, own in direction.items():
            twin.parameters.set_raw(key, start[key] + step * own)
        try:
            moved = twin.run(*given)
        except FloatingPointError:  # a threshold below the reset, for instance
            return None
        if not same_order(_events(twin, moved, given), events):
            return None
        found = twin.gradient()
        return [found.raw(key) for key in keys]

    def difference(step: float) -> list[np.ndarray] | None:
        above = at(step)
        below = None if above is None else at(-step)
        if below is None:
            return None
        return [(a - b) / (2 * step) for a, b in zip(above, below, strict=True)]

    found = extrapolate(difference, _first_step(start, direction, gradients, result.loss))
    if found is None:
        raise FloatingPointError(
            "the loss has no second derivative here: a spike appears or vanishes, or two "
            "events change their order, within every step along this direction"
        )
    arrays = dict(zip(keys, found[0], strict=True))
    dims = {key: twin.parameters.dimension(key) ** -1 for key in keys}
    pairs = zip(keys, found[1], strict=True)
    errors = {name_of(key): Quantity(error, dim=dims[key]) for key, error in pairs}
    backward = Backward(arrays, {}, at_start.grazing)
    return HessianProduct(model._as_gradients(backward, result.losses), errors)


def check_differentiable(model) -> None:
    """Refuse a model without a loss, or with one that is no function of the parameters."""
    if model.loss is None:
        raise ValueError("the model has no loss, so it has no curvature: make it with loss=...")
    if groups := model.system.surrogate_groups:
        raise UnsupportedError(
            f"the gradient of the spike counts of '{min(groups)}' is a surrogate, which is the "
            "derivative of nothing, so there are no second derivatives. Leave FiringRate, or the "
            "scale of SpikeCount, out of the loss."
        )


def _check(model, result, direction: Mapping[Key, np.ndarray]) -> None:
    """Refuse what has no Hessian, or none that differences of the gradient find."""
    check_differentiable(model)
    moved = {key: own for key, own in direction.items() if key[1] == "delay" and np.any(own)}
    if model.solver == "clock":
        spiking = [name for name in result.spikes if len(result.spikes[name])]
        if spiking or moved:
            what = f"'{spiking[0]}' spikes" if spiking else f"'{name_of(min(moved))}' is a delay"
            raise UnsupportedError(
                f"{what}: on the time grid the gradient jumps wherever an event moves to the next "
                "time step, so its differences are no Hessian. Use solver='event', or "
                "model.gauss_newton()."
            )
    for key, own in moved.items():
        if np.any((model.parameters.raw(key) <= 0) & (own != 0)):
            raise ValueError(
                f"'{name_of(key)}' has delays of 0, which can only grow: leave them out of the "
                "direction"
            )


def _events(model, result, given: tuple) -> list[np.ndarray]:
    """Return who spiked how often in every group, and in exact time the order of all events."""
    found = []
    for trains in result.spikes.values():
        who = np.stack([trains.sample, trains.i])
        found += np.unique(who, axis=1, return_counts=True)
    if model.solver == "event":
        spikes, _, traces = given
        timing = timing_of(model, model._last.forward, result.spikes, (spikes, traces))
        found += order_in_exact_time(model, timing)
    return found


def _first_step(start: Mapping, direction: Mapping, gradients: Mapping, loss: float) -> float:
    """Return the first step: no entry moves by more than a part of its size."""
    step = np.inf
    for key, own in direction.items():
        moving = own != 0
        if not np.any(moving):
            continue
        sizes, steepest = np.abs(start[key]), np.abs(gradients[key]).max(initial=0.0)
        # zeros say nothing of their size: then what moves the loss by about itself
        largest = sizes.max() or (max(abs(loss), 1e-3) / steepest if steepest else 1.0)
        sizes = np.maximum(sizes, _SMALL * largest)
        if key[1] == "delay":
            sizes = np.abs(start[key])
        step = min(step, _START * float(np.min(sizes[moving] / np.abs(own[moving]))))
    if not np.isfinite(step):
        raise ValueError("the direction is 0: give at least one variable that moves")
    return step
