"""Where a trial begins: at time 0 with the states that the objects hold, and nothing on its way.

Brian2 would go on where the last run ended.  That is the same only if nothing depends on the time
and no spike is still on its way, so everything else is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from brian2 import get_logger

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import brian
from brian_eventprop.reading.inputs import holds_spikes
from brian_eventprop.reading.spec import NetworkSpec
from brian_eventprop.reading.unsupported import networks_in

logger = get_logger(__name__)

_WAY_OUT = (
    "Make the model before the run, or call store() before the run and restore() after it; the "
    "states may then be set to where trials should begin."
)


def check_start(network, active: Iterable, spec: NetworkSpec) -> None:
    """Refuse a network that was run before, unless Brian2 would go on as a trial begins.

    Where it would, a warning says that trials begin with the states at the end of that run.
    """
    active = list(active)
    time = time_reached(network, active)
    for obj in active:
        for pathway in getattr(obj, "_pathways", ()):
            if obj._network is not None and pathway.active and _in_flight(pathway):
                reason = f"spikes are still on their way in the pathway '{pathway.name}'"
                raise _unsupported(time, reason)
    if not time > 0:
        return
    for obj in active:
        if holds_spikes(obj):
            raise _unsupported(time, f"the spike times of '{obj.name}' count from time 0")
    if name := _depends_on_time(spec):
        raise _unsupported(time, f"the code of '{name}' depends on the time")
    states = ", ".join(f"{s} of '{g.name}'" for g in spec.groups for s in g.states)
    if states:
        logger.warn(
            f"The network was run before, until {1e3 * time:g} ms: the trials of this model begin "
            f"with the states at the end of that run ({states}). To begin elsewhere, set them or "
            "call restore() before the model is made.",
            "run_before",
        )


def time_reached(network, active: Iterable) -> float:
    """Return the time in seconds at which Brian2 would go on with some objects."""
    nets = {net.id: net for net in (ref() for ref in brian.Network.__instances__()) if net}
    times = [float(net.t_) for net in networks_in(network)]
    for obj in active:
        if obj._network in nets:
            times.append(float(nets[obj._network].t_))
        elif obj._network is not None:  # of a network that is gone, only the clock is left
            times.append(float(obj.clock.variables["t"].get_value().item()))
    return max(times, default=0.0)


def _in_flight(pathway) -> bool:
    _, waiting = pathway.queue._full_state()
    return any(len(synapses) for synapses in waiting)


def _depends_on_time(spec: NetworkSpec) -> str | None:
    """Return the name of a group or pathway that reads the time or a timed array."""
    for part in (*spec.groups, *spec.pathways, *spec.couplings):
        if any(symbol.kind in ("t", "timed") for symbol in part.symbols.values()):
            return part.name
    return None


def _unsupported(time: float, reason: str) -> UnsupportedError:
    return UnsupportedError(
        f"The network was run before, until {1e3 * time:g} ms, and {reason}, but the trials of a "
        f"model begin at time 0 with nothing on its way. {_WAY_OUT}"
    )
