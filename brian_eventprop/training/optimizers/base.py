"""What all optimisers share: learning rates, bounds, memory and the step.

Every trained variable has its own learning rate, in its own unit, because a weight and a delay have
nothing in common.  Everything here works on plain SI arrays by key; units are checked once, when
the optimiser is bound to a model.
"""

from __future__ import annotations

import copyreg
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import DimensionMismatchError

from brian_eventprop._copies import NotPickled, copied
from brian_eventprop._units import to_si, unit_name
from brian_eventprop.training.optimizers.clipping import ClipNorm, checked_clips
from brian_eventprop.training.optimizers.given import (
    Key,
    amounts_in_si,
    default_bounds,
    given_amounts,
    given_bounds,
    given_rates,
    name_of,
)

__all__ = ["Optimizer"]

#: Learning rates in a `repr`.
MOST_SHOWN = 4


class Optimizer(NotPickled, ABC):
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
    clip : `ClipNorm`, `ClipValue` or several of them, optional
        What is done to all gradients before the step, in this order.
    weight_decay : dict, or one number, optional
        Decay of the values themselves, ``{s.w: 0.01}``, in the inverse of the variable's unit: in
        each step a value x loses ``rate * weight_decay * x``, whatever its gradient is (Loshchilov
        and Hutter 2019; the number of PyTorch's AdamW if x is counted in that unit).

    Attributes
    ----------
    gradient_norm : float or None
        What `ClipNorm` found in the last step, before it clipped.
    clipped_steps : int
        How many steps `clip` has changed so far.
    """

    instead = (
        "state() returns its memory as plain arrays; one that names the variables, "
        "Adam({'s.w': 1e-3}), and is not bound to a model yet can be pickled"
    )
    #: Names of the arrays that are kept per variable, all zero in the beginning.
    slots: tuple[str, ...] = ()
    #: Name of the kernel of a GPU that does what `_change` does, if there is one: set it in the
    #: class that has `_change`.  Without one, gradients and values go by the host.
    kernel: str | None = None

    def __init__(self, rates, bounds: Mapping | None = None, *, clip=None, weight_decay=None):
        # Brian2's views compare element by element: keep pairs, never look a view up.
        self._one_rate, self.given_rates = given_rates(rates, type(self).__name__)
        self._given_bounds = given_bounds(bounds)
        self._given_decay = given_amounts(weight_decay, "weight_decay", "{s.w: 0.01}")
        self.clip = checked_clips(clip)
        self.gradient_norm: float | None = None
        self.clipped_steps = 0
        self.model: Any = None
        self.epoch = 0
        self.steps = 0
        #: Factor on all learning rates; see `ReduceOnPlateau`.
        self.scale = 1.0

    # ---- set-up ----------------------------------------------------------------------------

    def bind(self, model) -> None:
        """Take the variables of ``model``: check all units, start from zero memory."""
        parameters = model.parameters
        trained = list(parameters.keys)
        pairs = self.given_rates
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
        self._bounds: dict[Key, tuple] = {key: default_bounds(key) for key in trained}
        for view, (low, high) in self._given_bounds:
            key = model.key_of(view)
            if key not in self._bounds:
                raise ValueError(f"{name_of(key)} has bounds but is not in train=[...]")
            self._bounds[key] = self._checked_bounds(key, low, high)
        decay = amounts_in_si(self._given_decay, "weight_decay", model, -1)
        self._decay = {key: amount for key, amount in decay.items() if amount > 0}
        self._clip_units = [clip.units(model) for clip in self.clip]
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
        rate: Any = self._one_rate
        value = rate(0, 0) if getattr(rate, "every_step", False) else rate
        value = value(0) if callable(value) else value
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
        if callable(rate):
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
        least, most = default_bounds(key)
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
        kernel, held = self._own_kernel(), self._clipped(gradients)
        kept = {key: self._kept(key, self.rates[key]) for key in self._decay}
        self.steps += 1
        parameters = self.model.parameters
        there = getattr(held, "held", ()) if kernel else ()
        moved = {}
        for key, rate in self.rates.items():
            if key in there and key not in kept:
                memory = self._memory, [(slot, key) for slot in self.slots]
                held.step(kernel, key, rate, self._bounds[key], memory, self._numbers())
                parameters.changed_in_place()
                continue
            value = parameters.raw(key) * kept[key] if key in kept else parameters.raw(key)
            moved[key] = self._moved(key, held, kernel, value, rate)
        if hasattr(held, "passes"):
            held.passes.run()
        for key, array in moved.items():
            parameters.take(key, array)

    def _clipped(self, gradients: Any) -> Any:
        """Return the gradients after what `clip` says."""
        if not self.clip:
            return gradients
        given = arrays = {key: np.asarray(gradients[key], dtype=float) for key in self.rates}
        for clip, units in zip(self.clip, self._clip_units, strict=True):
            if isinstance(clip, ClipNorm):
                self.gradient_norm = clip.norm(arrays, units)
            arrays = clip.clipped(arrays, units)
        self.clipped_steps += any(np.any(arrays[key] != given[key]) for key in given)
        return gradients.replaced(arrays) if hasattr(gradients, "replaced") else arrays

    def _moved(self, key: Key, gradients: Any, kernel: str | None, value, rate) -> np.ndarray:
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

    def _kept(self, key: Key, rate) -> np.ndarray:
        """Return the part of a variable that weight decay leaves in a step."""
        lost = rate * self._decay[key]
        if np.any(lost > 1):
            raise ValueError(
                f"the learning rate of {name_of(key)} times its weight_decay is {np.max(lost):g}: "
                "above 1 the values would change their sign in every step"
            )
        return 1 - lost

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

    def options(self) -> dict[str, dict]:
        """Return what `clip` and `weight_decay` do, as plain numbers in SI units by name."""
        self._require_bound()
        found = {}
        for clip, units in zip(self.clip, self._clip_units, strict=True):
            found[repr(clip)] = {name_of(key): unit for key, unit in units.items()}
        if self._decay:
            found["weight_decay"] = {name_of(key): d for key, d in self._decay.items()}
        return found

    # ---- copies ----------------------------------------------------------------------------

    def __deepcopy__(self, memo):
        """Return an optimiser with its own memory, of its own copy of the model."""
        twin = memo[id(self)] = copy(self)
        rest = {name: value for name, value in vars(self).items() if name != "_memory"}
        vars(twin).update({name: copied(value, memo) for name, value in rest.items()})
        if self.model is not None:
            arrays = {slot: array.copy() for slot, array in self._memory.items()}
            twin._memory = twin.model.parameters.beside(arrays)
        return twin

    def __reduce__(self):
        given = [*self.given_rates, *self._given_bounds, *self._given_decay[1]]
        views = [*given, *(pair for clip in self.clip for pair in clip.given[1])]
        if self.model is None and all(isinstance(view, str | tuple) for view, _ in views):
            return getattr(copyreg, "__newobj__"), (type(self),), vars(self)  # noqa: B009
        return super().__reduce__()

    def __repr__(self) -> str:
        if self.model is None:
            return f"{type(self).__name__}(not bound to a model yet)"
        rates = [f"{name_of(key)} {self._shown_rate(key)}" for key in self.rates]
        shown = ", ".join(rates[:MOST_SHOWN])
        rest = f" and {len(rates) - MOST_SHOWN} more" if len(rates) > MOST_SHOWN else ""
        return f"{type(self).__name__}(learning rates {shown}{rest}; {self.steps} steps)"

    def _shown_rate(self, key: Key) -> str:
        rate = self.rates[key]
        if np.size(rate) > 1:
            return f"{np.min(rate):.4g} to {np.max(rate):.4g} (SI)"
        return str(Quantity(float(f"{rate.item():.4g}"), dim=self._dimensions[key]))

    def _require_bound(self) -> None:
        if self.model is None:
            raise RuntimeError("the optimiser has no model yet: call bind(model) first")
