"""Source and arrays to spikes and gradients: one module per solver and backend."""

from __future__ import annotations

from functools import partial

import numpy as np

from brian_eventprop.adjoint.conditions import derive_conditions
from brian_eventprop.adjoint.coupling.jumps import check_grid
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.runtime.backends import INTERPRETER
from brian_eventprop.runtime.clock.solver import ClockCPU
from brian_eventprop.runtime.clock.warnings import warn_of_gaps
from brian_eventprop.runtime.cuda.solver import ClockCUDA
from brian_eventprop.runtime.event.solver import TOLERANCE, EventCPU
from brian_eventprop.runtime.options import checked_options
from brian_eventprop.runtime.solver import Solver

#: The class of each solver and backend.
SOLVERS = {
    ("clock", "cpu"): ClockCPU,
    ("clock", "cuda"): ClockCUDA,
    ("clock", "interpreter"): partial(ClockCPU, backend=INTERPRETER),
    ("event", "cpu"): EventCPU,
    ("event", "interpreter"): partial(EventCPU, backend=INTERPRETER),
}


def solver_for(
    solver, backend, system, network, n_steps, precision, threads, duration=None, tolerance=None
) -> Solver:
    """Return the object that runs a derived network.

    ``duration`` (seconds) and ``tolerance`` are for the event solver, which has no time steps.

    Raises
    ------
    ValueError
        For an unknown name.
    UnsupportedError
        For a solver that a backend does not have.
    """
    threads, tolerance = checked_options(solver, backend, precision, threads, tolerance)
    if (solver, backend) not in SOLVERS:
        raise UnsupportedError(
            f"solver='{solver}' does not run with backend='{backend}': only the clock solver has "
            "kernels for GPUs. Use solver='clock', or backend='cpu'."
        )
    if backend == "cuda":
        _check_on_gpus(system)
    if solver == "event":
        _check_autapses(system, network)
        if precision != "float64":
            raise UnsupportedError(
                f"solver='event' with precision={precision!r} is not supported: spike times are "
                "found to the last bits of double precision. Leave precision='float64', or use "
                "solver='clock'."
            )
        kind = SOLVERS[solver, backend]
        return kind(system, network, duration, threads, tolerance or TOLERANCE)
    _check_own_steps(system)
    check_grid(system)
    warn_of_gaps(system)
    return SOLVERS[solver, backend](system, network, n_steps, precision == "float32", threads)


def _check_own_steps(system) -> None:
    """Refuse what the time grid lacks where groups have a coarser one of their own."""
    for g in system.groups:
        spec, reason = g.group, ""
        if spec.every > 1 and spec.threshold is not None:
            reason = "its neurons spike, and the slope of a crossing is that of a step"
        elif spec.every > 1 and derive_conditions(g) is not None:
            reason = "its equations have a condition or a step, which changes within a step"
        elif spec.every > 1 and any(r.kind == "maximum" for r in g.readouts):
            reason = "a Maximum of it may lie between its own steps"
        if reason:
            raise UnsupportedError(
                f"'{spec.name}': 'dt={spec.every * system.spec.dt:g} s' is not supported with "
                f"solver='clock', where other objects have dt={system.spec.dt:g} s: {reason}. "
                "Give all objects the same dt, or use solver='event'."
            )
    every = {g.group.name: g.group.every for g in system.groups}
    for c in (c.coupling for c in system.couplings):
        slow = {c.every, every.get(c.source, 1), every.get(c.target, 1)} - {1}
        if slow and c.owner != c.receiver:
            raise UnsupportedError(
                f"Synapses '{c.owner}': '{c.text}' is not supported with solver='clock': the "
                "Synapses and the groups that they connect have several time steps. Give them the "
                "same dt, or use solver='event'."
            )


def _check_autapses(system, network) -> None:
    """Refuse what the event solver lacks: a neuron as both ends of a synapse that reads both."""
    for p in system.pathways:
        ends = network.touched(p.pathway), network.post[p.pathway.name]
        if p.pre and p.pathway.pre_group == p.pathway.target and np.any(ends[0] == ends[1]):
            same = "and some synapses connect a neuron to itself"
            way_out = "Leave them out with connect(condition='i != j'), or use"
            if p.pathway.pre_side != "pre":
                same, way_out = "which is the post-synaptic one of some synapses", "Use"
            raise UnsupportedError(
                f"Synapses '{p.pathway.synapses}': '{p.pathway.text}' is not supported with "
                f"solver='event': it touches '{p.pre[0]}' of {_whose(p)}, {same}. {way_out} "
                "solver='clock'."
            )


def _whose(adjoint) -> str:
    return "the pre-synaptic neuron" if adjoint.pathway.pre_side == "pre" else "a linked neuron"


def _check_on_gpus(system) -> None:
    """Refuse what the kernels for GPUs lack: linked neurons at events, steps in sums."""
    for p in system.pathways:
        if p.pre and p.pathway.pre_side != "pre":
            raise UnsupportedError(
                f"Synapses '{p.pathway.synapses}': '{p.pathway.text}' is not supported with "
                f"backend='cuda': it reads '{p.pre[0]}' of a linked neuron. Use backend='cpu'."
            )
    for c in system.couplings:
        if c.steps:
            raise UnsupportedError(
                f"'{c.coupling.owner}': '{c.coupling.text}' is not supported with backend='cuda': "
                "it has a condition or a step. Use backend='cpu'."
            )
