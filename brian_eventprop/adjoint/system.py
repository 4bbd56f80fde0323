"""From a `NetworkSpec` to its adjoint: the one entry of this package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brian_eventprop.adjoint.coupling.terms import CouplingAdjoint, derive_couplings, read_by_others
from brian_eventprop.adjoint.groups import GroupAdjoint, derive_group
from brian_eventprop.adjoint.pathways import PathwayAdjoint, derive_pathway
from brian_eventprop.reading.spec import Key, NetworkSpec

#: Readouts that are functions of the spikes; the kernels sample all others.
SPIKE_READOUTS = ("spike_times", "spike_count")


@dataclass(frozen=True)
class AdjointSystem:
    """The derived adjoint of a network.

    Attributes
    ----------
    spec
        The network it was derived from.
    groups, pathways, couplings
        In the order of ``spec``.
    trained
        Keys whose gradient is computed.
    """

    spec: NetworkSpec
    groups: tuple[GroupAdjoint, ...]
    pathways: tuple[PathwayAdjoint, ...]
    trained: frozenset[Key]
    couplings: tuple[CouplingAdjoint, ...] = ()

    @property
    def surrogate_groups(self) -> frozenset[str]:
        """The groups whose spike counts have a surrogate gradient."""
        return frozenset(r.group for r in self.spec.readouts if r.scale is not None)

    @property
    def trained_arrays(self) -> frozenset[str]:
        """The names of the timed arrays whose gradient is computed."""
        return frozenset(t.name for t in self.spec.timed if ("", t.name) in self.trained)

    def group(self, name: str) -> GroupAdjoint:
        """Return the adjoint of the group of that name."""
        return next(g for g in self.groups if g.group.name == name)


def derive(spec: NetworkSpec, trained: Iterable[Key]) -> AdjointSystem:
    """Derive the adjoint equations and jumps of a network.

    Parameters
    ----------
    spec
        The network.
    trained
        Keys whose gradient is wanted.
    """
    trained = frozenset(trained)
    groups = {}
    for group in spec.groups:
        readouts = {
            k: r
            for k, r in enumerate(spec.readouts)
            if r.group == group.name and r.kind not in SPIKE_READOUTS
        }
        read = read_by_others(spec, group.name)
        groups[group.name] = derive_group(group, readouts, trained, read)
    pathways = tuple(
        derive_pathway(p, groups[p.target], trained, spec.synaptic_states(p.synapses))
        for p in spec.pathways
    )
    couplings = derive_couplings(spec, groups, trained)
    return AdjointSystem(spec, tuple(groups.values()), pathways, trained, couplings)
