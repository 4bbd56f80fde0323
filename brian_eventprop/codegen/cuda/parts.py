"""The code of groups, inputs and pathways for the CUDA kernels.

The neurons' and the synapses' own code is that of the CPU; what differs is where sums go.  A
gradient common to all neurons is summed in a variable of the thread, and arrival adjoints are
recorded step by step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brian_eventprop.adjoint.pathways import PRE
from brian_eventprop.codegen.clock.groups import GroupCode
from brian_eventprop.codegen.clock.network import InputCode
from brian_eventprop.codegen.clock.pathways import PathwayCode
from brian_eventprop.codegen.expr.printing import KERNEL_FUNCTIONS, KernelStyle
from brian_eventprop.codegen.readouts import RULES

#: Functions that the kernels' module takes from NumPy or from the library of the device.
ROUNDING = ("floor", "ceil", "trunc")


class CudaStyle(KernelStyle):
    """As on the CPU; products in double precision are rounded before they are added.

    Compilers for GPUs fuse a product and a sum into one operation, which rounds once; then a spike
    could come a step earlier or later than on the CPU.
    """

    functions = KERNEL_FUNCTIONS | {name: name for name in ROUNDING}

    def __init__(self, single: bool, rounds: bool):
        super().__init__(single)
        self.plain = single or rounds

    def product(self, left, right):
        return super().product(left, right) if self.plain else f"mul({left}, {right})"

    def power(self, base, exponent):
        # the very multiplications that Numba makes of a power on the CPU
        result, square = "", base
        while exponent:
            if exponent & 1:
                result = self.product(result, square) if result else square
            exponent >>= 1
            square = self.product(square, square)
        return result


class InThread:
    """A part whose gradients of shared constants are summed in variables of the thread."""

    def shared_grad(self, name: str) -> str:
        """The gradient of a constant that all neurons or synapses share."""
        return self.a(f"grad_shared{self.shared_grads.index(name)}")


class CudaGroup(InThread, GroupCode):
    """A group of the kernels.

    Parameters
    ----------
    number
        Its place among the groups.
    lane, word
        The thread of its first neuron, and its first word of spikes.
    """

    on_device, grazed = True, "grazed"
    later, count_grazing = "times[n + 1]", "grazed += 1"
    time_step = "dt"

    def __init__(self, *arguments, number: int = 0, lane: int = 0, word: int = 0):
        super().__init__(*arguments)
        self.number, self.lane, self.word = number, lane, word

    @property
    def timed(self) -> bool:
        """Whether a readout depends on the times of its spikes."""
        return "spike_times" in self.readout_kinds

    @property
    def queued(self) -> list[PathwayCode]:
        """The pathways onto it whose arrivals are delivered one by one."""
        return [p for p in self.incoming if not p.ring]

    @property
    def arriving(self) -> str:
        """The array of the states that arrivals change."""
        return self.a("y")

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.adjoint.group.size

    @property
    def words(self) -> int:
        """Words of 32 bits that hold one bit per neuron."""
        return -(-self.size // 32)

    @property
    def ring_states(self) -> tuple[str, ...]:
        """States whose arrivals are summed as they are sent."""
        return tuple(s for s in self.rings if s in self.in_ring)

    @property
    def drive_states(self) -> tuple[str, ...]:
        """States whose arrivals are, at least in part, summed before the first step."""
        return tuple(s for s in self.rings if s in self.in_drive)

    @property
    def keeps_states(self) -> bool:
        """Whether the backward pass reads states of every step."""
        return self.needs_states or self.needs_final_states

    def result(self, readout) -> str:
        """Where the value of a readout of neuron j stands while the time steps go on."""
        if RULES[readout.kind].every_step:
            return f"{self.a(f'acc{readout.number}')}[j]"
        return super().result(readout)

    def timed_gradient(self, name: str) -> str:
        """The gradient of the value of a timed array; each neuron has its own, to be summed."""
        k = list(self.timed_values).index(name)
        return f"{self.a(f'grad_timed{k}')}[trial, {self.a('cell')}[{k}, n], j]"

    def neuron(self, spike: str) -> str:
        """The neuron that sent a spike."""
        return f"{self.a('spike_rows')}[trial, {spike}, 1]"

    def step(self, spike: str) -> str:
        """The step of a spike."""
        return f"{self.a('spike_rows')}[trial, {spike}, 0]"

    def row(self, spike: str) -> str:
        """The row of a spike among those that are stored, known not to be negative."""
        return f"{spike} & 0x7FFFFFFF"

    def spike_step(self, spike: str) -> str:
        """The step of a spike, in the backward pass."""
        return f"{self.a('stored')}[{self.row(spike)}, 0]"

    @property
    def now(self) -> str:
        """The recorded states at step n."""
        return self.a("now")

    @property
    def then(self) -> str:
        """The recorded states at step n + 1."""
        return f"{self.a('rec')}[n + 1, "

    @property
    def silent(self) -> str:
        """Whether neuron j did not spike in step n, in the backward pass."""
        last = f"{self.a('last')}[j]"
        return f"({last} < 0 or {self.a('stored')}[{last} & 0x7FFFFFFF, 0] != n)"

    def adjoint_place(self, role: str, state: str) -> str:
        """Where the adjoint of arrivals at a state stands: in the record of the trial."""
        return f"{self.a(f'record_{state}')}[n, {('lam', 'rate').index(role)}, j]"


class CudaInput(InputCode):
    """A source of given spikes, rows (step, neuron)."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.outgoing: list[PathwayCode] = []

    @property
    def walked(self) -> bool:
        """Whether spikes are gone through step by step: not all is precomputed."""
        return any(not p.precomputed for p in self.outgoing)

    @property
    def queued(self) -> bool:
        """Whether arrivals of some pathways are delivered one by one."""
        return any(not p.ring for p in self.outgoing)

    @property
    def sorted(self) -> bool:
        """Whether some pathways read the spikes sorted by neuron."""
        return any(p.ring for p in self.outgoing)

    def neuron(self, spike: str) -> str:
        """The neuron that sent a spike."""
        return f"{self.a('spike_rows')}[0, {spike}, 1]"

    def step(self, spike: str) -> str:
        """The step of a spike."""
        return f"{self.a('spike_rows')}[0, {spike}, 0]"


class CudaPathway(InThread, PathwayCode):
    """A pathway; ``dense`` tells that every source has one synapse onto every target.

    Where its events are ``apart``, they touch states that belong to other threads: nobody else
    changes or reads these in the meantime.  Each thread delivers the arrivals at its own neuron
    all the same, unless they must come ``in_turn``; then one thread delivers all of them.
    """

    pre_neuron = "sender"

    def __init__(self, *arguments, connections: Connections, read_at_end: bool = False, **others):
        super().__init__(*arguments, **others)
        #: Whether the loss reads states of its synapses at the end of a trial.
        self.read_at_end = read_at_end
        self.dense, self.planes = connections.dense, connections.planes
        self.in_turn = self.adjoint.in_turn
        self.apart = bool(self.adjoint.touches_others)
        #: Whether the recorded states of its target are computed again on an explosive upstroke.
        found_again = self.taped and self.target.upstroke is not None
        self.found_again = found_again and self.plan.found_again
        if self.source.is_input:
            self.source.outgoing.append(self)

    def tape_again(self) -> list[str]:
        """Record the states of the target before event ``m`` anew."""
        first, events = len(self.others), self.a("events")
        states = range(self.target.n_states)
        return [f"{events}[m, {first + k}] = {self.target.arriving}[{k}, j]" for k in states]

    def _places(self, whose: str, row: int, index: str) -> tuple[str, ...]:
        group = self.own_group if whose == "own" else self.pre_group
        return tuple(f"{array}[{row}, {index}]" for array in (group.arriving, group.a("lam")))

    @property
    def find_event(self) -> list[str]:
        """Find the event of synapse ``k`` in this step, the last one that it has had."""
        if not self.eventful:
            return []
        column = f"{self.a('events')}[m & 0x7FFFFFFF, {self.event_columns - 1}]"
        search = [f"m = {self.a('seen')}[j] - 1", f"while {column} != FLOAT(k):", "    m -= 1"]
        return [*search, "m &= 0x7FFFFFFF", *self.find]

    @property
    def noted_pre(self) -> tuple[str, ...]:
        """Pre-synaptic states whose adjoints gain what is noted per synapse, and summed later."""
        return () if self.in_turn else self.adjoint.pre

    def _store_adjoint(self, state: str, added: bool) -> str:
        name = state.removeprefix(PRE)
        if not (state.startswith(PRE) and name in self.noted_pre):
            return super()._store_adjoint(state, added)
        row = self.noted_pre.index(name)
        return f"{self.a('gain_pre')}[{row}, k] = {self.scope.ref(f'new.{state}')}"

    @property
    def touched(self) -> list[CudaGroup]:
        """The groups besides the target whose states its events touch."""
        return [g for g in (self.pre_group, self.own_group) if g is not None]


@dataclass(frozen=True)
class Connections:
    """Which synapses a pathway has: all pairs once, or some, in several planes if some are twice.

    Synapses are sorted by source, plane and target; ``order`` does that (None: they are in order).
    For each plane, source and word of 32 targets, ``bits`` tells which are connected and ``base``
    is the number of the first.
    """

    dense: bool
    planes: int
    order: np.ndarray | None
    base: np.ndarray
    bits: np.ndarray


def connections(pre, post, n_source: int, n_target: int) -> Connections:
    """Sort the synapses of a pathway.

    Examples
    --------
    >>> found = connections(np.array([0, 0, 1]), np.array([2, 1, 2]), 2, 3)
    >>> found.dense, found.order.tolist(), found.base.tolist(), found.bits.tolist()
    (False, [1, 0, 2], [[[0], [2]]], [[[6], [4]]])
    """
    pre, post = np.asarray(pre, np.int64), np.asarray(post, np.int64)
    by_pair = np.lexsort((post, pre))  # stable: synapses of one pair stay in their order
    pair = (pre * n_target + post)[by_pair]
    starts = np.flatnonzero(np.diff(pair, prepend=-1)) if len(pair) else np.empty(0, np.int64)
    copies = np.diff(starts, append=len(pair))
    plane = np.empty(len(pre), np.int64)
    plane[by_pair] = np.arange(len(pair)) - np.repeat(starts, copies)
    planes = int(plane.max(initial=0)) + 1
    order = np.lexsort((post, plane, pre))
    words = max(-(-n_target // 32), 1)
    where = ((plane * n_source + pre) * words + post // 32)[order]
    bits = np.zeros(planes * n_source * words, np.uint32)
    np.bitwise_or.at(bits, where, (1 << (post[order] % 32)).astype(np.uint32))
    base = np.zeros(planes * n_source * words, np.int32)
    base[where[::-1]] = np.arange(len(where))[::-1]
    shape = (planes, n_source, words)
    dense = planes == 1 and len(pre) == n_source * n_target
    in_order = bool(np.all(np.diff(order) > 0))
    return Connections(
        dense, planes, None if in_order else order, base.reshape(shape), bits.reshape(shape)
    )
