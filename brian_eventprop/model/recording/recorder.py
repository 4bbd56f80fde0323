"""Runs one trial of a model's network again and records it.

What is recorded is a readout like any other, a value at many times, so a recorder is a solver for
the same network with these readouts.  The adjoint variables come out of its backward pass, which
begins with the derivatives of the model's own loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from brian2 import NeuronGroup, Quantity, second

from brian_eventprop._units import to_si
from brian_eventprop.adjoint import derive
from brian_eventprop.losses.base import evaluate
from brian_eventprop.model.recording.record import Record, Traces
from brian_eventprop.reading import Recording, own_states, with_adjoints, with_readouts
from brian_eventprop.reading.spec import NetworkSpec, NetworkValues
from brian_eventprop.readouts import Value


class Trace(Value):
    """A value that no loss depends on."""

    kind = "trace"


@dataclass(frozen=True)
class Trial:
    """What one trial is given: input spikes as the solver takes them, timed arrays, its target."""

    number: int
    inputs: Mapping
    timed: Mapping[str, np.ndarray]
    target: object


@dataclass(frozen=True)
class Wanted:
    """What is recorded: variables of neurons of a group at some times, and the adjoint or not.

    All states of a group are among the variables, whichever a user asks for, so that the code is
    the same for all of them.  ``neurons`` tells groups apart, of which a part is a new object each
    time.
    """

    group: object = field(compare=False)
    neurons: tuple[str, int, int]
    variables: tuple[str, ...]
    times: tuple[float, ...]
    adjoint: bool


def wanted(group, variables: Sequence[str], times, adjoint, spec, n_steps: int, objects) -> Wanted:
    """Check what a user asks for, and return what is recorded.

    ``times`` are by default those of the time grid.
    """
    if isinstance(group, str):
        names = [g.name for g in spec.groups]
        if group not in names:
            raise ValueError(
                f"{group!r} is no NeuronGroup of the model; it has: {', '.join(names)}"
            )
        group = next(obj for obj in objects if obj.name == group)
    if times is None:
        times = np.arange(n_steps) * spec.dt
    else:
        times = np.atleast_1d(to_si(times, second.dim, "times"))
    start = getattr(group, "start", 0)
    whole = getattr(group, "source", group)
    states = own_states(spec, whole) if isinstance(whole, NeuronGroup) else ()
    names = tuple(dict.fromkeys([*states, *variables]))
    neurons = getattr(whole, "name", ""), start, start + len(group)
    return Wanted(group, neurons, names, tuple(times.ravel().tolist()), bool(adjoint))


class Recorder:
    """Records trials of a network.

    Parameters
    ----------
    what
        What to record.
    spec, values
        The network.
    objects
        Its Brian2 objects.
    namespace
        Where external names are looked up.
    duration
        Duration of a trial in seconds.
    solver_of
        Returns the solver of a derived network with its values.
    loss
        The loss, of the readouts that ``spec`` has.
    """

    def __init__(
        self,
        what: Wanted,
        spec: NetworkSpec,
        values: NetworkValues,
        objects: Sequence,
        namespace: Mapping,
        duration: float,
        solver_of: Callable,
        loss,
    ):
        self.what, self.loss = what, loss
        self._own = spec.readouts if what.adjoint else ()
        readouts = [Trace(what.group, name, at=what.times * second) for name in what.variables]
        given = spec, values, readouts, objects, namespace, duration
        recording = with_readouts(*given, keep=what.adjoint)
        first = recording.spec.readouts[len(self._own)]
        self._group, trained, self._states = first.group, (), ()
        if what.adjoint:
            part = first.group, first.start, first.stop, first.at
            recording, self._states = with_adjoints(recording, *part, objects)
            trained = [(first.group, state) for state in self._states]
        self._recording: Recording = recording
        self.solver = solver_of(derive(recording.spec, trained), recording.values)

    def __call__(self, values: Mapping, trial: Trial, variables: Sequence[str]) -> Record:
        """Return some variables in a trial, given the values of trained variables by key."""
        known = self._recording.values
        values = self.solver.hold({**known.values, **values})
        timed = {name: array[np.newaxis] for name, array in known.timed_values.items()}
        timed |= trial.timed
        more = (timed,) if timed else ()
        forward = self.solver.forward(values, trial.inputs, 1, *more)
        n = len(self._own)
        found = (readout[0] for readout in forward.readouts[n:])
        all_traces = self._traces(self.what.variables, found, n_before=0)
        traces = {name: all_traces[name] for name in variables}
        loss = adjoint = None
        if self.what.adjoint:
            losses, derivatives = evaluate(self.loss, forward.readouts[:n], trial.target)
            loss, adjoint = float(losses[0]), self._adjoint(forward, derivatives)
        name = self.what.group.name
        return Record(name, self._t, traces, trial.number, loss, adjoint)

    @property
    def _t(self) -> Quantity:
        return self.what.times * second

    def _adjoint(self, forward, derivatives) -> Traces:
        """Run the backward pass of the loss alone: nothing depends on what is recorded."""
        rest = forward.readouts[len(derivatives) :]
        weights = (*derivatives, *map(np.zeros_like, rest))
        found = self.solver.backward(forward, weights, False).adjoints
        arrays = (found[number][0] for number in sorted(found))
        named = self._traces(self._states, arrays, n_before=len(self.what.variables), power=-1)
        return Traces(self.what.group.name, self._t, named)

    def _traces(self, names, arrays, n_before: int, power: int = 1) -> dict[str, Quantity]:
        dimensions = self._recording.dimensions[n_before:]
        return {
            name: Quantity(array, dim=dimension**power)
            for name, array, dimension in zip(names, arrays, dimensions, strict=False)
        }


def of_trial(number: int, data: Mapping, timed: Mapping, targets, prepare: Callable) -> Trial:
    """Return one trial of a batch.

    Parameters
    ----------
    number
        Which one.
    data
        The spikes of each input, all trials.
    timed
        The values of timed arrays, with one row for each trial or one for all.
    targets
        Those of the batch, or None.
    prepare
        Brings the spikes of inputs, by their names, into the form of the solver.
    """
    inputs = prepare({name: spikes[number] for name, spikes in data.items()})
    rows = {name: array[number : number + 1] if len(array) > 1 else array
            for name, array in timed.items()}  # fmt: skip
    target = None if targets is None else targets[number : number + 1]
    return Trial(number, inputs, rows, target)
