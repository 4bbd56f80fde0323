"""A model as a graph of NIR."""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

import numpy as np
from brian2 import get_logger

from brian_eventprop._checks import positive_number
from brian_eventprop._units import to_seconds, unit_name
from brian_eventprop.nir.neurons import Neurons, recognise
from brian_eventprop.nir.package import nir_package
from brian_eventprop.nir.projections import Branch, branches, read_synapses
from brian_eventprop.reading.brian import Synapses
from brian_eventprop.reading.refused.refusals import Refusals
from brian_eventprop.reading.unsupported import unsupported

logger = get_logger(__name__)

_DELAYS = ("per_step", "refuse")


def export(model, *, dt=None, r: float | None = None, delays: str = "per_step"):
    """Return a model as a graph of NIR, with the values that it has now.

    Groups are recognised by their equations: `LIF` and `CubaLIF` with a threshold, `LI` and
    `CubaLI` without one.  Groups with synapses to themselves are a subgraph with the neurons and
    their recurrent connections.  What NIR cannot say is refused, or noted in
    ``graph.metadata['notes']``.

    Parameters
    ----------
    model : `EventPropModel`
        The model.
    dt : Quantity, optional
        Time step of the simulator or chip that the graph is for, by default the model's.  NIR's
        equations hold for any step, but a simulator adds a spike as an input of 1 that lasts for
        one step; so that it moves a potential as far as in Brian2, ``r = tau/dt`` and
        ``w_in = tau_syn/dt``.  ``dt=1*second`` is for those that take a spike as an impulse of
        area 1.
    r : float, optional
        Resistance of all neurons, by default ``tau/dt``; weights are scaled accordingly.  ``r=1``
        is for simulators that ignore the resistance of a `LIF`, as Norse does.
    delays : {'per_step', 'refuse'}
        What becomes of delays that differ from synapse to synapse: one `Delay` and one `Linear`
        per distinct delay, or an error.  Delays that differ between source neurons only, or
        between target neurons only, are one `Delay` in any case.

    Returns
    -------
    `nir.NIRGraph`
        Inputs, neurons and weights are called after Brian2's objects; times are in seconds and
        potentials in SI units.  ``nir.write(path, graph)`` writes it to a file.

    Raises
    ------
    ImportError
        If the package `nir` is not installed.
    UnsupportedError
        If the network has what NIR does not know: everything that is refused, with the reason.

    Examples
    --------
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> start_scope()
    >>> source = SpikeGeneratorGroup(2, [0, 1], [1, 2]*ms, name="source")
    >>> hidden = NeuronGroup(3, "dU/dt = (E - U)/tau : volt", threshold="U > -50*mV",
    ...                      reset="U = E", method="exact", name="hidden")
    >>> s = Synapses(source, hidden, "w : volt", on_pre="U_post += w", name="s")
    >>> s.connect()
    >>> hidden.U, s.w, E, tau = -70*mV, 25*mV, -70*mV, 20*ms
    >>> model = bep.EventPropModel([source, hidden, s], train=[s.w], duration=10*ms,
    ...                            readouts=[bep.SpikeTimes(hidden)])
    >>> graph = bep.nir.export(model)
    >>> sorted(graph.nodes), type(graph.nodes["hidden"]).__name__
    (['hidden', 'output', 's', 'source'], 'LIF')
    >>> graph.nodes["hidden"].v_threshold
    array([-0.05, -0.05, -0.05])
    """
    nir = nir_package()
    if delays not in _DELAYS:
        raise ValueError(f"delays must be 'per_step' or 'refuse', not {delays!r}")
    dt = model.spec.dt if dt is None else to_seconds(dt, "dt")
    if not 0 < dt < np.inf:
        raise ValueError(f"dt must be a time above 0, not {dt!r} s")
    r = None if r is None else positive_number(r, "r")
    export = _Export(nir, model, dt, r, delays == "per_step")
    graph = export.graph()
    for note in export.warnings:
        logger.warn(note, "nir", once=True)
    return graph


@dataclass
class _Export:
    """The nodes, edges and notes of one export."""

    nir: object
    model: object
    dt: float
    r: float | None
    per_step: bool
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    warnings: list = field(default_factory=list)

    def __post_init__(self):
        self.spec, self.values = self.model.spec, self.model.values()
        self.objects = {obj.name: obj for obj in self.model.objects}
        self.sizes = {part.name: part.size for part in (*self.spec.groups, *self.spec.inputs)}

    def graph(self):
        _check_network(self.spec, self.objects)
        neurons = self._neurons()
        projections = self._projections(neurons)
        self._check_ends(neurons, projections)
        nir, recurrent = self.nir, {p.target for p, _ in projections if p.source == p.target}
        for source in self.spec.inputs:
            if any(p.source == source.name for p, _ in projections):
                self.nodes[source.name] = nir.Input({"input": np.array([source.size])})
            else:
                self.notes.append(f"The input '{source.name}' is left out: it has no synapses.")
        for name, of_group in neurons.items():
            own = [(p, b) for p, b in projections if name == p.source == p.target]
            node = self._node(of_group)
            self.nodes[name] = self._subgraph(name, node, own) if name in recurrent else node
        for pathway, found in projections:
            if pathway.source != pathway.target:
                self._connect(
                    self.nodes, self.edges, pathway, found, pathway.source, pathway.target
                )
        self._outputs(neurons)
        metadata = {"dt": self.dt, "notes": " ".join(self._all_notes())}
        return nir.NIRGraph(_in_order(self.nodes, self.edges), self.edges, metadata=metadata)

    # ---- what there is ----
    def _neurons(self) -> dict[str, Neurons]:
        found, refusals = {}, Refusals()
        for group in self.spec.groups:
            obj = self.objects[group.name]
            found[group.name] = refusals.check(recognise, group, obj, self.values)
        refusals.raise_found()
        return found

    def _projections(self, neurons) -> list:
        """Return all pathways with what they are in NIR."""
        exact, found, refusals = self.model.solver == "event", [], Refusals()
        for pathway in self.spec.pathways:
            obj, target = self.objects[pathway.synapses], neurons[pathway.target]

            def made(pathway=pathway, obj=obj, target=target):
                grid = None if exact else self.spec.dt
                network = self.model.network
                synaptic = read_synapses(pathway, obj, target, self.values, network, grid)
                sizes = self.sizes[pathway.source], self.sizes[pathway.target]
                factor = self._factor(target)
                self._note_delays(obj.name, synaptic.delays)
                step = self.dt if exact else None
                return pathway, branches(synaptic, obj, sizes, factor, self.per_step, step)

            found.append(refusals.check(made))
        refusals.raise_found()
        return [pair for pair in found if pair[0].size]

    def _note_delays(self, name: str, delays: np.ndarray) -> None:
        """Say that a reader will round delays that are no whole numbers of its steps."""
        if not np.allclose(delays / self.dt, np.rint(delays / self.dt), rtol=0, atol=1e-6):
            self.notes.append(
                f"Delays of '{name}' are no whole numbers of dt: readers may round them."
            )

    def _factor(self, target: Neurons) -> np.ndarray:
        """Return what a jump of 1 is as a weight.

        NIR's v changes by r*I/tau, or by r*w*dt/tau for a spike without a synaptic current; its
        current jumps by w, as w_in = tau_syn/dt.
        """
        unit = target.tau / self._resistance(target)
        return unit * (1 / self.dt if target.gain is None else target.gain)

    def _resistance(self, of_group: Neurons) -> np.ndarray:
        if self.r is None:
            return of_group.tau / self.dt
        return np.full(len(of_group.tau), self.r)

    def _check_ends(self, neurons, projections) -> None:
        """Refuse a group that nothing reaches: a graph of NIR begins at its inputs."""
        refusals = Refusals()
        for name in neurons:
            if all(p.target != name or p.source == name for p, _ in projections):
                obj, way_out = self.objects[name], "Connect an input to it."
                reason = "no input and no other group has synapses to it"
                refusals.add(unsupported(obj, name, f"in NIR, {reason}", way_out))
        refusals.raise_found()

    # ---- nodes ----
    def _node(self, of_group: Neurons):
        """Return the node of a group, with what Brian2 needs to know beside it as metadata."""
        nir, dt, tau = self.nir, self.dt, of_group.tau
        options = {"r": self._resistance(of_group), "v_leak": of_group.v_leak}
        options["metadata"] = self._metadata(of_group)
        if of_group.spikes:
            options |= {"v_threshold": of_group.v_threshold, "v_reset": of_group.v_reset}
        if not of_group.current:
            return (nir.LIF if of_group.spikes else nir.LI)(tau=tau, **options)
        kind = nir.CubaLIF if of_group.spikes else nir.CubaLI
        w_in = of_group.tau_syn / dt
        return kind(tau_mem=tau, tau_syn=of_group.tau_syn, w_in=w_in, **options)

    def _metadata(self, of_group: Neurons) -> dict:
        name, key = of_group.name, (of_group.name, of_group.v)
        dimensions = self.model.network.dimensions[key]
        start = np.broadcast_to(self.values[key], len(of_group.tau)).astype(float)
        metadata = {
            "dimensions": np.array(dimensions._dims, float),
            "method": self.spec.group(name).method,
            "v_start": start.copy(),
        }
        current = 0.0
        if of_group.current:
            current = self.values[name, of_group.current] * self._factor(of_group)
            metadata["i_start"] = np.broadcast_to(current, len(of_group.tau)).astype(float).copy()
        if np.any(start != 0) or np.any(current != 0):
            self.warnings.append(
                f"NIR does not say where neurons start: those of '{name}' start at other values "
                "than 0 here, and most simulators start at 0."
            )
        if not dimensions.is_dimensionless:
            unit = unit_name(dimensions)
            self.notes.append(f"NIR has no units: potentials of '{name}' are in {unit}.")
        return metadata

    def _subgraph(self, name: str, node, own: list):
        """Return the neurons of a group and the synapses between them, as a graph."""
        nir, size = self.nir, np.array([self.sizes[name]])
        nodes, edges = {name: node}, []
        for pathway, found in own:
            self._connect(nodes, edges, pathway, found, name, name)
        first, last = (_free(word, nodes) for word in ("input", "output"))
        nodes = {first: nir.Input({"input": size}), **nodes, last: nir.Output({"output": size})}
        return nir.NIRGraph(nodes, [(first, name), *edges, (name, last)])

    def _connect(self, nodes: dict, edges: list, pathway, found: list[Branch], *ends: str) -> None:
        """Add the chains of nodes of a pathway between two nodes."""
        alone = sum(p.synapses == pathway.synapses for p in self.spec.pathways) == 1
        label = pathway.synapses if alone else pathway.name
        for k, branch in enumerate(found):
            name = label if len(found) == 1 else f"{label}_{k}"
            weight = self.nir.Linear(branch.weight, metadata={"synapses": label})
            chain = {f"{name}_delay": branch.before, name: weight, f"{name}_later": branch.after}
            stops = [ends[0]]
            for key, part in chain.items():
                if part is not None:
                    stops.append(_free(key, nodes))
                    nodes[stops[-1]] = self.nir.Delay(part) if key != name else part
            stops.append(ends[1])
            edges += list(zip(stops[:-1], stops[1:], strict=True))

    def _outputs(self, neurons) -> None:
        """Let the groups be outputs that are measured, and those from which nothing goes on."""
        sending = {a for a, _ in self.edges}
        measured = {r.group for r in self.spec.readouts}
        names = [name for name in neurons if name in measured or name not in sending]
        for name in names:
            output = _free("output" if len(names) == 1 else f"output_{name}", self.nodes)
            self.nodes[output] = self.nir.Output({"output": np.array([self.sizes[name]])})
            self.edges.append((name, output))

    def _all_notes(self) -> list[str]:
        return [
            f"NIR does not say how time is discretised: r and w_in are such that a spike is an "
            f"input of 1 for dt = {self.dt:g} s.",
            *self.notes,
            *self.warnings,
        ]


def _check_network(spec, objects) -> None:
    """Refuse what is no group and no pathway."""
    refusals = Refusals()
    for coupling in spec.couplings:
        reason = "NIR's neurons receive spikes, not a sum of states at every moment"
        way_out = "Use synapses with on_pre."
        refusals.add(unsupported(objects[coupling.owner], coupling.state, reason, way_out))
    for synapses in spec.synapses:
        reason = "NIR's synapses have weights that stay as they are"
        code = ", ".join(synapses.states)
        refusals.add(unsupported(objects[synapses.name], code, reason, "Leave the states out."))
    for group in spec.groups:
        if isinstance(objects[group.name], Synapses):
            reason = "NIR's synapses have no equations"
            way_out = "Let the neurons have the current."
            refusals.add(unsupported(objects[group.name], group.text, reason, way_out))
    refusals.raise_found()


def _in_order(nodes: dict, edges: list) -> dict:
    """Return nodes after those that they follow, as some readers want them; not those in loops."""
    sorter = TopologicalSorter({name: [] for name in nodes})
    for a, b in edges:
        sorter.add(b, a)
    try:
        return {name: nodes[name] for name in sorter.static_order()}
    except CycleError:
        return nodes


def _free(name: str, taken) -> str:
    """Return a name that no node has yet."""
    while name in taken:
        name += "_"
    return name
