"""Render the CUDA kernels between trials: constants from parameters, gradients back, optimisers.

What the host does in NumPy before and after the trials (see `codegen.expr.parameter_map`) is here
a kernel over the synapses of a pathway, so that its variables need not leave the device.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from brian_eventprop.adjoint.pathways import INCREMENT
from brian_eventprop.adjoint.symbolic.expressions import parse
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT
from brian_eventprop.codegen.cuda.parts import ROUNDING, CudaPathway, CudaStyle
from brian_eventprop.codegen.cuda.target import Target, spelling
from brian_eventprop.codegen.expr.names import NameTable
from brian_eventprop.codegen.expr.printing import EDGE_FUNCTIONS, print_sympy, print_tree
from brian_eventprop.codegen.templates import render
from brian_eventprop.reading.delays import MOST_STEPS
from brian_eventprop.reading.spec import Key

#: Threads of a block of these kernels.
UPDATE_THREADS = 256
_FUNCTIONS = ("sign", "clip", "exprel", "dexprel", *EDGE_FUNCTIONS)


def held_pathways(
    pathways: Iterable[CudaPathway],
    trained: Iterable[Key],
    shapes: Mapping[Key, tuple],
    coupled: Collection[Key] = (),
) -> tuple[tuple[CudaPathway, ...], tuple[Key, ...]]:
    """Return the pathways whose trained variables can stay on the device, and these variables.

    Such a pathway computes what the kernels read from variables of its own synapses and numbers
    common to all, and nothing else is trained through it.  A variable that another part reads, too,
    goes by the host; so do those of synapses that have states or that the loss reads, and those
    that couplings read (``coupled``).
    """
    pathways, trained = tuple(pathways), set(trained)
    kept = [p for p in pathways if _own_only(p, trained, shapes)]
    kept = [p for p in kept if not (p.synaptic or p.read_at_end)]
    while True:
        keys = {key for p in kept for key in _keys(p, trained)}
        others = {key for p in pathways if p not in kept for key in _keys(p, trained)}
        others |= set(coupled)
        left = [p for p in kept if not _keys(p, trained) & others]
        if len(left) == len(kept):
            return tuple(kept), tuple(sorted(keys))
        kept = left


def _keys(p, trained) -> set[Key]:
    """The trained variables of a pathway."""
    pathway = p.adjoint.pathway
    read = {s.key for s in pathway.symbols.values() if s.kind != "state"}
    return (read | {pathway.delay}) & trained


def _own_only(p, trained, shapes) -> bool:
    pathway, invariants = p.adjoint.pathway, p.adjoint.invariants
    keys = _keys(p, trained)
    own = {s.key for s in _raw_symbols(p).values()}
    gathered = [
        n for n in _read(p) if invariants.levels.get(n) == PER_ELEMENT and n not in _raw_symbols(p)
    ]
    lines = invariants.adjoint.forward + invariants.adjoint.reverse
    each = keys - {pathway.delay} if pathway.axonal else keys
    return (
        bool(keys)
        and pathway.size > 0
        and keys <= own | {pathway.delay}
        and {shapes[key] for key in each} <= {(pathway.size,)}
        and not gathered
        and not p.shared_grads
        and not any(line.total for line in lines)
    )


def _raw_symbols(p):
    """The variables of the synapses themselves, by name."""
    pathway = p.adjoint.pathway
    return {
        name: s
        for name, s in pathway.symbols.items()
        if s.kind == "synapse" and (not s.side or s.key[0] == pathway.synapses)
    }


def _read(p) -> set[str]:
    """Names that are looked up, not computed, for what the kernels read of a synapse."""
    made = {s.target for s in p.adjoint.invariants.per_element}
    found = set(p.scope.per_element)
    for s in p.adjoint.invariants.per_element:
        found |= {n.id for n in ast.walk(parse(s.expression)) if isinstance(n, ast.Name)}
    return found - made


@dataclass(frozen=True)
class HeldPathway:
    """The text of a pathway's two kernels.

    Attributes
    ----------
    name
        Of the pathway.
    raws
        Argument and local variable of each variable of the synapses; ``keys`` stand in this order.
    numbers
        Names common to all synapses, passed as one array.
    prepare, vjp
        Statements per synapse.
    rows, grads
        Local variables that become the rows of constants, and that take their summed gradients.
    gradients, trained
        Arguments that gradients are added to, and the variables they belong to; the delay is last.
    delayed, increment, delay_row
        Whether the delay is trained; what its gradient is multiplied by; its row of the sums.
    """

    name: str
    raws: dict[str, str]
    keys: tuple[Key, ...]
    numbers: tuple[str, ...]
    prepare: list[str]
    vjp: list[str]
    rows: list[str]
    grads: list[str]
    gradients: list[str]
    trained: tuple[Key, ...]
    delayed: bool
    increment: str
    delay_row: int


def _held(p: CudaPathway, trained, style) -> HeldPathway:
    pathway, invariants = p.adjoint.pathway, p.adjoint.invariants
    table, raws = NameTable(), _raw_symbols(p)
    numbers = tuple(
        n for n, s in pathway.symbols.items() if n not in raws and s.kind in ("number", "shared")
    ) + (*(s.target for s in invariants.shared), "dt")

    def name(n):
        return f"numbers[{numbers.index(n)}]" if n in numbers else table(p.name, n)

    prepare = [f"{name(s.target)} = {print_tree(parse(s.expression), name, style)}"
               for s in invariants.per_element]  # fmt: skip
    vjp = [f"{name(f'lam.{n}')} = FLOAT(0)" for n in invariants.active if n not in p.element_grads]
    for line in invariants.adjoint.forward + invariants.adjoint.reverse:
        printer = print_tree if isinstance(line.value, ast.AST) else print_sympy
        value = printer(line.value, name, style)
        vjp.append(f"{name(line.target)} {'+=' if line.add else '='} {value}")
    results = {n: e for n, e in invariants.adjoint.results.items() if raws[n].key in trained}
    gradients = {raws[n].key: table(p.name, f"gradient of {n}") for n in results}
    for n, e in results.items():
        vjp.append(f"{gradients[raws[n].key]}[i] += {print_sympy(e, name, style)}")
    if p.delay_trained:
        gradients[pathway.delay] = table(p.name, "gradient of the delay")
    read = "\n".join(prepare + vjp) + "\n" + "\n".join(name(n) for n in p.scope.per_element)
    used = [n for n in raws if re.search(rf"\b{re.escape(name(n))}\b", read)]
    return HeldPathway(
        name=p.name,
        raws={table(p.name, f"all {n}"): name(n) for n in used},
        keys=tuple(raws[n].key for n in used),
        numbers=numbers,
        prepare=prepare,
        vjp=vjp,
        rows=[name(n) for n in p.scope.per_element],
        grads=[name(f"lam.{n}") for n in p.element_grads],
        gradients=list(gradients.values()),
        trained=tuple(gradients),
        delayed=p.delay_trained,
        increment=name(INCREMENT) if p.ring else "",
        delay_row=1 if p.ring else 0,
    )


def render_update(
    pathways: Iterable[CudaPathway], trained: Iterable[Key], single: bool, target: Target
) -> tuple[str, tuple[HeldPathway, ...]]:
    """Render the kernels; return them and what the runtime needs to call those of the pathways."""
    style = CudaStyle(False, target.rounds)
    held = tuple(_held(p, trained, style) for p in pathways)
    text = "\n".join(line for p in held for line in p.prepare + p.vjp)
    ids = ["tid", "tile", "blocks"] if target.emulated else []
    source = render(
        "cuda/update.py.j2",
        held=held,
        float="float32" if single else "float64",
        products=not target.rounds,
        library=not target.rounds,
        product=lambda a, b: f"mul({a}, {b})" if not target.rounds else f"({a}) * ({b})",
        rounding=[f for f in ROUNDING if re.search(rf"\b{f}\(", text)],
        functions=[f for f in _FUNCTIONS if re.search(rf"\b{f}\(", text)],
        threads=update_threads(target),
        most_steps=MOST_STEPS,
        ids=ids,
        ids_text="".join(f"{name}, " for name in ids),
        **spelling(target, update_threads(target)),
    )
    return source, held


def update_threads(target: Target) -> int:
    """Return the threads of a block."""
    return min(UPDATE_THREADS, target.threads)


def as_array(value) -> np.ndarray:
    """Return a number as an array of one entry, an array as it is."""
    return np.atleast_1d(np.asarray(value, dtype=float))
