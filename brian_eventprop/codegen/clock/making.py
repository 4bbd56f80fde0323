"""How an operation of the clock solver is made, of what the equations say or of the library.

What the equations say is rendered per group and pathway, with the same names in any network.
"""

from __future__ import annotations

import ast
import textwrap

from brian_eventprop.codegen.coupling.clock import TERMS
from brian_eventprop.codegen.expr.operations import (
    ArrayKey,
    Operation,
    free_names,
    may_be_array,
    operation,
)
from brian_eventprop.codegen.expr.printing import EDGE_FUNCTIONS
from brian_eventprop.codegen.templates import render
from brian_eventprop.kernels.cache import load_module

#: What a group and a pathway are called in their own operations.
NEURON, SYNAPSES = "neuron", "synapses"


class OperationMaker:
    """Makes the operations of groups, inputs and pathways, in single precision or not."""

    def __init__(self, groups, pathways, single: bool):
        self.single = single
        self.queued = [p for p in pathways if not p.ring]
        self._bodies = {part.name: self._render(part) for part in (*groups, *self.queued)}
        self._functions = {g.name: self._load_functions(g) for g in groups}

    # ---- what the equations say ----
    def _render(self, part) -> dict[str, str]:
        """Render the bodies of a group or of a pathway with a queue."""
        if part in self.queued:
            names = [
                "deliver",
                "deliver_back",
                *["deliver_recomputed"] * part.recomputed,
            ]
            return {name: render(f"clock/synapses/{name}.py.j2", p=part) for name in names}
        names = ["trial_begin", "advance", "trial_begin_back", "update_back"]
        names += ["settle", "resets_back"] * bool(part.rings or part.spikes)
        names += ["restore"] * part.recorded + ["recompute_states"] * part.recomputes_arrivals
        names += ["traces"] * bool(part.early) + ["adjoints_back"] * bool(part.adjoints)
        names += ["final_back"] * bool(part.ended or part.upstroke)
        moving = any(maximum.jumps for maximum in part.arrival_maxima)
        names += ["trial_end"] * bool(part.sampled_last or moving)
        return {name: render(f"clock/groups/{name}.py.j2", g=part) for name in names}

    def _load_functions(self, g) -> dict[str, str]:
        """The functions that the operations of a group call, and the module that they stand in."""
        text = g.module()
        if not text:
            return {}
        used = ["clip", "dexprel", "exprel", "sign", *EDGE_FUNCTIONS]
        number = "float32" if self.single else "float64"
        source = (
            "import math\n\nimport numpy as np\n\n"
            "from brian_eventprop.kernels.cache import njit\n"
            f"from brian_eventprop.kernels.brian_functions import {', '.join(sorted(used))}\n\n"
            f"FLOAT = np.{number}\n\n\n{text}"
        )
        module = load_module(source, "neuron").__name__
        return {node.name: module for node in ast.parse(text).body}

    def _own(self, part, name: str, body="", **others: ArrayKey) -> Operation:
        """One of a part's rendered operations, or one with another body.

        ``others`` are arrays under other identifiers.
        """
        group = part.target if part in self.queued else part
        # two pathways may have the same names, and no operation reads both
        pathways = group.autapses if part is group else (part,)
        owners = {NEURON: group.name} | {p.scope.owner: p.name for p in pathways}

        def find(identifier):
            if identifier in others:
                return others[identifier]
            owner, role = group.scope.table.name(identifier) or ("", "")
            return (owners[owner], role[1:]) if role.startswith("$") else None

        constants = _constants(group)
        for p in pathways:
            constants |= _constants(p)
        functions = self._functions[group.name]
        body = body or _timed((group, *pathways), self._bodies[part.name][name])
        options = {"functions": functions, "owner": part.name}
        return operation(name, body, find, self.single, constants, **options)

    def _couple(self, c, name: str) -> Operation:
        owners = {TERMS: c.name} | {side: g.name for side, g in c.ends.items() if g is not None}

        def find(identifier):
            owner, role = c.scope.table.name(identifier) or ("", "")
            return (owners[owner], role[1:]) if role.startswith("$") else None

        body = _timed((c,), render(f"clock/couplings/{name}.py.j2", c=c))
        return operation(name, body, find, self.single, _constants(c), owner=c.name)

    def _within(self, g, name: str, condition: str, before: bool = False) -> str:
        """One of a group's bodies, if there is such a step, or for the step `before` that."""
        if name not in self._bodies[g.name]:
            return ""
        body = _timed((g, *g.autapses), self._bodies[g.name][name])
        body = f"n -= 1\n{body}\nn += 1" if before else body
        return f"if {condition}:\n{textwrap.indent(body, '    ')}\n"

    # ---- what no equation is part of ----
    def _of(
        self, part, name: str, body: str, source=None, numbers=None, finds=False, **others
    ) -> Operation:
        """An operation of the library on the arrays of a part and some others."""
        constants = {n: repr(value) for n, value in (numbers or {}).items()}
        arrays = (i for i in free_names(body) if may_be_array(i) and i not in constants)
        keys = {i: others.get(i, (part.name, i)) for i in arrays}
        options = {"source": source, "finds": finds, "owner": part.name}
        return operation(name, body, keys, self.single, constants, **options)

    def _from(
        self, part, name: str, body: str, source=None, numbers=None, finds=False, **others
    ) -> Operation:
        """An operation of the library on the spikes of a source and the arrays of a part."""
        sender = getattr(part, "source", part)
        steps, neurons = ("step", "i") if sender.is_input else ("spike_step", "spike_neuron")
        roles = {
            "steps": steps,
            "neurons": neurons,
            "d_time": "d_input_time" if sender.is_input else "d_spike_time",
        }
        for role in ("table", "ptr", "counts", "order", "bound", "base"):
            roles[role] = role
        given = {f"source_{i}": (sender.name, role) for i, role in roles.items()}
        if sender is not part:
            given["target_shape"] = part.target.name, "shape"
            given["target_due"] = part.target.name, "due"
        source = sender.name if finds else source
        return self._of(part, name, body, source, numbers, finds, **(given | others))

    def _of_synapses(self, name: str, operation_name: str, body: str) -> Operation:
        """An operation of the library on the states of a `Synapses` object."""
        arrays = (i for i in free_names(body) if may_be_array(i))
        keys = {i: (name, "grad_initial" if i == "gradient" else i) for i in arrays}
        return operation(operation_name, body, keys, self.single, owner=name)


def _constants(part) -> dict[str, str]:
    """Where the constants of a part are: those common to all, then reciprocals of some of them."""
    scope = part.scope
    names = [*scope.shared, *(f"per.{name}" for name in scope.inverted)]
    return {scope.table(scope.owner, name): f"{part.a('C')}[{k}]" for k, name in enumerate(names)}


def _timed(parts, body: str) -> str:
    """Put before a body what it reads of some parts that depends on the time step."""
    body = textwrap.dedent(body).strip("\n") or "pass"
    known = dict.fromkeys(line for part in parts for line in part.scope.step_lines())
    read, lines = free_names(body), []
    for line in reversed(known):
        if line.split(" = ")[0] in read:
            lines.insert(0, line)
            read |= free_names(line)
    if "t" in read:
        lines.insert(0, "t = FLOAT(n * dt64)")
    return "\n".join((*lines, body))
