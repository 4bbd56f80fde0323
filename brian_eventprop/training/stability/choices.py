"""The gradient of a step with what a user has chosen against grazing spikes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from brian_eventprop.training.callbacks import Callback
from brian_eventprop.training.stability.clip_trials import ClipTrials
from brian_eventprop.training.stability.slope_floor import SlopeFloor


class Grazing:
    """What a `Trainer` does about grazing spikes: at most one floor, one clip of trials.

    Parameters
    ----------
    floor : SlopeFloor, optional
        Clips by slope.
    trials : ClipTrials, optional
        Clips by trial.
    """

    def __init__(self, floor: SlopeFloor | None = None, trials: ClipTrials | None = None):
        self.floor, self.trials = floor, trials

    def __repr__(self) -> str:
        return repr(self.hooks)

    @property
    def hooks(self) -> list[Callback]:
        """What is called as callbacks are."""
        return [choice for choice in (self.floor, self.trials) if choice is not None]

    def bind(self, model) -> None:
        """Check the choices against a model."""
        if self.floor is not None:
            self.floor.bind(model)

    def gradients(self, model) -> Mapping:
        """Return the gradients of the last run by key, clipped as was chosen."""
        if self.floor is None:
            return self._of_trials(model, {})
        if self.floor.waiting:
            self.floor.see(model.gradient_arrays().slopes)
        floors = self.floor.floors()
        found = self._of_trials(model, floors)
        self.floor.count(found.slopes, floors)
        self.floor.see(found.slopes)
        return found

    def _of_trials(self, model, floors: Mapping):
        if self.trials is None:
            return model.gradient_arrays(floors)
        found = model.trial_gradient_arrays(floors)
        return found.replaced(self.trials.mean(found))


def checked_choices(grazing, model, communicator) -> Grazing | None:
    """Return what may be one choice, several or None, checked.

    Raises
    ------
    TypeError
        If something is no choice.
    ValueError
        If there are two of a kind, or several processes.
    """
    if grazing is None:
        return None
    many = isinstance(grazing, Iterable) and not isinstance(grazing, str)
    given = list(grazing) if many else [grazing]
    floors = [choice for choice in given if isinstance(choice, SlopeFloor)]
    trials = [choice for choice in given if isinstance(choice, ClipTrials)]
    for choice in given:
        if not isinstance(choice, SlopeFloor | ClipTrials):
            raise TypeError(
                "grazing must be such as SlopeFloor(0.1) or ClipTrials(30), not "
                f"{repr(choice)[:60]}; norms of a whole batch are clipped by the optimiser, "
                "Adam({...}, clip=ClipNorm(1.0))"
            )
    for several in (floors, trials):
        if len(several) > 1:
            raise ValueError(f"grazing has two of {type(several[0]).__name__}: give one")
    if communicator is not None:
        raise ValueError(
            "grazing=[...] and communicator=... do not go together: what is clipped would depend "
            "on the number of processes; leave one out"
        )
    if not given:
        return None
    chosen = Grazing(floors[0] if floors else None, trials[0] if trials else None)
    chosen.bind(model)
    return chosen
