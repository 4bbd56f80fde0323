"""What a run was given, and what a backward pass needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.model.results import Result
from brian_eventprop.runtime.solver import ForwardRun


@dataclass(frozen=True)
class Batch:
    """What a run needs: the spikes and traces as they were given, and what was made of them."""

    given: object
    traces: Mapping | None
    targets: object
    data: Mapping[str, SpikeData]
    prepared: dict
    timed: Mapping
    n_trials: int


@dataclass(frozen=True)
class Run:
    """What a backward pass needs of the last run.

    ``derivatives`` are those of the loss of each trial in the readouts, ``version`` that of the
    parameters, ``bound`` what expressions were computed from.
    """

    batch: Batch
    forward: ForwardRun
    result: Result
    derivatives: tuple | None
    version: int
    bound: Mapping

    def of_mean(self, per_trial: bool) -> tuple:
        """Return the derivatives of the mean loss, or of each trial's own."""
        n = 1 if per_trial else self.batch.n_trials
        return self.derivatives if n == 1 else tuple(d / n for d in self.derivatives)
