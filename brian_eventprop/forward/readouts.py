"""Values and tangents of the readouts of one trial."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.forward.code import compiled
from brian_eventprop.forward.duals import Dual, dual
from brian_eventprop.forward.layout import INTEGRAL
from brian_eventprop.forward.network import Network
from brian_eventprop.reading.spec import NetworkSpec, ReadoutSpec

#: The kinds that forward mode has.
KINDS = (
    "integral", "final", "value", "maximum", "spike_times", "spike_count", "final_synapses",
)  # fmt: skip


def check_readouts(spec: NetworkSpec) -> None:
    """Refuse readouts that have no tangent, or none here."""
    for readout in spec.readouts:
        if readout.scale is not None:
            raise UnsupportedError(
                f"SpikeCount of '{readout.group}' with a scale has a surrogate gradient, which is "
                "the derivative of nothing, so forward mode has no tangent of it. Leave the scale "
                "out, or use model.gradient()."
            )
        if readout.kind not in KINDS:
            raise UnsupportedError(
                f"forward mode does not have the readout '{readout.kind}' of "
                f"'{readout.expression}' of '{readout.group}'. Use model.gradient()."
            )


def sample_times(readout: ReadoutSpec, end: float) -> np.ndarray:
    """Return the times at which a readout is taken, in seconds."""
    if readout.kind != "value":
        return np.array([end])
    return np.minimum(np.atleast_1d(np.array(readout.at, float)), end)


def state_readout(network: Network, number: int, samples: Mapping[float, np.ndarray], end: float):
    """Return a readout of states, (neurons,) or (neurons, times)."""
    readout = network.spec.readouts[number]
    part = slice(readout.start, readout.stop)
    if readout.kind == "final_synapses":
        return _of_synapses(network, readout, samples[end])[part]
    if readout.kind == "integral":
        rows = samples[end][:, network.layout.slots[INTEGRAL, str(number)]]
        return Dual(*rows)[part]
    code, found = compiled(readout.expression), []
    for time in sample_times(readout, end):
        names = network.readout_names(number, samples[time], Dual(float(time)))
        found.append(full(code(names), network.groups[readout.group].group.size)[part])
    if not isinstance(readout.at, tuple):
        return found[0]
    return Dual(np.stack([f.v for f in found], 1), np.stack([f.d for f in found], 1))


def _of_synapses(network: Network, readout: ReadoutSpec, y: np.ndarray) -> Dual:
    """Return an expression of the variables of synapses at the end."""
    names, constants = {}, network.constants
    for name, symbol in readout.symbols.items():
        if symbol.kind == "state":
            names[name] = Dual(*y[:, network.layout.slots[readout.group, symbol.variable]])
        elif symbol.kind == "number":
            names[name] = Dual(float(symbol.value))
        else:
            value = constants.values[symbol.key]
            names[name] = value[0] if symbol.kind == "shared" else value
    return full(compiled(readout.expression)(names), readout.stop)


def spike_readout(network: Network, number: int, given, most: int) -> Dual:
    """Return a readout of the spikes of a group, (neurons,) or (neurons, spikes)."""
    readout = network.spec.readouts[number]
    size = network.groups[readout.group].group.size
    single = readout.which in ("first", "each")
    shape = (size, most) if readout.which == "each" else (size,)
    values, tangents = np.full(shape, np.inf if single else 0.0), np.zeros(shape)
    code, seen = compiled(readout.expression or "1"), np.zeros(size, int)
    constants = network.of_readout[number]
    for time, neuron, move in zip(given.times, given.neurons, given.moves, strict=True):
        rank, at = seen[neuron], (neuron,)
        seen[neuron] += 1
        if readout.kind == "spike_count":
            values[at] += 1.0
            continue
        if readout.which == "first" and rank:
            continue
        found = full(code(constants | {"t": Dual(float(time), float(move))}), size)[neuron]
        at = (neuron, rank) if readout.which == "each" else at
        values[at] = found.v if single else values[at] + found.v
        tangents[at] += found.d
    part = slice(readout.start, readout.stop)
    return Dual(values[part], tangents[part])


def full(value, size: int) -> Dual:
    """Return a value for each of so many neurons."""
    value = dual(value)
    return Dual(
        np.array(np.broadcast_to(value.v, size), float),
        np.array(np.broadcast_to(value.d, size), float),
    )
