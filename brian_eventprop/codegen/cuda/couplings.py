"""The code of `(summed)` and linked variables for the CUDA kernels.

The thread of a neuron adds what its synapses make of the states of others, in their order, as the
CPU does.  Backwards it goes through them again, and the thread of the other end gathers what its
own synapses give: no two threads add to one number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from brian_eventprop.codegen.coupling.clock import POST, PRE, TERMS, CouplingCode
from brian_eventprop.codegen.cuda.parts import CudaGroup, InThread
from brian_eventprop.reading.spec import TERM


class CudaCoupling(InThread, CouplingCode):
    """A coupling: synapse ``k`` from or onto neuron ``j``, which has the sum, and neuron ``i``."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        #: The end without the sum, and its group, if it has states.
        self.other_side = PRE if self.side == POST else POST
        self.other = self.ends[self.other_side]
        self.neuron = {self.side: "j", self.other_side: "i"}
        self.span, self.size = self.adjoint.coupling.span, self.adjoint.coupling.size

    def a(self, role: str, owner: str = TERMS) -> str:
        if owner != TERMS:
            return self.ends[owner].a(role)
        return self.scope.table(self.scope.owner, f"${role}")

    @property
    def receives(self) -> str:
        """The condition that neuron j has a sum; empty if all have."""
        start, stop = self.span
        return "" if (start, stop) == (0, self.receiver.size) else f"{start} <= j and j < {stop}"

    @property
    def back_to_other(self) -> bool:
        """Whether adjoints of the other end gain anything."""
        return bool(self._gains(self.other_side))

    def sum_of(self, updated: Iterable[CudaGroup] = ()) -> list[str]:
        """Add what synapse k makes of the states at the beginning of the step to `total`.

        Of groups that are updated already, it reads the states after that.
        """
        updated = list(updated)
        arrays = {
            side: group.a("y" if group in updated else "x")
            for side, group in self.ends.items()
            if group is not None
        }
        return [*self.term(arrays), f"total += {self.scope.ref(TERM)}"]

    def own_back(self) -> list[str]:
        """Add to gradients, and to adjoints of neuron j itself."""
        return self._back(self.adjoint.parameters, [self.side], self._recorded, self._lam)

    def other_back(self) -> list[str]:
        """Add to adjoints of neuron i."""
        return self._back({}, [self.other_side], self._recorded, self._lam)

    @property
    def _recorded(self) -> dict[str, str]:
        return {s: f"{g.a('rec')}[n, " for s, g in self.ends.items() if g is not None}

    @property
    def _lam(self) -> str:
        """What was the adjoint of the sum; those of two steps are kept, as threads may be ahead."""
        return f"{self.a('lam_sum')}[n & 1, j]"


@dataclass(frozen=True)
class Couplings:
    """The couplings of a network as the kernels compute them, and its groups in their order.

    ``stages`` are those that Brian2 computes before any group is updated, cut where one reads what
    another one computes: there is a barrier between two stages.  ``late`` has those that it
    computes just before a group is updated, by the group's name.
    """

    all: tuple[CudaCoupling, ...] = ()
    in_order: tuple[CudaGroup, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.all)

    def updated(self, group: CudaGroup) -> tuple[CudaGroup, ...]:
        """Return the groups that are updated before a group."""
        return self.in_order[: self.in_order.index(group)]

    @property
    def stages(self) -> list[list[CudaCoupling]]:
        found: list[list[CudaCoupling]] = []
        for c in self.all:
            if c.late:
                continue
            if not found or any(_depend(c, other) for other in found[-1]):
                found.append([])
            found[-1].append(c)
        return found

    def late(self, group: CudaGroup) -> list[CudaCoupling]:
        """Return those that are computed just before a group is updated."""
        return [c for c in self.all if c.late and c.receiver is group]

    @property
    def late_at_end(self) -> list[list[CudaCoupling]]:
        """Those after the last step, when no group is updated any more."""
        return [[c] for g in self.in_order for c in self.late(g)]

    @property
    def groups(self) -> list[CudaGroup]:
        """The groups that are coupled."""
        return list({g.name: g for c in self.all for g in c.groups}.values())

    @property
    def read_again(self) -> bool:
        """Whether a thread may change recorded states of the step that others still read."""
        return any((g.after and g.rings_before and g.spikes) or g.upstroke for g in self.groups)


def _depend(one: CudaCoupling, other: CudaCoupling) -> bool:
    """Whether one of two couplings reads what the other one computes."""
    pairs = ((one, other), (other, one))
    return any(
        (a.receiver.name, a.adjoint.coupling.state) in b.adjoint.coupling.reads for a, b in pairs
    )


def names_of(couplings: Sequence[CudaCoupling]) -> set[str]:
    """Return the names of couplings and of the groups at their ends."""
    return {c.name for c in couplings} | {g.name for c in couplings for g in c.groups}
