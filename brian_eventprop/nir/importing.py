"""A graph of NIR as Brian2 objects."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from brian2 import NeuronGroup, Quantity, SpikeGeneratorGroup, Synapses, get_dimensions, second
from brian2.units.fundamentalunits import DIMENSIONLESS, get_or_create_dimension, get_unit

from brian_eventprop._units import to_seconds
from brian_eventprop.nir.connections import (
    NEURONS,
    Chain,
    Parts,
    chains,
    flat,
    loaded,
    size_of,
    unsupported,
)


@dataclass(frozen=True)
class Imported:
    """Brian2 objects made of a graph of NIR; ``imported[name]`` finds one by the name of its node.

    Attributes
    ----------
    inputs : dict of `SpikeGeneratorGroup`
        Without spikes; give a model `SpikeData`.
    groups : dict of `NeuronGroup`
        Neurons.
    synapses : dict of `Synapses`
        Weights ``w`` in the unit of the potential, and delays.
    outputs : list of `NeuronGroup`
        Groups that the graph has as outputs.
    """

    inputs: dict
    groups: dict
    synapses: dict
    outputs: list

    @property
    def objects(self) -> list:
        """All objects, for `EventPropModel` or `Network`."""
        return [*self.inputs.values(), *self.groups.values(), *self.synapses.values()]

    def __getitem__(self, name: str):
        everything = {**self.inputs, **self.groups, **self.synapses}
        if name not in everything:
            raise KeyError(f"'{name}' is none of {', '.join(everything)}")
        return everything[name]


def read(source, *, dt=None, unit=None, method: str | None = None, zeros: bool = False) -> Imported:
    """Return the Brian2 objects of a graph of NIR, ready for `EventPropModel`.

    Neurons have the potential ``v`` and, if they are `CubaLIF` or `CubaLI`, the current ``I`` in
    the same unit; ``tau``, ``tau_syn``, ``v_leak``, ``v_threshold`` and ``v_reset`` are parameters
    of the group.  ``r`` and ``w_in`` are part of the weights.

    Parameters
    ----------
    source : `nir.NIRGraph` or path-like
        The graph, or a file of it.
    dt : Quantity, optional
        For how long a spike is an input of 1 where the graph comes from: the time step of that
        simulator (snnTorch writes graphs for 0.1 ms), or 1*second if spikes are impulses of area 1.
        A graph by `export` knows it.  Brian2's own time step is another matter.
    unit : Unit, optional
        The unit of potentials, by default that which `export` noted, or none.
    method : str, optional
        Brian2's integration method, by default that which `export` noted, or 'exact'.
    zeros : bool
        Whether weights of 0 are synapses, too, which can be trained.

    Returns
    -------
    Imported

    Raises
    ------
    ImportError
        If the package `nir` is not installed.
    UnsupportedError
        If the graph has nodes that are not read; the message names the node.
    ValueError
        If the graph does not know `dt` and it is not given.

    Examples
    --------
    >>> import nir
    >>> import numpy as np
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> one = np.ones(2)
    >>> graph = nir.NIRGraph.from_list(
    ...     nir.Linear(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])),
    ...     nir.LIF(tau=0.02*one, r=200*one, v_leak=0*one, v_threshold=5*one))
    >>> network = bep.nir.read(graph, dt=0.1*ms)
    >>> network["linear"].w[1, :]
    array([2., 5.])
    >>> model = bep.EventPropModel(network.objects, train=[network["linear"].w], duration=20*ms,
    ...                            loss=bep.Sum(bep.SpikeTimes(network["lif"])))
    """
    graph = loaded(source)
    parts = flat(graph)
    found = chains(parts)
    dt, names = _duration_of_spikes(graph, dt), _names(parts)
    sizes = {name: size_of(parts, name, found) for name in names}
    inputs = {name: _input(sizes[name], names[name]) for name in parts.inputs}
    groups, scales = {}, {}
    for name in parts.of_kind(*NEURONS):
        node = parts.nodes[name]
        scales[name] = _scale(node, unit)
        groups[name] = _group(node, sizes[name], names[name], scales[name], method)
    ends, synapses = {**inputs, **groups}, {}
    for label, own in _projections(found, names).items():
        jump = _jump(parts.nodes[own[0].target], dt) * scales[own[0].target].factor
        made = _synapses(label, own, ends, jump, zeros)
        synapses |= {} if made is None else {label: made}
    outputs = [groups[name] for name in groups if _is_output(parts, name)]
    by_name = ({names[n]: obj for n, obj in part.items()} for part in (inputs, groups))
    return Imported(*by_name, synapses, outputs)


def _duration_of_spikes(graph, dt) -> float:
    """Return for how many seconds a spike is an input of 1."""
    if dt is None:
        dt = (graph.metadata or {}).get("dt")
        if dt is None:
            raise ValueError(
                "the graph does not say for how long a spike is an input of 1: give the time step "
                "of the simulator it comes from, as dt=0.1*ms, or dt=1*second if spikes are "
                "impulses of area 1"
            )
        return float(dt)
    return to_seconds(dt, "dt")


def _names(parts: Parts) -> dict[str, str]:
    """Return short names of inputs and neurons: the last part, if no other node has it."""
    nodes = [*parts.inputs, *parts.of_kind(*NEURONS)]
    short = [name.rpartition(".")[2] for name in nodes]
    return {n: s if short.count(s) == 1 else n for n, s in zip(nodes, short, strict=True)}


def _identifier(name: str) -> str:
    """Return a name that Brian2 accepts, and that is free."""
    return re.sub(r"\W", "_", name if name[:1].isalpha() else f"node_{name}") + "*"


def _is_output(parts: Parts, name: str) -> bool:
    """Whether a node goes to an output of the whole graph."""
    waiting, seen = list(parts.after[name]), set()
    while waiting:
        at = waiting.pop()
        kind = type(parts.nodes[at]).__name__
        if at in seen or kind in NEURONS:
            continue
        if kind == "Output" and not parts.after[at]:
            return True
        seen.add(at)
        waiting += parts.after[at]
    return False


def _input(size: int, name: str) -> SpikeGeneratorGroup:
    return SpikeGeneratorGroup(size, [], [] * second, name=_identifier(name))


# ---- neurons ----
@dataclass(frozen=True)
class _Scale:
    """What a potential of 1 in the graph is in Brian2: a factor, and Brian2's dimensions."""

    factor: float
    dimensions: object

    @property
    def text(self) -> str:
        """The unit in Brian2's equations."""
        return "1" if self.dimensions.is_dimensionless else repr(get_unit(self.dimensions))

    def __call__(self, values) -> Quantity:
        return Quantity(np.asarray(values, float) * self.factor, dim=self.dimensions)


_SECONDS = _Scale(1.0, second.dim)


def _scale(node, unit) -> _Scale:
    if unit is not None:
        return _Scale(float(unit), get_dimensions(unit))
    noted = node.metadata.get("dimensions")
    known = DIMENSIONLESS if noted is None else get_or_create_dimension([float(x) for x in noted])
    return _Scale(1.0, known)


def _group(node, size: int, name: str, scale: _Scale, method: str | None) -> NeuronGroup:
    cuba, spiking = (test(type(node).__name__) for test in (_is_cuba, _is_spiking))
    lines = [f"dv/dt = (v_leak - v{' + I' if cuba else ''})/tau : {scale.text}"]
    lines += [f"dI/dt = -I/tau_syn : {scale.text}"] if cuba else []
    values = {}
    for key, own, given in _parameters(node, cuba, spiking, scale):
        array = np.broadcast_to(np.ravel(given), size)
        same = np.all(array == array[0])
        lines.append(f"{key} : {own.text} ({'shared, ' if same else ''}constant)")
        values[key] = own(array[0] if same else array)
    event = {"threshold": "v > v_threshold", "reset": "v = v_reset"} if spiking else {}
    method = method or str(node.metadata.get("method", "exact"))
    group = NeuronGroup(size, "\n".join(lines), method=method, name=_identifier(name), **event)
    values["v"] = scale(node.metadata.get("v_start", 0.0))
    if cuba:
        values["I"] = scale(np.asarray(node.metadata.get("i_start", 0.0)) * np.ravel(node.r))
    for key, array in values.items():
        setattr(group, key, array)
    return group


def _parameters(node, cuba: bool, spiking: bool, scale: _Scale):
    """Return the name, scale and values of each parameter of a group."""
    rows = [("tau", _SECONDS, node.tau_mem if cuba else node.tau), ("v_leak", scale, node.v_leak)]
    rows += [("tau_syn", _SECONDS, node.tau_syn)] if cuba else []
    names = ("v_threshold", "v_reset") if spiking else ()
    return rows + [(name, scale, getattr(node, name)) for name in names]


def _is_cuba(kind: str) -> bool:
    return kind.startswith("Cuba")


def _is_spiking(kind: str) -> bool:
    return kind.endswith("LIF")


# ---- synapses ----
def _projections(found: list[Chain], names: dict[str, str]) -> dict[str, list[Chain]]:
    """Return the chains that are one `Synapses` object each, by name."""
    together: dict[tuple, list[Chain]] = {}
    for chain in found:
        together.setdefault((chain.source, chain.target, chain.name), []).append(chain)
    labels: dict[str, list[Chain]] = {}
    for (source, target, label), own in together.items():
        label = label.rpartition(".")[2] or f"{names[source]}_to_{names[target]}"
        while label in labels or label in names.values():
            label += "_"
        labels[label] = own
    return labels


def _synapses(label: str, own: list[Chain], ends, jump, zeros: bool) -> Synapses | None:
    """Return the synapses of some chains; None if there is none."""
    source, target = ends[own[0].source], ends[own[0].target]
    found = [_of_chain(chain, own[0], len(source), len(target), zeros) for chain in own]
    post, pre, weights, delays = (np.concatenate(rows) for rows in zip(*found, strict=True))
    if not len(pre):
        return None
    receiving = "I" if "I" in target.variables else "v"
    text = _Scale(1.0, target.v.dim).text
    synapses = Synapses(
        source, target, f"w : {text}", on_pre=f"{receiving}_post += w", name=_identifier(label)
    )
    synapses.connect(i=pre, j=post)
    synapses.w = Quantity(weights * np.broadcast_to(jump, len(target))[post], dim=target.v.dim)
    if np.any(delays > 0):
        synapses.delay = delays * second
    return synapses


def _jump(node, dt: float) -> np.ndarray:
    """Return how far a spike of weight 1 moves v, or I in units of v."""
    if _is_cuba(type(node).__name__):
        return np.ravel(node.r * node.w_in * dt / node.tau_syn)
    return np.ravel(node.r * dt / node.tau)


def _of_chain(chain: Chain, first: Chain, n_source: int, n_target: int, zeros: bool):
    """Return target, source, weight and delay of each synapse of a chain."""
    weight = chain.matrix(n_target)
    if weight.shape != (n_target, n_source):
        reason = f"it is of the shape {weight.shape}, not {(n_target, n_source)}"
        name = chain.name or chain.target
        raise unsupported(name, "Linear", reason, "Let all sizes agree.")
    every = zeros and chain is first and chain.weight is not None
    post, pre = np.nonzero(np.ones_like(weight) if every else weight)
    before = np.broadcast_to(chain.before, n_source)[pre]
    return post, pre, weight[post, pre], before + np.broadcast_to(chain.after, n_target)[post]
