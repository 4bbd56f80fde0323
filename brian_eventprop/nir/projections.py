"""What the synapses of a pathway are in NIR: weight matrices, and delays before or after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.reverse import compose
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.nir.neurons import Neurons
from brian_eventprop.nir.numbers import NoNumber, Numbers
from brian_eventprop.reading.spec import Key, NetworkValues, Pathway
from brian_eventprop.reading.unsupported import unsupported


@dataclass(frozen=True)
class Synaptic:
    """The synapses of one pathway as numbers, SI units: one jump and one delay for each."""

    name: str
    source: str
    target: str
    pre: np.ndarray
    post: np.ndarray
    jumps: np.ndarray
    delays: np.ndarray


@dataclass(frozen=True)
class Branch:
    """One chain of `Delay`, `Linear` and `Delay`; a delay that is None is none.

    ``weight`` is (target neurons, source neurons), ``before`` has a delay for each source neuron,
    ``after`` one for each target neuron, in seconds.
    """

    weight: np.ndarray
    before: np.ndarray | None = None
    after: np.ndarray | None = None


def read_synapses(
    pathway: Pathway,
    obj,
    target: Neurons,
    values: Mapping[Key, np.ndarray],
    network: NetworkValues,
    dt: float | None,
) -> Synaptic:
    """Return the synapses of a pathway as numbers.

    Parameters
    ----------
    pathway
        As it was read.
    obj
        The `Synapses` object, for messages.
    target
        The neurons that receive.
    values
        Of all keys, SI units.
    network
        Where the synapses end.
    dt
        The time step to whole numbers of which delays are rounded, as Brian2 does; None if they
        are exact.

    Raises
    ------
    UnsupportedError
        If a spike does more than to add a constant to the state that NIR's neurons receive.
    """
    received = _check_pathway(pathway, obj, target)
    pre, post = network.senders(pathway), network.receivers(pathway)
    after = compose(pathway.statements, [received])[received]
    added = (after - symbol(received)).expand()
    numbers = Numbers(pathway.symbols, values, pathway.size, {"pre": pre, "post": post})
    try:
        jumps = numbers(added)
    except (NoNumber, UnsupportedError) as error:
        way_out = f"NIR's synapses add a constant weight: '{target.receives}_post += w'."
        reason = f"what it adds is no constant: {error}".rstrip(".")
        raise unsupported(obj, pathway.text, reason, way_out) from None
    delays = np.asarray(values[pathway.delay], dtype=float)
    delays = delays[pre] if pathway.axonal else np.broadcast_to(delays, pathway.size)
    if dt is not None:
        delays = (delays / dt + 0.5).astype(np.int64) * dt
    return Synaptic(pathway.name, pathway.source, pathway.target, pre, post, jumps, delays)


def _check_pathway(pathway: Pathway, obj, target: Neurons) -> str:
    """Return the name of the state that spikes add to.

    Plasticity is refused, and what is no state that NIR's neurons receive.
    """
    way_out = f"NIR's synapses add a constant weight: '{target.receives}_post += w'."
    if pathway.sender != "pre":
        reason = "NIR's synapses do nothing when the post-synaptic neuron spikes"
        raise unsupported(obj, pathway.text, reason, "Leave on_post out.")
    targets = dict.fromkeys(s.target for s in pathway.statements if s.target in pathway.symbols)
    if pathway.receiver != "post" or pathway.others or len(targets) != 1:
        raise unsupported(obj, pathway.text, "it does more than to add a weight", way_out)
    (received,) = targets
    written = pathway.symbols[received]
    if written.side == "post" and written.variable == target.receives:
        return received
    what = "synaptic current" if target.current else "potential"
    reason = f"spikes must add to '{target.receives}', the {what} of '{target.name}'"
    raise unsupported(obj, pathway.text, reason, way_out)


def branches(
    synaptic: Synaptic,
    obj,
    sizes: tuple[int, int],
    factor: np.ndarray,
    per_step: bool,
    step: float | None,
) -> list[Branch]:
    """Return the chains of nodes that the synapses of a pathway are.

    Delays that differ between source neurons only, or between target neurons only, are one `Delay`;
    others are one `Delay` and one `Linear` per distinct delay.

    Parameters
    ----------
    synaptic, obj
        The synapses, and their Brian2 object for messages.
    sizes
        Numbers of neurons of source and target.
    factor
        What a jump of 1 is as a weight, for each target neuron.
    per_step
        Whether delays may differ from synapse to synapse.
    step
        If delays are exact: the step of which they must be whole numbers to be one node each.

    Raises
    ------
    UnsupportedError
        If synapses have delays of their own and that is not wanted, or they are on no time grid.
    """
    every = np.ones(len(synaptic.pre), bool)
    for ends, size, place in (
        (synaptic.pre, sizes[0], "before"),
        (synaptic.post, sizes[1], "after"),
    ):
        delays = _one_each(synaptic.delays, ends, size)
        if delays is not None:
            weight = _matrix(synaptic, every, sizes, factor)
            return [Branch(weight, **({place: delays} if np.any(delays > 0) else {}))]
    distinct = np.unique(synaptic.delays)
    statement = f"{obj.name}.delay ({len(distinct)} values)"
    if not per_step:
        reason = "each synapse has a delay of its own, and delays='refuse' was asked for"
        way_out = "Use delays='per_step', or train one delay per axon: bep.Axonal(s.delay)."
        raise unsupported(obj, statement, reason, way_out)
    if step is not None and not np.allclose(distinct / step, np.rint(distinct / step), atol=1e-6):
        reason = (
            "each synapse has a delay of its own, and with solver='event' these are no whole "
            f"numbers of dt={step:g} s"
        )
        way_out = "Bring them onto that grid first: bep.quantize(model, dt=dt)."
        raise unsupported(obj, statement, reason, way_out)
    return [_of_delay(synaptic, delay, sizes, factor) for delay in distinct]


def _of_delay(synaptic: Synaptic, delay: float, sizes, factor: np.ndarray) -> Branch:
    weight = _matrix(synaptic, synaptic.delays == delay, sizes, factor)
    return Branch(weight, np.full(sizes[0], delay) if delay > 0 else None)


def _one_each(delays: np.ndarray, ends: np.ndarray, size: int) -> np.ndarray | None:
    """Return the delay of each neuron at one end; None if its synapses have different ones."""
    found = np.full(size, delays.min(initial=np.inf) if len(delays) else 0.0)
    found[ends] = delays
    return found if np.array_equal(found[ends], delays) else None


def _matrix(synaptic: Synaptic, which: np.ndarray, sizes, factor: np.ndarray) -> np.ndarray:
    """Return the weights of some synapses; several between the same neurons add up."""
    weight = np.zeros(sizes[::-1])
    pre, post = synaptic.pre[which], synaptic.post[which]
    np.add.at(weight, (post, pre), synaptic.jumps[which] * factor[post])
    return weight
