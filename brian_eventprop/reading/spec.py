"""What a Brian2 network says, as frozen data.

This is the only thing the later packages know of Brian2: `brian_eventprop.adjoint` derives from it,
`brian_eventprop.codegen` generates from it, `brian_eventprop.runtime` runs it.  Expressions are
strings in Brian2's syntax; every name in them is either a key of ``symbols`` or a temporary that
an earlier statement of the same block assigned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

#: Name of the owner (a group, a Synapses object, a pathway; '' for the script's namespace) and of
#: the variable.  ``('hidden', 'v')`` is an initial value, ``('s_in', 'w')`` a weight,
#: ``('s_in_pre', 'delay')`` the delays of a pathway, ``('', 'tau_m')`` an external constant or a
#: `TimedArray`.
Key = tuple[str, str]

#: With the name of a linked variable, or of its index, the ``side`` of a `Symbol`.
LINK = "link "

#: What a name in an expression stands for.
#:
#: ==========  ===================================================================
#: state       changes within a trial (differential equation or written by events); of a synapse
#:             in synaptic code if it has no ``side``
#: neuron      constant during a trial, one value per neuron
#: synapse     constant during a trial, one value per synapse
#: shared      constant during a trial, one value (shared variable, external constant)
#: number      a fixed number: a unit, pi, N
#: index       the neuron's (or synapse's pre or post) index, relative to the user's object
#: t, dt       Brian2's time and time step
#: timed       the value of a `TimedArray` at this time, given from outside
#: ==========  ===================================================================
KINDS = ("state", "neuron", "synapse", "shared", "number", "index", "t", "dt", "timed")


@dataclass(frozen=True)
class Symbol:
    """A name in an expression and what it stands for.

    ``variable`` is the name within its owner (``'I_post'`` -> ``'I'``).  ``side`` is ``'pre'`` or
    ``'post'`` for names in synaptic code that belong to a neuron, ``'link x'`` for a variable x of
    a group that is linked to a parameter of another group, or, in synaptic code, for one with the
    index x that is linked to a variable of neurons; else ``''``.  ``value`` is set for numbers
    only, ``dimension`` (Brian2's) for external constants only.
    """

    name: str
    kind: str
    variable: str
    key: Key | None = None
    side: str = ""
    value: float | None = None
    dimension: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Statement:
    """``target = expression``; augmented assignments are spelled out (``v = v + (w)``)."""

    target: str
    expression: str


@dataclass(frozen=True)
class TimedInput:
    """A `TimedArray`: piecewise constant, each value for ``dt`` seconds, the last one for ever.

    At time t it is in cell ``int(round(t*factor/dt)/factor)``, as Brian2 rounds; ``columns`` is 1
    for an array without a second index.  With ``noise`` it is white noise, which a batch must
    bring.
    """

    name: str
    dt: float
    factor: int
    columns: int
    noise: bool = False


@dataclass(frozen=True)
class TimedValue:
    """A name in the code of a group for the value of a `TimedArray`, ``offset`` time steps later.

    ``column`` is which column a neuron reads, an expression of its constants, which are ``names``;
    empty if there is one column only.  ``part`` is the first and the last neuron (excluded) of the
    part of the group that is meant, whose ``i`` begins with 0; None for the whole group.
    """

    name: str
    array: str
    offset: float = 0.0
    column: str = ""
    part: tuple[int, int] | None = None
    names: tuple[Symbol, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Regular:
    """Code of `run_regularly`: ``statements`` in every ``steps``-th time step, the first included.

    It runs before the state update of the step, after all spikes of the step before.
    """

    name: str
    steps: int
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Group:
    """A `NeuronGroup`.

    Attributes
    ----------
    states
        All variables that change within a trial, differential equations first.
    frozen
        Those flagged ``(unless refractory)``.
    derivatives
        Right-hand side of each differential equation while not refractory, subexpressions
        substituted.  A state without an entry only changes in jumps.
    derivatives_refractory
        The right-hand sides that are others while refractory, but for those of frozen states.
    update, update_refractory
        Brian2's state update, statement by statement in Brian2's own order of operations, for a
        free and for a refractory neuron.  The targets are states and temporaries; in
        ``update_refractory`` frozen states are not written.
    threshold
        The condition without ``not_refractory``, subexpressions substituted; None if there is none.
    refractory
        Refractory period as an expression in seconds; None if there is none.
    refractory_condition
        The condition as long as which a neuron that spiked stays refractory, subexpressions
        substituted; None if there is none.
    text
        The equations as the user wrote them, for display.
    timed_values
        The names of kind 'trace'.
    regular
        What `run_regularly` does, in order.
    every
        Every how many time steps of the network the state update runs: its own dt is a multiple.
    """

    name: str
    size: int
    symbols: Mapping[str, Symbol]
    states: tuple[str, ...]
    frozen: tuple[str, ...]
    derivatives: Mapping[str, str]
    method: str
    update: tuple[Statement, ...]
    update_refractory: tuple[Statement, ...]
    threshold: str | None
    reset: tuple[Statement, ...]
    refractory: str | None
    text: str = ""
    timed_values: tuple[TimedValue, ...] = ()
    refractory_condition: str | None = None
    derivatives_refractory: Mapping[str, str] = field(default_factory=dict)
    regular: tuple[Regular, ...] = ()
    every: int = 1

    @property
    def may_be_refractory(self) -> bool:
        """Whether its neurons are refractory after a spike."""
        return self.refractory is not None or self.refractory_condition is not None

    def start(self, state: str) -> Key:
        """Return the key of the initial values of a state."""
        known = self.symbols.get(state)
        return known.key if known is not None and known.key is not None else (self.name, state)


@dataclass(frozen=True)
class SpikeInput:
    """A source of given spikes: `SpikeGeneratorGroup` or a replayed `PoissonGroup`.

    ``dt`` is its own time step in seconds, None if it is the network's.  Of a `PoissonInput` the
    numbers of spikes are given; ``most`` is the largest one, and each neuron that gets them has as
    many members here as such a number has binary digits: member k stands for 2**k spikes.
    """

    name: str
    size: int
    dt: float | None = None
    most: int = 0

    @property
    def digits(self) -> int:
        """How many members one neuron with a `PoissonInput` has."""
        return self.most.bit_length()


@dataclass(frozen=True)
class Pathway:
    """One ``on_pre`` or ``on_post`` pathway of a `Synapses` object.

    ``statements`` write post-synaptic and synaptic states (targets as the user wrote them,
    ``'I_post'`` or ``'I'``: look the symbol up).  ``source`` is the group whose spikes run them:
    that of the pre-synaptic neurons, with ``sender`` 'post' that of the post-synaptic ones.
    ``target`` is that of the post-synaptic neurons, or with ``receiver`` 'synapse' the group of the
    synapses themselves, which have equations then.  ``delay`` is the key of its delays: one
    (shared) or ``size``, or with ``axonal`` one for each neuron of the source.

    ``others`` are the states besides the target's that the code touches and that have equations, or
    may have: of the pre-synaptic neuron (group ``pre_group``) and of synapses that are a group.
    ``pre_side`` is 'pre', or the side of the linked variables whose neurons take its place.
    The value is the derivative, which may read more of them.  With ``alone`` the code has one
    result because no two synapses write the same neuron.  ``of_event`` says that it is no code of
    Synapses but what a spike does to a group that has the same neurons; ``synapses`` is that group.

    ``timed_values`` are the names of kind 'timed', whose values the target has.
    """

    name: str
    synapses: str
    source: str
    target: str
    size: int
    symbols: Mapping[str, Symbol]
    statements: tuple[Statement, ...]
    delay: Key
    text: str = ""
    axonal: bool = False
    sender: str = "pre"
    receiver: str = "post"
    others: Mapping[str, str] = field(default_factory=dict)
    pre_group: str = ""
    pre_side: str = "pre"
    alone: bool = False
    of_event: bool = False
    timed_values: tuple[TimedValue, ...] = ()


@dataclass(frozen=True)
class SynapticStates:
    """The variables of a `Synapses` object that events write: ``size`` values of each."""

    name: str
    size: int
    states: tuple[str, ...]


@dataclass(frozen=True)
class Coupling:
    """A state that is computed anew at the beginning of every time step from those of neurons.

    A ``(summed)`` variable is a sum over synapses; a linked variable that follows a state of
    another group is one with one synapse per neuron.

    Attributes
    ----------
    name
        That of Brian2's summed updater; of a linked variable, group and variable.
    owner
        The Brian2 object: a `Synapses`, or the group with the linked variable.
    source, target
        The groups of the synapses.  Only the end of an input of spikes may be no `Group`.
    side, state
        The end, ``'pre'`` or ``'post'``, that has the state, and its name there.
    statements
        The last one assigns what one synapse adds to `TERM`.
    span
        The first neuron and the last one (excluded) whose state is computed; others keep it.
    late
        Whether Brian2 updates one of the groups before it computes the state.
    every
        Every how many time steps of the network Brian2 computes a sum.
    """

    name: str
    owner: str
    source: str
    target: str
    side: str
    state: str
    size: int
    symbols: Mapping[str, Symbol]
    statements: tuple[Statement, ...]
    span: tuple[int, int]
    late: bool = False
    text: str = ""
    every: int = 1

    @property
    def receiver(self) -> str:
        """The group that has the state."""
        return self.end(self.side)

    def end(self, side: str) -> str:
        """Return the name of the group at an end, ``'pre'`` or ``'post'``."""
        return self.source if side == "pre" else self.target

    @property
    def reads(self) -> frozenset[tuple[str, str]]:
        """The group and the name of each state that it reads."""
        states = (s for s in self.symbols.values() if s.kind == "state")
        return frozenset((self.end(s.side), s.variable) for s in states)


#: What one synapse adds to a `(summed)` variable, in the statements of a `Coupling`.
TERM = "_synaptic_var"


@dataclass(frozen=True)
class ReadoutSpec:
    """What the loss sees of one group: ``kind`` is that of `brian_eventprop.readouts`; ``which``
    is 'all', 'first' or 'each' for spike times.  Neurons ``start:stop``.  With a ``scale`` (SI) a
    spike counts as 1 + g/scale, see `SpikeCount`.

    ``at`` is the time of a value in seconds, or a tuple of times, in which infinity is the end of
    a trial.  The kind 'trace' is a value that is only recorded; 'adjoint' measures nothing: the
    backward pass leaves the adjoint variable of the state ``expression`` at these times."""

    kind: str
    group: str
    start: int
    stop: int
    expression: str = ""
    which: str = ""
    symbols: Mapping[str, Symbol] = field(default_factory=dict)
    scale: float | None = None
    timed_values: tuple[TimedValue, ...] = ()
    at: float | tuple[float, ...] | None = None


@dataclass(frozen=True)
class NetworkSpec:
    """Everything the derivation needs.

    ``pathways`` and ``couplings`` stand in Brian2's order of execution; so do ``groups`` where
    there are couplings.  Of two groups that are ``exclusive``, which are two kinds of events of the
    same neurons, none may spike at the same time.
    """

    groups: tuple[Group, ...]
    inputs: tuple[SpikeInput, ...]
    pathways: tuple[Pathway, ...]
    readouts: tuple[ReadoutSpec, ...]
    dt: float
    timed: tuple[TimedInput, ...] = ()
    couplings: tuple[Coupling, ...] = ()
    synapses: tuple[SynapticStates, ...] = ()
    exclusive: tuple[tuple[str, str], ...] = ()

    def synaptic_states(self, name: str) -> tuple[str, ...]:
        """Return the states of the `Synapses` object of that name."""
        return next((s.states for s in self.synapses if s.name == name), ())

    def group(self, name: str) -> Group:
        """Return the group of that name."""
        return next(g for g in self.groups if g.name == name)


@dataclass(frozen=True)
class NetworkValues:
    """The numbers that go with a `NetworkSpec`, in SI units and float64.

    Attributes
    ----------
    values
        Every symbol's key that can be looked up: parameters, weights, delays, initial values,
        external constants.  1-D arrays; size 1 if shared.
    dimensions
        Brian2 dimensions of each key.
    pre, post
        Per pathway and coupling: absolute index of the source and target neuron of each synapse,
        int64, in creation order.
    spikes
        Per input of the network: the spikes the Brian2 object itself holds, ``(indices, times)``
        sorted by time, then index; None where it holds none (a `PoissonGroup`, a `PoissonInput`).
    timed_values
        Per timed array: the values that the Brian2 object itself holds, (cells, columns).
    timed_dimensions
        Brian2 dimensions of each.
    links
        Per group and `Synapses`: the neurons whose variable a linked variable is, by the ``side``
        of its symbol.
    timed_arrays
        The Brian2 object of each timed array.
    shapes
        The shapes of variables that are no vectors: of timed arrays whose gradient is wanted.  The
        values of these are among ``values``, row by row.
    """

    values: Mapping[Key, np.ndarray]
    dimensions: Mapping[Key, Any]
    pre: Mapping[str, np.ndarray]
    post: Mapping[str, np.ndarray]
    spikes: Mapping[str, tuple[np.ndarray, np.ndarray] | None]
    timed_values: Mapping[str, np.ndarray] = field(default_factory=dict)
    timed_dimensions: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    timed_arrays: Mapping[str, Any] = field(default_factory=dict, repr=False)
    shapes: Mapping[Key, tuple[int, ...]] = field(default_factory=dict)

    def senders(self, pathway: Pathway) -> np.ndarray:
        """Return the neuron whose spikes run the code of each synapse of a pathway."""
        return (self.pre if pathway.sender == "pre" else self.post)[pathway.name]

    def receivers(self, pathway: Pathway) -> np.ndarray:
        """Return the member of the target at which each synapse of a pathway ends."""
        if pathway.receiver == "synapse":
            return np.arange(pathway.size)
        return self.post[pathway.name]

    def touched(self, pathway: Pathway) -> np.ndarray:
        """Return the neuron of the ``pre_group`` that the code of each synapse touches."""
        if pathway.pre_side != "pre":
            return self.links[pathway.synapses][pathway.pre_side]
        return self.pre[pathway.name]

    def reconnected(self, pathway: str, pre: np.ndarray, post: np.ndarray) -> NetworkValues:
        """Return the same with other ends of a pathway's synapses."""
        ends = {"pre": {**self.pre, pathway: pre}, "post": {**self.post, pathway: post}}
        return replace(self, **ends)
