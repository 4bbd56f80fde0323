"""What is recorded of a trial: an array with units for each variable, as in a `StateMonitor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from brian2 import Quantity


class Traces(Mapping):
    """Traces of some neurons by the name of the variable, also as attributes.

    Attributes
    ----------
    t : Quantity (T,)
        The times.
    name : str
        Name of the group.
    """

    def __init__(self, name: str, t: Quantity, traces: Mapping[str, Quantity]):
        self.name, self.t, self._traces = name, t, dict(traces)

    def __getitem__(self, variable: str) -> Quantity:
        """Return the trace of a variable, (neurons, T)."""
        if variable not in self._traces:
            raise KeyError(
                f"{variable!r} was not recorded of '{self.name}'; there is: {self._names}"
            )
        return self._traces[variable]

    def __getattr__(self, variable: str) -> Quantity:
        if variable.startswith("_") or variable not in self._traces:
            raise AttributeError(
                f"{variable!r} was not recorded of '{self.__dict__.get('name', '')}'"
            )
        return self._traces[variable]

    @property
    def _names(self) -> str:
        return ", ".join(self._traces) or "nothing"

    def __iter__(self) -> Iterator[str]:
        return iter(self._traces)

    def __len__(self) -> int:
        return len(self._traces)

    def __dir__(self):
        return [*super().__dir__(), *(name for name in self._traces if name.isidentifier())]

    def __repr__(self) -> str:
        shape = next(iter(self._traces.values())).shape if self._traces else (0, len(self.t))
        neurons = f"{shape[0]} neurons of '{self.name}'"
        return f"{type(self).__name__}({self._names} of {neurons} at {len(self.t)} times)"


class Record(Traces):
    """Traces of one trial: ``record.t``, and by name ``record.v`` or ``record["v"]``.

    Attributes
    ----------
    t : Quantity (T,)
        The times.
    name : str
        Name of the group.
    trial : int
        Which trial it is.
    loss : float or None
        The loss of the trial, where its adjoint was asked for.
    adjoint : Traces or None
        dL/d(state) of every state of the group at these times, in 1/(the state's unit), if asked
        for: ``record.adjoint.v``.  L is the loss of this trial alone.
    """

    def __init__(self, name, t, traces, trial: int, loss: float | None, adjoint: Traces | None):
        super().__init__(name, t, traces)
        self.trial, self.loss, self._adjoint = trial, loss, adjoint

    @property
    def adjoint(self) -> Traces:
        """The adjoint variables."""
        if self._adjoint is None:
            raise ValueError(
                "the adjoint was not recorded: ask for it with model.record(..., adjoint=True)"
            )
        return self._adjoint
