"""What a run and a gradient return."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity, second

from brian_eventprop._checks import whole_number
from brian_eventprop._names import name_of
from brian_eventprop._units import quantity
from brian_eventprop.messages.tables import titled_html
from brian_eventprop.model.grazing.report import GrazingReport
from brian_eventprop.model.parameters import KeysByName
from brian_eventprop.reading.spec import Key
from brian_eventprop.runtime.readouts import GroupSpikes


@dataclass(frozen=True)
class SpikeTrains:
    """Spikes of one group, sorted by sample, then time, as a `SpikeMonitor` records them.

    Attributes
    ----------
    sample, i : array
        Trial within the batch and neuron of each spike.
    t : Quantity
        Time of each spike.
    """

    sample: np.ndarray
    i: np.ndarray
    t: Quantity

    def __len__(self) -> int:
        return len(self.i)

    def __repr__(self) -> str:
        if not len(self):
            return "SpikeTrains(0 spikes)"
        neurons, trials = len(np.unique(self.i)), len(np.unique(self.sample))
        return (
            f"SpikeTrains({len(self)} spikes of {neurons} neurons in {trials} trials, "
            f"{np.min(self.t)} to {np.max(self.t)})"
        )


class Spikes(Mapping):
    """Spike trains by group: the Brian2 object or its name."""

    def __init__(self, by_name: Mapping):
        self._by_name, self._trains = by_name, {}

    def __getitem__(self, group) -> SpikeTrains:
        name = getattr(group, "name", group)
        if name not in self._trains:
            s = self._of(name)
            self._trains[name] = SpikeTrains(s.trials, s.neurons, s.times * second)
        return self._trains[name]

    def counts(self, group, size: int) -> np.ndarray:
        """Return the number of spikes of each of `size` neurons in all samples together."""
        return self._of(group if isinstance(group, str) else group.name).counts(size)

    def __getstate__(self) -> dict:
        parts = ("trials", "neurons", "times", "ptr")  # which may be on a GPU now
        held = {
            name: GroupSpikes(*(getattr(spikes, part) for part in parts))
            for name, spikes in self._by_name.items()
        }
        return {"_by_name": held, "_trains": {}}

    def _of(self, name: str):
        if not isinstance(name, str) or name not in self._by_name:
            known = ", ".join(self._by_name)
            raise KeyError(f"{name!r} is no neuron group of the model; it has: {known}")
        return self._by_name[name]

    def __repr__(self) -> str:
        counts = (f"{name}: {len(self._of(name).times)}" for name in self._by_name)
        return f"Spikes({', '.join(counts)})"

    def _repr_html_(self) -> str:
        return titled_html("Spikes", ("group", "spikes"), self.rows())

    def rows(self) -> list[tuple[str, str]]:
        """Return the name of each group and how often its neurons spike in all trials."""
        return [(name, f"{len(self._of(name).times)}") for name in self._by_name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


@dataclass(frozen=True)
class Result:
    """One run of a batch.

    Attributes
    ----------
    loss : float or None
        Mean of the losses over the batch; None if the model has no loss.
    losses : array (B,) or None
        Loss of each sample.
    readout : tuple of array (B, neurons)
        What the loss saw, one array per readout; with a third axis for each spike, or for the
        times of a `Value` at many.
    spikes : Spikes
        ``spikes[group]``: `SpikeTrains`.
    """

    loss: float | None
    losses: np.ndarray | None
    readout: tuple[np.ndarray, ...]
    spikes: Spikes

    def __repr__(self) -> str:
        loss = "no loss" if self.loss is None else f"loss {self.loss:.6g}"
        shapes = ", ".join(str(np.shape(values)) for values in self.readout)
        return f"Result({loss}, readouts {shapes}, {self.spikes!r})"

    def _repr_html_(self) -> str:
        loss = "no loss" if self.loss is None else f"loss {self.loss:.6g}"
        shapes = ", ".join(str(np.shape(values)) for values in self.readout)
        return titled_html(
            f"Result: {loss}, readouts {shapes}", ("group", "spikes"), self.spikes.rows()
        )


class Gradients(Mapping):
    """Gradients of the mean loss, looked up by Brian2's own views.

    One that is not finite raises a `FloatingPointError` when it is looked up; the message names the
    variable and what may have no finite derivative.  Gradients that were copied or pickled are
    looked up by views and names as before, without their model.

    Attributes
    ----------
    inputs : Quantity or dict
        Derivative with respect to the time of each input spike, in the order of the spikes given;
        by name of the input if there are several.
    traces : dict
        By the name of each `TimedArray` of ``trace_gradients=[...]`` and ``train=[...]``, the
        derivative with respect to its values: of the shape (B, cells) or (B, cells, columns) of
        the traces that the run was given, one row for all trials where it was given none.
    grazing : int
        Spikes whose potential only grazed the threshold: their slope was replaced by the mean slope
        of the time step, and the gradient is uncertain there. In exact time also steps in which a
        variable grazes the edge of a root, or several meet one at the same time.
    """

    def __init__(
        self,
        arrays: dict[Key, np.ndarray],
        dimensions: Mapping,
        key_of: Callable[[object], Key],
        inputs: dict[str, np.ndarray],
        grazing: int,
        not_finite: Mapping[Key, str],
        units: Callable[[Mapping | None], Mapping[Key, Quantity]],
        shapes: Mapping[Key, tuple[int, ...]] = {},
        traces: Mapping[str, np.ndarray] = {},
        report: Callable[[int], GrazingReport] | None = None,
    ):
        self._units, self._report = units, report
        self._arrays, self._dimensions, self._key_of = arrays, dimensions, key_of
        self._not_finite, self._shapes, self._traces = not_finite, shapes, traces
        per_second = {name: array / second for name, array in inputs.items()}
        self._inputs = next(iter(per_second.values())) if len(per_second) == 1 else per_second
        self.grazing = grazing

    @property
    def inputs(self):
        """Derivative with respect to the time of each input spike."""
        self._check("spike times")
        return self._inputs

    @property
    def traces(self) -> dict[str, Quantity]:
        """Derivative with respect to the values of timed arrays, by their names."""
        self._check("traces")
        found = {}
        for name, array in self._traces.items():
            shape = (*array.shape[: len(self._shapes["", name])], -1)
            found[name] = Quantity(array.reshape(shape), dim=self._dimensions["", name] ** -1)
        return found

    def _check(self, what: str) -> None:
        """Raise an error if something that is no trained variable is not finite."""
        for key, message in self._not_finite.items():
            if key not in self._arrays and key[1] == what:
                raise FloatingPointError(message)

    def raw(self, item) -> np.ndarray:
        """Return a gradient as plain numbers in SI units, of a key, a view or a name."""
        key = self._trained(item)
        if key in self._not_finite:
            raise FloatingPointError(self._not_finite[key])
        return self._arrays[key]

    def __getstate__(self) -> dict:
        return {**vars(self), "_key_of": KeysByName(self._arrays), "_report": None}

    def _trained(self, item) -> Key:
        key = self._key_of(item)
        if key not in self._arrays:
            raise KeyError(f"'{name_of(key)}' is not in train=[...]")
        return key

    def report(self, k: int = 10) -> GrazingReport:
        """Return the k spikes with the flattest crossings, and the share of the gradient on them.

        A spike's time moves by one over the slope with which its potential crosses the threshold,
        so a flat crossing makes a large gradient.  It takes two more backward passes: one that
        finds the slopes, and one in which those spikes stay at their times.

        Parameters
        ----------
        k : int, optional
            How many spikes are wanted; flat is a slope that is a small part of its group's median.

        Returns
        -------
        GrazingReport
            With ``spikes``, ``share``, ``crossings`` and ``medians``; shown as a table.

        Raises
        ------
        RuntimeError
            If the model was run since, or this is no gradient of a whole batch.
        UnsupportedError
            On CUDA.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(2, "dv/dt = (I - v)/(10*ms) : 1\\nI : 1", threshold="v > 1",
        ...                      reset="v = 0", method="exact", name="cell")
        >>> neuron.I = [1.05, 2]
        >>> model = bep.EventPropModel([neuron], train=[neuron.I], duration=40*ms, solver="event",
        ...                            loss=bep.Sum(bep.SpikeTimes(neuron, "t/ms", which="first")),
        ...                            backend="interpreter")
        >>> result = model.run()
        >>> report = model.gradient().report(1)
        >>> report
        group  neuron  trial  time            slope  of the median
        -----  ------  -----  --------------  -----  -------------
        cell   0       0      30.44522438 ms  5. Hz  0.05
        The 1 flattest of 6 crossings carry 100.0% of dL/d(cell.I).
        >>> report.spikes[0].slope
        5. * hertz
        """
        if self._report is None:
            raise RuntimeError(
                "report() is for gradients of a whole batch that were neither copied nor pickled: "
                "model.gradient().report()"
            )
        return self._report(whole_number(k, "k", least=1))

    def flatten(self, units: Mapping | None = None) -> np.ndarray:
        """Return the gradient in the vector of `Parameters.flatten`, with the same units.

        Parameters
        ----------
        units : dict, optional
            As for `Parameters.flatten`.

        Returns
        -------
        array (n,)
            Gradients of single trials and Jacobians have their other axes before it.

        Examples
        --------
        >>> from brian2 import *
        >>> import brian_eventprop as bep
        >>> start_scope()
        >>> neuron = NeuronGroup(1, "dv/dt = -v/tau : 1", method="exact")
        >>> neuron.v, tau = 1.0, 10*ms
        >>> model = bep.EventPropModel([neuron], train=[neuron.v, "tau"], duration=10*ms,
        ...                            loss=bep.Sum(bep.Final(neuron, "v")), solver="event")
        >>> result = model.run()
        >>> model.gradient().flatten().round(4)
        array([0.3679, 0.0368])
        """
        factors = self._units(units)
        parts = [self.raw(key) * float(factors[key]) for key in self._arrays]
        return np.concatenate(parts, axis=-1) if parts else np.empty(0)

    def __getitem__(self, item) -> Quantity:
        key = self._trained(item)
        array = self.raw(key)
        if key in self._shapes:  # there may be axes of trials and readouts before
            array = array.reshape(*array.shape[:-1], *self._shapes[key])
        return quantity(array, self._dimensions[key] ** -1)

    def __repr__(self) -> str:
        """Say the norm of each gradient in SI units, its share of zeros, and what grazes."""
        parts = [
            f"{name}: norm {norm}" + (f", {zeros} zeros" if zeros != "0%" else "")
            for name, _, norm, _, zeros in self._rows()
        ]
        return f"Gradients({'; '.join(parts)}; {self.grazing} spikes graze)"

    def _repr_html_(self) -> str:
        heads = ("dL/d", "shape", "norm (SI units)", "largest", "zeros")
        return titled_html(f"Gradients: {self.grazing} spikes graze", heads, self._rows())

    def _rows(self) -> list[tuple[str, ...]]:
        rows = []
        for key, array in self._arrays.items():
            array = np.asarray(array)
            zeros = np.mean(array == 0) if array.size else 0.0
            norm, largest = np.linalg.norm(array), np.abs(array).max(initial=0.0)
            rows.append(
                (name_of(key), f"{array.shape}", f"{norm:.4g}", f"{largest:.4g}", f"{zeros:.0%}")
            )
        return rows

    def __iter__(self):
        return (name_of(key) for key in self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)
