"""The arrays that the event solver's kernels work with, besides what they are given and leave.

They are made outside of the kernels, because each kind of array that a kernel makes itself has to
be compiled for it.  Tables of unknown length begin short and grow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from brian_eventprop.kernels.event.columns import COLUMNS, FEW, PATH, STEP
from brian_eventprop.kernels.event.tableau import STAGES

#: Rows of the slopes of a step of Runge-Kutta: stages, end, what slopes may be wrong by, space.
ROWS = STAGES + 4


class Sizes(NamedTuple):
    """What the lengths of arrays depend on.

    Attributes
    ----------
    neurons, trials, windows
        Numbers of them: neurons of the group, or of all groups of a loop.
    ring
        Windows in which arrivals wait, if they are taken in batches.
    sources, row, column
        Neurons that a pathway comes from, most synapses from one of them and onto one neuron.
    recent, reach
        Windows whose spikes are remembered, and how many of them a word holds.
    """

    neurons: int
    trials: int
    windows: int
    ring: int = 0
    sources: int = 0
    row: int = 0
    column: int = 0
    recent: int = 0
    reach: int = 0


@dataclass(frozen=True)
class WorkArray:
    """An array: its role, whether it begins with zeros, and whether the kernel keeps it.

    Without `zero` a kernel writes entries before it reads them.  An array that is kept, or the one
    that it has grown to, is returned.
    """

    role: str
    shape: Callable[[Sizes], tuple[int, ...]]
    dtype: type = np.float64
    zero: bool = False
    kept: bool = False


def _fixed(role: str, *shape: int, kept: bool = False) -> WorkArray:
    return WorkArray(role, lambda s: shape, kept=kept)


def _each(role: str, *shape: int, dtype: type = np.float64, zero: bool = False) -> WorkArray:
    """An entry or row for each neuron."""
    return WorkArray(role, lambda s: (s.neurons, *shape), dtype, zero)


def _forward_group(g) -> list[WorkArray]:
    slots = 1 if g.batched else None
    found = [
        _each("X", g.width + g.slots), _each("now"), _each("until"), _each("hint"),
        *[_each("piece", dtype=np.int64, zero=True)] * g.breaks,
        *[_each("latest", dtype=np.int64, zero=True)] * g.latest,
        WorkArray("head", lambda s: (slots or min(s.windows, 1024), s.neurons), np.int32),
        _fixed("pool", 256, 5), _fixed("spikes", 256, 4, kept=True),
        _fixed("event_log", 1024, COLUMNS + g.logged, kept=True),
        WorkArray("window_offsets", lambda s: (s.trials, s.windows + 1), np.int64, kept=True),
    ]  # fmt: skip
    if g.spikes:
        found.append(WorkArray("bounds", lambda s: (s.trials + 1,), np.int64, True, True))
    if g.spikes and not g.closed:
        found.append(_fixed("upstrokes", 64, STEP + g.width, kept=True))
    if g.by_event:
        found += [_each("ahead", g.width), _each("expected"), _each("stride")]
        found += [_fixed("due", 64, 2), _fixed("other", 64, 2)]
    return found + (_batched_group(g) if g.batched else _scratch(g))


def _scratch(g):
    """Space for the states of a single neuron."""
    sizes = {
        "x": [g.width + g.slots], "y": [g.width], "z": [g.width], "w": [2 * g.width],
        "dx": [g.width],
        "stack": [48, g.bounds.columns], "k": [ROWS, g.width], "path": [PATH, g.width + STEP],
    }  # fmt: skip
    return [_fixed(role, *sizes[role]) for role in scratch_roles(g)]


def scratch_roles(g) -> list[str]:
    """Return the roles of the space for the states of a single neuron."""
    roles = ["x", "y", "z", *["w"] * bool(g.maxima), *["dx"] * (bool(g.maxima) and not g.closed)]
    roles += ["stack"] * (g.spikes or not g.closed)
    return roles + ["k", "path"] * (not g.closed)


def _batched_group(g):
    found = [
        _each("XN", g.width),
        WorkArray("ACC", lambda s: (s.ring + 1, s.neurons, g.batched.width)),
        _each("candidates", dtype=np.int64),
        _each("upper_bounds"),
    ]
    if g.spikes:
        found += [
            _fixed("arrivals", 256, 2), _fixed("queued", 256, 2), _fixed("moments", FEW + 8),
            WorkArray("ranks", lambda s: (FEW + 8,), np.int64),
            WorkArray("profile", lambda s: (g.batched.top + 1, 256 + 8), zero=True),
            _fixed("stack", 48, g.bounds.columns), *(_fixed(role, g.width) for role in "xyz"),
        ]  # fmt: skip
    return found


def _forward_pathway(p) -> list[WorkArray]:
    if not p.target.batched:
        return []
    found = [WorkArray("spots", lambda s: (s.row + 8,), np.int32)]
    if p.target.spikes:
        found += [
            _fixed("times", 256),
            WorkArray("senders", lambda s: (256, 3), np.int32),
            WorkArray("near", lambda s: (s.column + 64,), np.int32),
            WorkArray("recent_spikes", lambda s: (2, 3 * s.column + 1, 2), np.int32),
            WorkArray("latest", lambda s: (s.sources,), np.int64),
            WorkArray("history", _whole_words, np.uint64),
            WorkArray("where", lambda s: (s.recent, s.sources), np.int32),
        ]
    return found


def _whole_words(s):
    """Words of all sources, as whole vectors of them."""
    return (s.recent + s.reach - 3) // s.reach, (s.sources + 7) // 8 * 8


def _forward_loop(component) -> list[WorkArray]:
    """All neurons of groups that run event by event are in one row."""
    if not component.by_event:
        return []
    numbers = (
        # what each neuron does next by itself, the earliest first; the generation of its last spike
        "heap", "place", "rank", "generation", "what", "position", "last", "block",
        # the spikes of a generation, what fired them, and where they stand in the event log
        "spiking", "cause", "row", "quick",
        # whose threshold is tested next, the arrival that may have fired it, and all that changed
        "tested", "lifter", "changed",
    )  # fmt: skip
    found = [_each(role, dtype=np.int64) for role in numbers]
    found += [_each(role) for role in ("when", "secant", "since")]
    found += [_each(role, dtype=np.bool_) for role in ("is_tested", "has_changed")]
    # arrivals that act now, after the spikes of this time, and later
    arrivals = ["acting", "final", "later", *["deferred"] * component.defers]
    found += [_fixed(role, 256, 5) for role in arrivals]
    return found + [WorkArray("log", lambda s: (1024,), np.int64, kept=True)] * component.several


def _backward_group(g) -> list[WorkArray]:
    found = [
        _each("lam", g.n_states + g.slots, zero=True), _each("now"),
        _each("d_release", zero=True),  # dL/d(end of the refractory period)
        _each("d_caused", zero=True),  # dL/d(time) of a spike that an event triggered
        # flags that the latest event saw
        *[_each("ends", len(g.switches))] * bool(len(g.switches)),
        # the last event at the time of the present one, and the adjoint after it
        *[_each("newest", dtype=np.int64), _each("LATER", g.n_states + 1)] * g.from_zero,
    ]  # fmt: skip
    if not g.batched:
        sizes = {"work": [16], "stages": [ROWS], "stage_adjoints": [STAGES]}
        found += [_fixed(role, *sizes.get(role, ()), g.width + g.slots) for role in back_roles(g)]
        return found + [_fixed("partials", g.n_states + 1)] * has_partials(g)
    return [
        *found,
        WorkArray("PH", lambda s: (s.ring + 1, s.neurons, g.batched.depth), zero=True),
        WorkArray("segment", lambda s: (s.ring + 1, s.neurons), np.int32, True),
        WorkArray("SEG", lambda s: (256, len(g.batched.slots) + 2), zero=True),
        _fixed("x", g.width),
        _each("done", dtype=np.int64),
        _each("stopped", dtype=np.bool_),
    ]


def back_roles(g) -> list[str]:
    """Return the roles of the space for the states and adjoint of a single neuron."""
    roles = ["x", "y", "work", *["z", "dx", "again"] * bool(g.maxima)]
    roles += ["stages", "stage_adjoints"] * (not g.closed)
    return roles + ["slopes"] * has_partials(g)


def has_partials(g) -> bool:
    """Whether the backward pass takes the slopes before an event, and the guard's derivatives."""
    return not g.closed and bool(g.spikes or len(g.switches))


def _backward_pathway(p) -> list[WorkArray]:
    roles = ("spots", "apart") * (p.target.batched is not None)
    return [WorkArray(role, lambda s: (s.row + 8,), np.int32) for role in roles]


def forward_work(component) -> tuple[tuple[str, WorkArray], ...]:
    """Return owner and array of what the forward kernel of a component works with."""
    found = [(g.name, array) for g in component.groups for array in _forward_group(g)]
    found += [(p.name, array) for p in component.pathways for array in _forward_pathway(p)]
    loop = [replace(array, role=f"loop_{array.role}") for array in _forward_loop(component)]
    return (*found, *((component.groups[0].name, array) for array in loop))


def backward_work(component) -> tuple[tuple[str, WorkArray], ...]:
    """Return owner and array of what the backward kernel of a component works with."""
    found = [(g.name, array) for g in component.groups for array in _backward_group(g)]
    found += [(p.name, array) for p in component.pathways for array in _backward_pathway(p)]
    return tuple(found)
