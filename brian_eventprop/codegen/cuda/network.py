"""Render the clock solver's CUDA kernels for a network, or the same kernels for the emulator.

The emulator's kernels are generators that yield at every barrier; everything else is the same text.
Numbers of neurons and steps are constants of the kernels, delays are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen.clock.network import couplings_of, parts, summary
from brian_eventprop.codegen.cuda.couplings import Couplings, CudaCoupling, names_of
from brian_eventprop.codegen.cuda.parts import (
    ROUNDING,
    Connections,
    CudaGroup,
    CudaInput,
    CudaPathway,
    CudaStyle,
)
from brian_eventprop.codegen.cuda.stages import homes_of, stages_of
from brian_eventprop.codegen.cuda.target import (
    CLUSTER_THREADS,
    ON_CHIP,
    Kernel,
    LocalArray,
    Target,
    spelling,
)
from brian_eventprop.codegen.expr.names import NameTable
from brian_eventprop.codegen.expr.printing import EDGE_FUNCTIONS
from brian_eventprop.codegen.templates import render
from brian_eventprop.plan.clock import ClockPlan, plan_clock
from brian_eventprop.reading.synapses.readouts import FINAL_OF_SYNAPSES

#: Arrivals at one neuron in one step whose states are kept at a time.
DEPTH = 16
#: Spikes whose sums over all threads are taken between two barriers.
CHUNK = 32
_KERNELS = ("forward", "record", "backward")
_FUNCTIONS = ("sign", "clip", "exprel", "dexprel", *EDGE_FUNCTIONS)


@dataclass(frozen=True)
class CudaModule:
    """The rendered kernels and what the runtime needs to call them; see `ClockModule`."""

    source: str
    groups: tuple[CudaGroup, ...]
    inputs: tuple[CudaInput, ...]
    pathways: tuple[CudaPathway, ...]
    kernels: Mapping[str, Kernel]
    threads: int
    recomputes: bool
    target: Target = field(default_factory=Target)
    couplings: tuple[CudaCoupling, ...] = ()


def render_cuda(
    system: AdjointSystem,
    connections: Mapping[str, Connections],
    n_steps: int,
    single: bool = False,
    target: Target | None = None,
    ring_on_chip: bool = False,
    plan: ClockPlan | None = None,
    cluster: int = 1,
) -> CudaModule:
    """Render the kernels of the clock solver for CUDA.

    Parameters
    ----------
    system
        The derived network.
    connections
        The synapses of each pathway.
    n_steps
        Number of time steps of a trial.
    single
        Whether states are in single precision.
    target
        CUDA, or the emulator.
    ring_on_chip
        Whether the rings of arrivals fit on the chip, next to the other arrays of a block.
    plan
        The layouts of its synapses; by default arrivals are queued.
    cluster
        How many blocks run a trial together.
    """
    target = target or Target()
    if cluster > 1:
        target = replace(target, threads=min(target.threads, CLUSTER_THREADS))
    plan = plan or plan_clock(system)
    style = CudaStyle(single, target.rounds)
    groups, inputs, pathways, couplings = _parts(system, plan, connections, style)
    lanes = sum(32 * g.words for g in groups)
    threads = max(32 if target.warps else 1, min(lanes, target.threads))
    places = {"ring_on_chip": ring_on_chip, "cluster": cluster}
    return _Renderer(
        groups, inputs, pathways, couplings, n_steps, single, target, threads, **places
    )()


def _parts(system, plan, connections, style):
    """The code of all parts; each group has its threads and its words of spikes."""
    known: list[CudaGroup] = []
    at_end = {r.group for r in system.spec.readouts if r.kind == FINAL_OF_SYNAPSES}

    def group(*arguments):
        lane = sum(32 * g.words for g in known)
        word = sum(g.words for g in known if g.spikes)
        known.append(CudaGroup(*arguments, number=len(known), lane=lane, word=word))
        return known[-1]

    def pathway(adjoint, *arguments, **others):
        others["connections"] = connections[adjoint.pathway.name]
        others["read_at_end"] = adjoint.pathway.synapses in at_end
        return CudaPathway(adjoint, *arguments, **others)

    table = NameTable()
    made = parts(system, plan, style, table, group, CudaInput, pathway)
    return *made, couplings_of(system, made[0], style, table, CudaCoupling)


class _Renderer:
    """Renders the kernels one after the other, then the constants that they turned out to use."""

    def __init__(
        self, groups, inputs, pathways, couplings, n_steps, single, target, threads, ring_on_chip,
        cluster,
    ):  # fmt: skip
        self.groups, self.inputs, self.pathways = groups, inputs, pathways
        self.couplings = couplings
        #: All parts that have constants and gradients of their own.
        self.every = *groups, *pathways, *couplings
        self.n_steps, self.single, self.target = n_steps, single, target
        self.threads, self.ring_on_chip, self.cluster = threads, ring_on_chip, cluster
        self.float = "float32" if single else "float64"
        self.spiking = [g for g in groups if g.spikes]
        self.words = sum(g.words for g in self.spiking)
        self.words += bool(self.words)
        self.all = threads * cluster
        self.parts = self.all // 32 if target.warps else self.all
        #: The pathways that record what their events touch, and those that have the states of the
        #: synapses for their object.
        self.eventful = [p for p in pathways if p.eventful]
        self.homes = homes_of(pathways)
        #: What threads of other neurons touch: it is in memory if several blocks run a trial.
        self.touched = {g.name for p in pathways if p.apart for g in (p.target, *p.touched)}
        self.touched |= {p.name for p in pathways if p.apart} | names_of(couplings)
        self.recomputes = any(g.keeps_states for g in groups) or bool(self.eventful)
        self.owners = {part.name: part for part in (*self.every, *inputs)}

    def __call__(self) -> CudaModule:
        kernels = {k: self.kernel(k) for k in _KERNELS if k != "record" or self.recomputes}
        texts = [g.upstroke.functions(self.decorator) for g in self.groups if g.upstroke]
        texts += [self.text(name, kernel) for name, kernel in kernels.items()]
        body = "\n\n".join(texts)
        per_step = [x for part in self.every for x in part.scope.step_lines()]
        body = body.replace(_STEP_MARK, "\n        ".join(per_step) or "pass")
        body = body.replace(_END_MARK, "\n    ".join(per_step) or "pass")
        constants = [x for part in self.every for x in _constants(part)]
        body = body.replace(_MARK, "\n    ".join(constants) or "pass")
        head = render(
            "cuda/module.py.j2",
            emulated=self.target.emulated,
            cluster=self.cluster,
            products=not self.single and not self.target.rounds,
            float=self.float,
            summary=summary(self.groups, (*self.pathways, *self.couplings)),
            library=not self.target.rounds,
            rounding=[f for f in ROUNDING if re.search(rf"\b{f}\(", body)],
            functions=[f for f in _FUNCTIONS if re.search(rf"\b{f}\(", body)],
        )
        return CudaModule(
            head + "\n\n" + body, self.groups, self.inputs, self.pathways, kernels,
            self.threads, self.recomputes, self.target, self.couplings,
        )  # fmt: skip

    def text(self, name: str, kernel: Kernel) -> str:
        """Render one kernel."""
        ids = ["thread", "grid_block"] if self.cluster > 1 else ["tid", "block"]
        ids = [*ids, *(a.name for a in kernel.on_chip)] if self.target.emulated else []
        ids += ["ring"] * (self.target.emulated and self.ring_on_chip and name != "backward")
        names = [self.name(*pair) for pair in kernel.arguments]
        template = "backward" if name == "backward" else "forward"
        text = render(
            f"cuda/{template}.py.j2",
            name=name,
            record=name == "record",
            arguments=[*ids, *names],
            groups=self.groups,
            spiking=self.spiking,
            pathways=self.pathways,
            eventful=self.eventful,
            homes=self.homes,
            couplings=Couplings(self.couplings, self.groups),
            every=self.every,
            apart=any(p.apart for p in self.pathways),
            stages=stages_of(self.groups, self.pathways),
            senders=self.senders(),
            on_chip=kernel.on_chip,
            in_memory=kernel.in_memory,
            ring_on_chip=self.ring_on_chip and name != "backward",
            queued=any(not p.ring and not p.source.is_input for p in self.pathways),
            words=self.words,
            n_steps=self.n_steps,
            block_threads=self.threads,
            threads=self.all,
            parts=self.parts,
            in_warps=self.target.warps,
            lanes=32 if self.target.warps else 1,
            lane="(tid & 31)" if self.target.warps else "0",
            depth=DEPTH,
            chunk=CHUNK,
            float=self.float,
            constants=_MARK,
            per_step=_STEP_MARK,
            per_step_end=_END_MARK,
            **spelling(self.target, self.threads, self.single, self.cluster),
        )
        if self.cluster > 1:
            for array in kernel.on_chip:
                text = re.sub(rf"\b({array.name}\[(?:[^][]*, )?)j\]", r"\1thread]", text)
        return text

    @property
    def decorator(self) -> str:
        """What stands before a function that kernels call."""
        return "" if self.target.emulated else "@cuda.jit(device=True)\n"

    def senders(self) -> list:
        """Return those whose spike-time gradients the trial's kernel takes from their arrivals."""
        sending = [g for g in self.groups if any(p.source is g for p in self.pathways)]
        return [i for i in self.inputs if i.queued] + sending

    def name(self, owner: str, role: str) -> str:
        """Identifier of an argument."""
        return self.owners[owner].a(role) if owner else role

    # ---- arguments and arrays ----
    def kernel(self, name: str) -> Kernel:
        """Return the arguments and arrays of a kernel."""
        local = self.local_arrays(name)
        on_chip, in_memory, used = [], [], 0
        limit = ON_CHIP - 1024
        for array in map(self.place, local):
            used_then = used + array.size * (4 if self.single or array.dtype != "FLOAT" else 8)
            if used_then <= limit and not array.large:
                on_chip.append(array)
                used = used_then
            else:
                in_memory.append(array)
        arguments = [("", "first"), ("", "dt"), ("", "times")]
        arguments += [("", "arrived")] * (self.cluster > 1)
        if name == "backward":
            arguments += [("", "with_inputs"), ("", "grazing")]
        elif any(g.ring_states for g in self.groups):
            arguments.append(("", "shape"))
        arguments += self.backward_arguments() if name == "backward" else []
        arguments += self.shared_arguments(name)
        arguments += [(a.owner, f"{a.role}_all") for a in in_memory]
        return Kernel(tuple(arguments), tuple(on_chip), tuple(in_memory))

    def place(self, array: LocalArray) -> LocalArray:
        """Return an array as it stands on the chip if it fits there.

        Of a cluster, each block has its own threads' neurons there, if each has one; what blocks
        share lies in memory.
        """
        if self.cluster == 1 or array.large:
            return array
        shared = not array.owner or array.owner in self.touched
        if shared or array.shape[-1] > self.all:
            return replace(array, large=True)
        return replace(array, shape=(*array.shape[:-1], self.threads))

    def shared_arguments(self, name: str):
        """Arrays of all trials that the kernels read, and what the forward pass leaves."""
        pairs = []
        for g in self.groups:
            roles = ["C", "P"] + ["R"] * g.fixed_period
            roles += ["X0"] * (name != "backward")
            roles += ["spike_rows", "sptr"] * g.spikes
            roles += ["trial", "cell", "column"] * bool(g.timed_values)
            roles += [f"timed{k}" for k in range(len(g.timed_values))]
            if name != "record":
                roles += ["sample_place"] * bool(g.at_times)
                roles += ["stored_spike_state", "final"] * g.spikes
                roles += [f"at{r.number}" for r in g.maxima]
                roles += [f"maximum_states{r.number}" for r in g.arrival_maxima]
            if name == "forward":
                roles += ["needed"] * g.spikes + [f"value{r.number}" for r in g.measured]
            pairs += [(g.name, role) for role in roles]
        back = name == "backward"
        walked = [i for i in self.inputs if (i.queued if back else i.walked)]
        pairs += [(i.name, role) for i in walked for role in ("spike_rows", "sptr")]
        for p in self.pathways:
            # of inputs that only add, other kernels see to the arrivals
            read = not p.source.is_input or not (p.ring if back else p.precomputed)
            roles = ["C"] + ["W", "steps"] * read + ["delays"] * (not p.ring)
            roles += ["base", "bits"] * (read and not p.dense)
            roles += ["synapse"] * bool(p.synaptic) + ["pre"] * bool(p.adjoint.pre)
            roles += ["first_in_turn", "next_in_turn", "post"] * p.in_turn
            roles += ["first_of_pre", "next_of_pre"] * (back and bool(p.noted_pre))
            roles += ["n_events" if name == "forward" else "first_event"] * p.eventful
            if p in self.homes:
                roles += ["initial"] * (name != "backward")
                roles += ["final"] * (name == "forward" and p.read_at_end)
            pairs += [(p.name, role) for role in roles]
        for c in self.couplings:
            roles = ["C", "W", "first", "others"]
            roles += ["first_other", "next_other", "receivers"] * (back and c.back_to_other)
            pairs += [(c.name, role) for role in roles]
        return pairs

    def backward_arguments(self):
        """Arrays of all trials that only the backward pass reads or writes."""
        pairs = []
        for g in self.groups:
            roles = ["time", "tptr"] * g.timed + ["count_surrogate"] * g.has_count_surrogate
            roles += [f"weight{r.number}" for r in g.readouts]
            roles += (
                ["grad_initial"]
                + ["grad_neuron_out"] * bool(g.element_grads)
                + ["grad_refractory_out"] * g.fixed_period
                + list(g.timed_gradients)
            )
            pairs += [(g.name, role) for role in roles]
        for p in self.homes:
            pairs += [(p.name, "grad_initial"), *[(p.name, "seeds")] * p.read_at_end]
        pairs += [(i.name, "d_input_time") for i in self.inputs if i.queued]
        return pairs + [(part.name, "grad_shared_out") for part in self.every if part.shared_grads]

    def local_arrays(self, name: str) -> list[LocalArray]:
        """Return the arrays of a block, those that should be on the chip first."""
        return self.local_backward() if name == "backward" else self.local_forward(name)

    def array(self, owner, role, shape, dtype="FLOAT", large=False):
        """Return one array of a block."""
        return LocalArray(owner, role, self.name(owner, role), shape, dtype, large)

    def local_forward(self, name):
        arrays = [self.array("", "mask", (3 * self.words,), "np.uint32")] * bool(self.words)
        for g in self.groups:
            arrays += [self.array(g.name, "free", (g.size,), "np.int32")] * g.refractory
            if name == "forward":
                arrays += [self.array(g.name, "last", (g.size,), "np.int32")] * g.spikes
                arrays += [self.array(g.name, f"acc{r.number}", (g.size,)) for r in g.sampled]
            arrays += [self.array(g.name, role, (g.n_states, g.size)) for role in ("x", "y")]
            if g.arrival_maxima and name == "forward":
                arrays.append(
                    self.array(g.name, "was", (len(g.arrival_maxima[0].receiving), g.size))
                )
        if any(g.ring_states for g in self.groups) and not self.ring_on_chip:
            arrays.append(self.array("", "ring", ("ring",), large=True))
        for g in self.groups:
            shape = self.n_steps, g.size
            arrays += [
                self.array(g.name, f"input_drive_{s}", shape, large=True) for s in g.drive_states
            ]
        for p in self.homes:
            arrays.append(self.array(p.name, "synaptic", self.shape_of(p), large=True))
        for p in self.eventful:
            arrays.append(self.array(p.name, "seen", (p.target.size,), "np.int32"))
        if name == "record":
            arrays += self.records()
        return arrays

    def shape_of(self, p):
        """Return the shape of the states of a pathway's synapses."""
        return len(p.synaptic), p.adjoint.pathway.size

    def records(self):
        shape = (self.n_steps + 1,)
        return [
            self.array(g.name, "rec", (*shape, g.n_states, g.size), large=True)
            for g in self.groups
            if g.keeps_states
        ] + [
            self.array(p.name, "events", (f"events of {p.name}", p.event_columns), large=True)
            for p in self.eventful
        ]

    def noted(self, p):
        """Return what adjoints of pre-synaptic states gain by each synapse, and whose do at all."""
        gains = len(p.noted_pre), p.adjoint.pathway.size
        touched = (p.pre_group.size,)
        return [
            self.array(p.name, "gain_pre", gains, large=True),
            self.array(p.name, "touched_pre", touched, "np.int32", large=True),
        ]

    def upstrokes(self, g):
        """Return the arrays of explosive upstrokes, which few neurons read at a time."""
        shapes = {"low": ((g.size,), "np.int32"), "hit": ((g.size,), "np.int32")}
        shapes["store"] = (g.upstroke.rows, g.size), "np.float64"
        return [
            self.array(g.name, f"upstroke_{role}", shape, dtype, large=True)
            for role, (shape, dtype) in shapes.items()
        ]

    def local_backward(self):
        arrays = [self.array("", "part", (2, CHUNK))]
        if self.target.emulated and self.target.warps:
            arrays.append(self.array("", "lanes", (self.all,)))
        for g in self.groups:
            if g.spikes:
                arrays.append(self.array(g.name, "last", (g.size,), "np.int32"))
                roles = ("d_spike_time", "d_reset", "d_release", "d_caused")
                arrays += [self.array(g.name, role, (g.size,)) for role in roles]
            arrays += [self.array(g.name, "grad_refractory", (g.size,))] * g.fixed_period
            if g.released and g.released.crossing:
                arrays.append(self.array(g.name, "d_freed", (g.size,)))
            arrays.append(self.array(g.name, "lam", (g.n_states, g.size)))
            if g.coupled:
                roles = ("coupling", "coupling_rate")
                arrays += [self.array(g.name, role, (g.n_states, g.size)) for role in roles]
            if g.recomputes_arrivals and g.queued or any(p.found_again for p in g.queued):
                arrays.append(self.array(g.name, "y", (g.n_states, g.size)))
            if g.autapses:
                shape = g.carried_rows, g.size
                arrays.append(self.array(g.name, "carried", shape, large=True))
            if g.element_grads:
                arrays.append(self.array(g.name, "grad_neuron", (len(g.element_grads), g.size)))
            if g.upstroke:
                arrays += self.upstrokes(g)
        for c in self.couplings:
            arrays.append(self.array(c.name, "lam_sum", (2, c.receiver.size)))
            if c.element_grads:
                shape = len(c.element_grads), c.size
                arrays.append(self.array(c.name, "grad_weight", shape, large=True))
        for g in self.groups:
            shape = (self.n_steps, 2, g.size)
            arrays += [
                self.array(g.name, f"record_{state}", shape, large=True) for state in g.rings
            ]
            if g.queued:
                arrays.append(
                    self.array(g.name, "notes", (g.size, DEPTH, 4), "np.int32", large=True)
                )
                arrays.append(self.array(g.name, "stacks", (g.size, DEPTH, g.n_states), large=True))
        for p in self.homes:
            arrays.append(self.array(p.name, "lam_synaptic", self.shape_of(p), large=True))
        for p in self.eventful:
            arrays.append(self.array(p.name, "seen", (p.target.size,), "np.int32"))
        for p in self.pathways:
            if not p.ring:
                size = p.adjoint.pathway.size
                arrays.append(
                    self.array(p.name, "d_arrival_time", (p.name, p.target.size), large=True)
                )
                arrays.append(
                    self.array(
                        p.name, "grad_weight", (max(len(p.element_grads), 1), size), large=True
                    )
                )
                arrays += [self.array(p.name, "grad_delay", (size,), large=True)] * p.delay_trained
                arrays += self.noted(p) if p.noted_pre else []
        return arrays + self.records()


_MARK = "# constants"
_STEP_MARK = "# once per step"
_END_MARK = "# after the last step"


def _constants(part):
    """The lines that read the constants common to all, and take their reciprocals."""
    return [
        f"{part.scope.table(part.scope.owner, name)} = {part.a('C')}[{k}]"
        for k, name in enumerate(part.scope.shared)
    ] + part.scope.reciprocal_lines()
