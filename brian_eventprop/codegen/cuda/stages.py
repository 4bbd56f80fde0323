"""Arrivals that are delivered one by one: how the CUDA kernels go through the pathways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brian_eventprop.codegen.cuda.parts import CudaGroup, CudaPathway


@dataclass(frozen=True)
class Stage:
    """Arrivals that the backward pass goes through between two barriers.

    Attributes
    ----------
    group
        Their target.
    arriving
        The pathways whose arrivals are delivered again, to see the states between.
    noted
        Those of them whose arrivals it goes through.
    apart, in_turn
        See `CudaPathway`.
    """

    group: CudaGroup
    arriving: tuple[CudaPathway, ...]
    noted: tuple[CudaPathway, ...]
    apart: bool = False
    in_turn: bool = False


def stages_of(groups: Sequence[CudaGroup], pathways: Sequence[CudaPathway]) -> list[Stage]:
    """Return how the backward pass goes through the arrivals of a step.

    Neurons do not wait for each other, and each thread goes through all that arrives at its own, if
    events touch nothing else.  Otherwise all neurons go through one pathway after the other.
    """
    queued = [p for p in pathways if not p.ring]
    if not any(p.apart for p in queued):
        return [Stage(g, tuple(g.queued), tuple(g.queued)) for g in groups if g.queued]
    found = []
    for number, p in reversed(list(enumerate(queued))):
        arriving = [before for before in queued[: number + 1] if before.target is p.target]
        found.append(Stage(p.target, tuple(arriving), (p,), p.apart, p.in_turn))
    return found


def homes_of(pathways) -> list[CudaPathway]:
    """Return a pathway of each `Synapses` object with states that are those of no group."""
    return [p for p in pathways if p.synaptic and not p.own_group and p.home is p]
