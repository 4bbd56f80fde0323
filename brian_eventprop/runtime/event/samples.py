"""Where the event solver's kernels put what they read out of a group: a row for each number.

A readout has one row, and one more for each further time of a value.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from brian_eventprop.runtime.readouts import Samples, sample_table


@dataclass
class EventSamples:
    """The rows of values at given times, by the number of the readout; others have one.

    Attributes
    ----------
    at_times
        Where each is taken among the breaks of its group, and the row of each of these.
    """

    at_times: dict[int, tuple[Samples, np.ndarray]] = field(default_factory=dict)

    def add(self, group, times: dict[int, np.ndarray], breaks: np.ndarray) -> np.ndarray:
        """Give the values of a group their rows; return the row of each at every break.

        Parameters
        ----------
        group
            The code of the group.
        times
            The times of its readouts by their numbers; infinity is the end of a trial.
        breaks
            When its neurons stop.
        """
        used = len(group.readouts)
        for number, own in times.items():
            steps = np.where(own < np.inf, np.searchsorted(breaks, own), len(breaks))
            samples = Samples.at(steps)
            more = np.arange(used, used + len(samples.steps) - 1)
            used += len(more)
            self.at_times[number] = samples, np.append(group.position[number], more)
        found = [self.at_times[number] for number in times]
        return sample_table([s.steps for s, _ in found], [rows for _, rows in found], len(breaks))

    def rows(self, group, number: int) -> np.ndarray:
        """Return the rows of a readout."""
        return self.at_times[number][1] if number in self.at_times else group.position[number]

    def n_rows(self, group) -> int:
        """Return how many rows a group has."""
        last = (self.rows(group, r.number)[-1] + 1 for r in group.at_times)
        return max((len(group.readouts), *last))

    def read(self, number: int, spec, group, array: np.ndarray) -> np.ndarray:
        """Return a readout from the kernels' array (rows, trials, neurons)."""
        rows = self.rows(group, number)
        if number in self.at_times:
            return self.at_times[number][0].read(array[rows].swapaxes(0, 1), spec)
        return array[rows, :, spec.start : spec.stop]

    def write(self, number: int, spec, group, weight: np.ndarray, array: np.ndarray) -> None:
        """Put dL/d(readout) into such an array."""
        rows = self.rows(group, number)
        if number in self.at_times:
            # a view, with the axes that samples have
            full = np.zeros_like(array[rows]).swapaxes(0, 1)
            self.at_times[number][0].write(weight, spec, full)
            array[rows] = full.swapaxes(0, 1)
        else:
            array[rows, :, spec.start : spec.stop] = weight
