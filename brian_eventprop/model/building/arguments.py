"""What a model is made of, checked before the network is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from brian2 import Network, NeuronGroup, TimedArray, collect, get_device
from brian2.core.variables import VariableView

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.expressions import Expression
from brian_eventprop.losses.base import Loss
from brian_eventprop.model.brian_messages import note_as_read
from brian_eventprop.model.building.mentions import mention_left_out
from brian_eventprop.reading import Axonal, network_objects
from brian_eventprop.readouts import Readout


def check_device() -> None:
    name = type(get_device()).__name__
    if name != "RuntimeDevice":
        raise UnsupportedError(
            f"The active Brian2 device is {name}; networks can be read on the runtime device only. "
            "Call set_device('runtime')."
        )


def objects_of(network, level: int) -> tuple:
    """Return the network, by default what is visible `level` calls up, and all of its objects."""
    given = network is not None
    if not given:
        network = collect(level=level + 1)
    elif isinstance(network, Iterator):
        network = list(network)
    everything = network_objects(network)
    note_as_read(everything)
    if given and not isinstance(network, Network):
        mention_left_out(everything, collect(level=level + 1))
    return network, everything


def readouts_of(loss, readouts) -> tuple:
    if loss is None and not readouts:
        raise ValueError(
            "a model needs a loss=..., or readouts=[...] such as [Final(group, 'v')] to "
            "differentiate"
        )
    if isinstance(loss, Loss):
        if readouts is not None:
            raise ValueError("readouts=[...] goes with a callable loss; this loss has its own")
        return tuple(loss.readouts)
    if loss is not None and (isinstance(loss, type) or not isinstance(loss, Callable)):
        given = f"the class {loss.__name__}" if isinstance(loss, type) else repr(loss)
        raise TypeError(
            f"the loss must be a Loss such as Sum(Final(group, 'v')), or a callable, not {given}"
        )
    if not readouts:
        raise ValueError("a callable loss needs readouts=[...]: what it sees of the network")
    readouts = (readouts,) if isinstance(readouts, Readout) else tuple(readouts)
    for readout in readouts:
        if not isinstance(readout, Readout):
            raise TypeError(f"readouts must be such as Final(group, 'v'), not {readout!r}")
    return readouts


def items(given, what: str, example: str) -> list:
    """Return what may be one item or several as a list."""
    one = str | tuple | VariableView | Axonal | TimedArray | Expression
    if isinstance(given, one) and (
        not isinstance(given, tuple) or (given and all(isinstance(part, str) for part in given))
    ):
        return [given]
    if not isinstance(given, Iterable):
        raise TypeError(f"{what} must be a list such as [{example}], not {given!r}")
    return list(given)


def of_equations(objects, namespace: Mapping) -> dict:
    """Return what the equations of neurons name of a namespace."""
    groups = [obj for obj in objects if isinstance(obj, NeuronGroup)]
    used = {name for group in groups for name in group.equations.identifiers}
    return {name: namespace[name] for name in used if name in namespace}
