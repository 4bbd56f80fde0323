"""Spikes and targets as a model takes them, checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.data.spike_checks import check_spikes
from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.losses.base import Loss
from brian_eventprop.model.late_spikes import check_end
from brian_eventprop.reading import period_of, read_spikes


class InputsOfModel:
    """The spikes that go into a model, one `SpikeData` per input group, and the targets."""

    def check_inputs(self, spikes) -> None:
        """Refuse spikes and targets that `run` would refuse: all of a data set before a training.

        Parameters
        ----------
        spikes
            As in `run`, with their targets.
        """
        data = self._inputs(spikes)
        check_end(data, self._end, own=spikes is None)
        parts = list(data.values()) or [spikes]
        targets = next((d.targets for d in parts if d.targets is not None), None)
        self._check_targets(targets, len(parts[0]))

    def _check_targets(self, targets, n_trials: int) -> None:
        if isinstance(self.loss, Loss):
            self.loss.check_targets(targets, n_trials)

    def _inputs(self, spikes) -> dict[str, SpikeData]:
        sizes = {i.name: i.size for i in self.spec.inputs if not i.most}
        if spikes is None:
            given = {name: self._own_spikes(name, size) for name, size in sizes.items()}
        elif isinstance(spikes, SpikeData):
            if not sizes and spikes.n_channels == 0:  # it carries traces only
                return {}
            if len(sizes) != 1:
                raise ValueError(
                    f"the network has {len(sizes)} inputs ({', '.join(sizes) or 'none'}): give a "
                    "dict with one SpikeData for each"
                )
            given = {next(iter(sizes)): spikes}
        elif isinstance(spikes, Mapping):
            given = {getattr(k, "name", k): d for k, d in spikes.items()}
        else:
            given = {"": spikes}
        for data in given.values():
            if not isinstance(data, SpikeData):
                raise TypeError(
                    "spikes must be SpikeData, or a dict with one for each input group, not "
                    f"{type(data).__name__}: SpikeData(times, channels, trials, n_trials, "
                    "n_channels)"
                )
        if set(given) != set(sizes):
            needed, found = (", ".join(map(str, names)) or "none" for names in (sizes, given))
            raise ValueError(f"spikes are needed for {needed}, not for {found}")
        for name, data in given.items():
            if data.n_channels != sizes[name]:
                raise ValueError(
                    f"'{name}' has {sizes[name]} neurons, but its spikes have "
                    f"{data.n_channels} channels"
                )
            check_spikes(name, data)
        return given

    def _own_spikes(self, name: str, size: int) -> SpikeData:
        """Return the spikes that an input group holds now: `set_spikes` may have changed them."""
        if self._network.spikes[name] is None:
            raise ValueError(
                f"the spikes of '{name}' are random: give the ones to replay, "
                "model.run(SpikeData(...))"
            )
        group = next(obj for obj in self.objects if obj.name == name)
        held = group._neuron_index, group._spike_time, period_of(group)
        known, data = self._own.get(name, ((None,) * 3, None))
        if any(a is not b for a, b in zip(held[:2], known[:2], strict=True)) or held[2] != known[2]:
            indices, times = read_spikes(group, float(self.duration))
            data = SpikeData(times, indices, np.zeros(len(times), int), 1, size)
            self._own[name] = held, data
        return data

    @property
    def _drawn(self) -> set[str]:
        """The names of the PoissonInputs."""
        return {source.name for source in self.spec.inputs if source.most}

    @property
    def _end(self) -> float:
        """End of a trial in seconds: on the time grid a part of a step is a whole one."""
        duration = float(self.duration)
        return max(duration, self.n_steps * self.spec.dt) if self.solver == "clock" else duration
