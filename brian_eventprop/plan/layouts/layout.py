"""What a layout of synapses says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Facts:
    """What the choice of a layout depends on.

    Parameters
    ----------
    size
        Number of synapses.
    n_target
        Number of neurons of the target.
    additive
        Whether all that arrives at the target in one step may be summed before it is delivered.
    from_input
        Whether the spikes are given.
    has_record
        Whether the target may have a record of the arrival adjoints of a whole trial.
    has_dense_rows
        Whether every source has one synapse onto every target, all with one delay.
    """

    size: int
    n_target: int
    additive: bool
    from_input: bool
    has_record: bool
    has_dense_rows: bool


class SynapseLayout(ABC):
    """A way to keep synapses, to deliver their arrivals and to accumulate their gradients.

    Attributes
    ----------
    ring
        Whether arrivals are summed by time step before they are delivered.
    precomputed
        Whether they are summed before the first step, not sent as spikes come.
    paired
        Whether the gradients of weight and delay lie side by side, per synapse.
    per_spike
        Whether each spike adds to the gradients when the backward pass comes to it.
    by_row
        Whether the synapses of a source are a row with one delay, and one gradient of it.
    send
        The operation that sends the arrivals of a step, by its name in `codegen.clock.library`.
    during, after
        What accumulates gradients at every step of the backward pass, and what after the last
        one: methods of `codegen.clock.operations`; empty for nothing.
    """

    ring = True
    precomputed = False
    paired = True
    per_spike = by_row = False
    send: ClassVar[str] = "SEND"
    during: ClassVar[str] = "add_times"
    after: ClassVar[str] = "collect_tiles"

    @staticmethod
    @abstractmethod
    def fits(facts: Facts) -> bool:
        """Whether synapses may be laid out so, and better than in the layouts that follow."""

    @abstractmethod
    def pack(self, binder, delays, shape, n_steps: int, passes):
        """Return the order of the synapses, that of their gradients, and the arrays by role.

        ``binder`` sorts the synapses, ``delays`` are in seconds, ``shape`` is that of the target's
        ring, and ``passes`` fill the arrays once they are made.
        """

    def __eq__(self, other) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))
