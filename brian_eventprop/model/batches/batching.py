"""Batches, brought onto the solver's time grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop._checks import mapping
from brian_eventprop.data.drawn_counts import drawn_spikes
from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.data.timed_inputs import given_traces, timed_values
from brian_eventprop.model.batches.batch import Batch
from brian_eventprop.model.batches.inputs import InputsOfModel
from brian_eventprop.model.late_spikes import check_end
from brian_eventprop.reading import on_own_grid


class BatchedModel(InputsOfModel):
    """What makes a `Batch` of spikes and traces, for this run or ahead of the next one."""

    def look_ahead(self, spikes=None, traces: Mapping | None = None) -> None:
        """Get the next batch ready while a GPU is still at work on this one.

        To be called between the gradient and the optimiser's step, as `Trainer` does.  On the CPU
        it does nothing.

        Parameters
        ----------
        spikes, traces
            What the next `run` will be given: the same objects, not equal ones.
        """
        # trained values of timed arrays are part of a batch, and change with the optimiser's step
        if self.backend == "cuda" and not self._timed_keys:
            batch = self._coming["batch"] = self._batch(spikes, traces)
            self._solver.prefetch(self._values, batch.prepared, batch.n_trials, batch.timed)

    def _batch(self, spikes, traces) -> Batch:
        """Check a batch and bring it onto the solver's time grid."""
        data = self._inputs(spikes)
        check_end(data, self._end, own=spikes is None)
        sources = data.values() or ([spikes] if isinstance(spikes, SpikeData) else [])
        targets = next((d.targets for d in sources if d.targets is not None), None)
        counts = {len(d) for d in data.values()}
        if len(counts) > 1:
            raise ValueError(f"the inputs have different numbers of trials: {sorted(counts)}")
        mapping(traces, "traces", "{'I_ext': array}")
        brought = given_traces(self.spec, spikes, traces)
        given = self.spec, self._network, brought, float(self.duration)
        timed = timed_values(*given, self._trained_timed())
        drawn = drawn_spikes(self.spec, brought, self.n_steps)
        counts |= {len(part) for part in (*timed.values(), *drawn.values()) if len(part) > 1}
        if len(counts - {1}) > 1 or (data and len(counts) > 1):
            raise ValueError(f"the inputs and traces have different numbers of trials: {counts}")
        n_trials = max(counts, default=1)
        if n_trials == 0:
            raise ValueError("there are no trials to run")
        for name, given in drawn.items():
            same = len(given) < n_trials
            data[name] = given[np.zeros(n_trials, int)] if same else given
        prepared = self._prepared(data)
        return Batch(spikes, traces, targets, data, prepared, timed, n_trials)

    def _trained_timed(self) -> dict[str, np.ndarray]:
        """Return the values of the timed arrays that are trained, by name."""
        return {key[1]: self._values[key] for key in self._timed_keys}

    def _prepared(self, data: Mapping[str, SpikeData]) -> dict:
        """Return the spikes of the inputs as the solver reads them."""
        sources = {i.name: i for i in self.spec.inputs} if self.solver == "clock" else {}
        prepared = {}
        for name, given in data.items():
            if name in sources:
                given = on_own_grid(sources[name], given, self.spec.dt)
            prepared[name] = self._solver.prepare(name, given)
        return prepared
