"""A model as a pure function: parameters, spikes and traces in, readouts out, and its pullback.

The bridges call it with the numbers of their own library.  The backward pass of the last call needs
no second forward run; that of an earlier one runs it again, with the same bits.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from brian2 import Quantity

from brian_eventprop._names import name_of
from brian_eventprop.bridges.spikes import GivenSpikes
from brian_eventprop.data.spikes import SpikeData


@dataclass(frozen=True)
class Call:
    """All that the readouts depend on, in SI units.

    Parameters
    ----------
    parameters
        Values of the trained variables by key.
    spikes
        Of each input, by name; empty for those that the network's own input groups hold.
    traces
        Values of timed arrays by name, (trials, cells) or (trials, cells, columns).
    """

    parameters: Mapping
    spikes: Mapping[str, GivenSpikes] = field(default_factory=dict)
    traces: Mapping[str, np.ndarray] = field(default_factory=dict)

    def same(self, other: Call) -> bool:
        """Whether another call has the very same numbers."""
        if self is other:
            return True
        if any(
            set(a) != set(b)
            for a, b in (
                (self.parameters, other.parameters),
                (self.spikes, other.spikes),
                (self.traces, other.traces),
            )
        ):
            return False
        pairs = [(a, other.parameters[key]) for key, a in self.parameters.items()]
        pairs += [(a, other.traces[name]) for name, a in self.traces.items()]
        for name, given in self.spikes.items():
            pairs += zip(_arrays(given.data), _arrays(other.spikes[name].data), strict=True)
        return all(a is b or np.array_equal(a, b) for a, b in pairs)


@dataclass(frozen=True)
class Pulled:
    """What goes back from cotangents of the readouts, by the same keys and in the same shapes."""

    parameters: Mapping
    spikes: Mapping[str, np.ndarray]
    traces: Mapping[str, np.ndarray]


class PureModel:
    """A model as a function of numbers.

    Parameters
    ----------
    model : `EventPropModel`
        Its parameters are set by every call.
    """

    def __init__(self, model):
        self.model, self._lock, self._last = model, threading.RLock(), None

    def inputs(self) -> dict[str, int]:
        """Return the number of neurons of each input group, by name."""
        return {i.name: i.size for i in self.model.spec.inputs if not i.most}

    def names(self) -> dict:
        """Return what the trained variables are called, by key: 's.w', 's.delay', 'tau'."""
        return {key: name_of(key) for key in self.model.parameters.keys}

    def by_input(self, given, is_one) -> dict:
        """Return what was given as spikes by name of the input group.

        Parameters
        ----------
        given
            A dict by group or name; or one thing for the only input; or None.
        is_one
            Says whether something is the spikes of one input.
        """
        sizes = self.inputs()
        if given is None:
            return {}
        if is_one(given):
            if len(sizes) != 1:
                raise ValueError(
                    f"the network has {len(sizes)} inputs ({', '.join(sizes) or 'none'}): give a "
                    "dict with the spikes of each"
                )
            return {next(iter(sizes)): given}
        found = {getattr(key, "name", key): value for key, value in dict(given).items()}
        if set(found) != set(sizes):
            needed, names = (", ".join(map(str, n)) or "none" for n in (sizes, found))
            raise ValueError(f"spikes are needed for {needed}, not for {names}")
        return found

    def __call__(self, call: Call) -> tuple[np.ndarray, ...]:
        """Return the readouts."""
        with self._lock:
            self._run(call)
            return tuple(np.array(values) for values in self.model.result.readout)

    def pull(self, call: Call, cotangents: Sequence[np.ndarray | None]) -> Pulled:
        """Return what cotangents of the readouts are in terms of the call's own numbers.

        Parameters
        ----------
        call
            One that was made before.
        cotangents
            Of each readout, as for `EventPropModel.gradient`.

        Raises
        ------
        FloatingPointError
            If a derivative is not finite.
        """
        with self._lock:
            if not self._was_last(call):
                self._run(call)
            gradients = self.model.gradient(of=list(cotangents))
        parameters = {key: gradients.raw(key) for key in call.parameters}
        timed = {name for name, given in call.spikes.items() if given.shape is not None}
        found = gradients.inputs if timed else {}
        by_name = found if isinstance(found, Mapping) else dict.fromkeys(timed, found)
        spikes = {name: call.spikes[name].spread(np.asarray(by_name[name])) for name in timed}
        traces = {name: np.asarray(array) for name, array in gradients.traces.items()}
        return Pulled(parameters, spikes, traces)

    def set_parameters(self, values: Mapping) -> None:
        """Set trained variables, given by key in SI units, as far as they have other values."""
        parameters = self.model.parameters
        for key, array in values.items():
            if not np.array_equal(parameters.raw(key), array):
                parameters[key] = Quantity(array, dim=parameters.dimension(key))

    def _run(self, call: Call) -> None:
        self.set_parameters(call.parameters)
        data = {name: given.data for name, given in call.spikes.items()} or None
        self._last = call, self.model.run(data, traces=dict(call.traces) or None)

    def _was_last(self, call: Call) -> bool:
        """Whether the model ran a call last, by whomever it was run."""
        return self._last is not None and (
            self.model.result is self._last[1] and call.same(self._last[0])
        )


def _arrays(data: SpikeData) -> tuple[np.ndarray, ...]:
    return data.times, data.channels, data.trial_ptr
