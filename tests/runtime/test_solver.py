"""Every solver has what a model asks of one, with the same parameters."""

import inspect

import pytest

from brian_eventprop.runtime.clock.solver import ClockCPU
from brian_eventprop.runtime.cuda.solver import ClockCUDA
from brian_eventprop.runtime.event.solver import EventCPU
from brian_eventprop.runtime.solver import Solver

METHODS = [name for name, value in vars(Solver).items() if name[0] != "_" and callable(value)]


@pytest.mark.parametrize("kind", [ClockCPU, ClockCUDA, EventCPU])
def test_solvers_have_the_methods_of_the_protocol(kind):
    assert {"forward", "backward", "prepare", "hold", "prefetch", "reconnect"} <= set(METHODS)
    assert isinstance(inspect.getattr_static(kind, "source"), property)
    for name in METHODS:
        wanted = list(inspect.signature(getattr(Solver, name)).parameters)
        found = inspect.signature(getattr(kind, name)).parameters
        if any(p.kind is p.VAR_POSITIONAL for p in found.values()):
            continue  # takes whatever comes
        assert list(found) == wanted
