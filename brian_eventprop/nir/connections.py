"""What a graph of NIR is made of: neurons, and the chains of weights and delays between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.nir.package import nir_package

NEURONS = ("LIF", "CubaLIF", "LI", "CubaLI")
_PASSING = ("Linear", "Affine", "Scale", "Delay", "Input", "Output", "NIRGraph")


@dataclass(frozen=True)
class Chain:
    """One way from an input or from neurons to neurons.

    Attributes
    ----------
    name
        Of the projection: what the export noted, or the name of the `Linear`; '' if there is none.
    weight
        (target neurons, source neurons); None if each neuron of the source goes to one.
    before, after
        Delays in seconds before and after the weights, one or as many as there are neurons.
    scale
        Factor of each source neuron where there are no weights yet.
    """

    source: str
    target: str = ""
    name: str = ""
    weight: np.ndarray | None = None
    before: np.ndarray | float = 0.0
    after: np.ndarray | float = 0.0
    scale: np.ndarray | float = 1.0

    def matrix(self, size: int) -> np.ndarray:
        """Return the weights; ``size`` is the number of neurons of the target."""
        return self.weight if self.weight is not None else np.eye(size) * self.scale


@dataclass(frozen=True)
class Parts:
    """A graph without subgraphs: nodes, their successors, and what neurons and inputs there are."""

    nodes: dict
    after: dict[str, list[str]]

    def of_kind(self, *kinds: str) -> list[str]:
        """Return the names of the nodes of some kinds."""
        return [name for name, node in self.nodes.items() if _kind(node) in kinds]

    @property
    def inputs(self) -> list[str]:
        """The inputs of the whole graph."""
        inner = {name for ends in self.after.values() for name in ends}
        return [name for name in self.of_kind("Input") if name not in inner]

    @property
    def outputs(self) -> list[str]:
        """The outputs of the whole graph."""
        return [name for name in self.of_kind("Output") if not self.after[name]]


def _kind(node) -> str:
    return type(node).__name__


def unsupported(name: str, node, reason: str, way_out: str) -> UnsupportedError:
    """Return the error for one node."""
    kind = node if isinstance(node, str) else _kind(node)
    return UnsupportedError(f"NIR node '{name}': '{kind}' is not supported: {reason}. {way_out}")


def flat(graph) -> Parts:
    """Return a graph whose subgraphs are spelled out, their nodes called ``'graph.node'``.

    Raises
    ------
    UnsupportedError
        If a node is of a kind that Brian2 is not given here.
    """
    nodes, edges = {}, []
    _spell_out(graph, "", nodes, edges)
    for name, node in nodes.items():
        if _kind(node) not in (*NEURONS, *_PASSING):
            reason = "only LIF, CubaLIF, LI and CubaLI, Linear, Scale and Delay are read"
            raise unsupported(name, node, reason, "Leave it out of the graph.")
        if _kind(node) == "Affine" and np.any(np.asarray(node.bias) != 0):
            reason = "a bias is a constant current, which is read as 0 only"
            raise unsupported(name, node, reason, "Use Linear, and v_leak for what is constant.")
    after = {name: [] for name in nodes}
    for a, b in edges:
        after[a].append(b)
    return Parts(nodes, after)


def _spell_out(graph, prefix: str, nodes: dict, edges: list) -> None:
    inner = {}
    for name, node in graph.nodes.items():
        if _kind(node) == "NIRGraph":
            _spell_out(node, f"{prefix}{name}.", nodes, edges)
            inner[name] = [
                [f"{prefix}{name}.{k}" for k, part in node.nodes.items() if _kind(part) == kind]
                for kind in ("Input", "Output")
            ]
            if any(len(ends) != 1 for ends in inner[name]):
                reason = "a subgraph needs one Input and one Output"
                raise unsupported(f"{prefix}{name}", node, reason, "Spell it out.")
        else:
            nodes[prefix + name] = node
    for a, b in dict.fromkeys(graph.edges):
        start = inner[a][1][0] if a in inner else prefix + a
        edges.append((start, inner[b][0][0] if b in inner else prefix + b))


def chains(parts: Parts) -> list[Chain]:
    """Return all ways from inputs and spiking neurons to neurons.

    Raises
    ------
    UnsupportedError
        If neurons without spikes go on to others, or a way has two weights or a loop.
    """
    found = []
    for name in [*parts.inputs, *parts.of_kind(*NEURONS)]:
        ways = list(_walk(parts, Chain(name), name, ()))
        if ways and _kind(parts.nodes[name]) in ("LI", "CubaLI"):
            reason = f"its potential goes on to '{ways[0].target}', and only spikes do here"
            raise unsupported(name, parts.nodes[name], reason, "Give it a threshold.")
        found += ways
    return found


def _walk(parts: Parts, chain: Chain, at: str, seen: tuple[str, ...]) -> Iterator[Chain]:
    for name in parts.after[at]:
        node = parts.nodes[name]
        if _kind(node) in NEURONS:
            yield replace(chain, target=name)
        elif name in seen:
            raise unsupported(name, node, "it is part of a loop without neurons", "Break it.")
        else:
            yield from _walk(parts, _extended(chain, name, node), name, (*seen, name))


def _extended(chain: Chain, name: str, node) -> Chain:
    """Return a chain with one node more."""
    weighed = chain.weight is not None
    if _kind(node) in ("Linear", "Affine"):
        weight = np.asarray(node.weight, dtype=float)
        if weighed or weight.ndim != 2:
            reason = "two weights follow one another" if weighed else "its weights are no matrix"
            raise unsupported(name, node, reason, "Multiply them into one Linear.")
        label = str(node.metadata.get("synapses", name))
        return replace(chain, weight=weight * chain.scale, scale=1.0, name=label)
    if _kind(node) == "Delay":
        delay = _vector(name, node, node.delay)
        place = "after" if weighed else "before"
        return replace(chain, **{place: getattr(chain, place) + delay})
    if _kind(node) == "Scale":
        scale = _vector(name, node, node.scale)
        if weighed:
            return replace(chain, weight=chain.weight * np.reshape(scale, (-1, 1)))
        return replace(chain, scale=chain.scale * scale)
    return chain


def _vector(name: str, node, values) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim > 1:  # one trial, as some simulators have it
        values = np.squeeze(values)
    if values.ndim > 1:
        raise unsupported(name, node, "its numbers are no vector", "Flatten them.")
    return values


def size_of(parts: Parts, name: str, found: list[Chain]) -> int:
    """Return how many neurons a node has, which a simulator may leave to the weights around it.

    Parameters
    ----------
    parts, name
        The graph and its node.
    found
        All chains of the graph.

    Raises
    ------
    UnsupportedError
        If the neurons are no vector, or nothing tells their number.
    """
    node, sizes = parts.nodes[name], set()
    if _kind(node) == "Input":
        shape = np.atleast_1d(next(iter(node.input_type.values())))
        sizes = {int(shape[0])} if len(shape) == 1 else set()
    else:
        sizes = {_vector(name, node, node.r).size}
    for chain in found:
        if chain.weight is not None and name in (chain.source, chain.target):
            sizes |= {
                chain.weight.shape[k] for k in (0, 1) if name == (chain.target, chain.source)[k]
            }
        elif chain.target == name and _kind(parts.nodes[chain.source]) == "Input":
            sizes.add(size_of(parts, chain.source, found))
    sizes -= {1} if len(sizes) > 1 else set()
    if len(sizes) != 1:
        reason = f"it has {' or '.join(map(str, sorted(sizes))) or 'no known number of'} neurons"
        raise unsupported(name, node, reason, "Let all sizes agree, of vectors and matrices.")
    return sizes.pop()


def loaded(source):
    """Return a graph: one that is given, or that of a file."""
    nir = nir_package()
    return source if isinstance(source, nir.NIRGraph) else nir.read(source)
