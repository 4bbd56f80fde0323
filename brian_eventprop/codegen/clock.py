"""Render the clock solver's kernels for a network: templates plus the blocks of each part."""

from __future__ import annotations

from dataclasses import dataclass

from brian_eventprop.adjoint.system import AdjointSystem
from brian_eventprop.codegen.groups import GroupCode
from brian_eventprop.codegen.names import NameTable
from brian_eventprop.codegen.pathways import PathwayCode
from brian_eventprop.codegen.printing import KernelStyle
from brian_eventprop.codegen.scope import Scope
from brian_eventprop.codegen.templates import render


class InputCode:
    """A source of given spikes."""

    is_input = True

    def __init__(self, name: str, table: NameTable):
        self.name, self._table = name, table

    def a(self, role: str) -> str:
        """Identifier of an array or variable of the kernels that belongs to this input."""
        return self._table(self.name, f"${role}")

    def neuron(self, spike: str) -> str:
        """The neuron that sent a spike."""
        return f"{self.a('i')}[{spike}]"


@dataclass(frozen=True)
class ClockModule:
    """The rendered kernels and what the runtime needs to call them.

    ``arguments`` and ``gradients`` list (owner, role) of each array in the order of the signature.
    """

    source: str
    groups: tuple[GroupCode, ...]
    inputs: tuple[InputCode, ...]
    pathways: tuple[PathwayCode, ...]
    arguments: tuple[tuple[str, str], ...]
    gradients: tuple[tuple[str, str], ...]


def render_clock(system: AdjointSystem, single: bool = False) -> ClockModule:
    """Render the kernels of the clock solver.

    Parameters
    ----------
    system
        The derived network.
    single
        Whether states are in single precision.
    """
    table, style = NameTable(), KernelStyle(single)
    groups = {}
    for g in system.groups:
        scope = Scope(g.group.name, g.hoisted.levels, table, style)
        groups[g.group.name] = GroupCode(g, scope)
        groups[g.group.name].readout_symbols = [
            r.symbols for r in system.spec.readouts if r.group == g.group.name
        ]
    inputs = {i.name: InputCode(i.name, table) for i in system.spec.inputs}
    pathways = []
    for p in system.pathways:
        target = groups[p.pathway.target]
        scope = Scope(p.pathway.name, p.hoisted.levels, table, style, target.scope)
        source = groups.get(p.pathway.source) or inputs[p.pathway.source]
        code = PathwayCode(p, scope, target, source)
        code.delay_trained = p.pathway.delay in system.trained
        pathways.append(code)
    return _render(tuple(groups.values()), tuple(inputs.values()), tuple(pathways), single)


def _render(groups, inputs, pathways, single):
    arguments = _arguments(groups, inputs, pathways)
    gradients = _gradients(groups, inputs, pathways)
    owner = {part.name: part for part in (*groups, *inputs, *pathways)}
    names = {pair: owner[pair[0]].a(pair[1]) for pair in (*arguments, *gradients)}
    spiking = [g for g in groups if g.spikes]
    source = render(
        "clock_cpu.py.j2",
        groups=groups,
        spiking=spiking,
        inputs=inputs,
        pathways=pathways,
        finals=[r for g in groups for r in g.finals],
        float="float32" if single else "float64",
        arguments=[names[pair] for pair in arguments],
        gradients=[names[pair] for pair in gradients],
        summary=_summary(groups, pathways),
        constants=_MARK,
    )
    constants = [line for part in (*groups, *pathways) for line in _constants(part)]
    source = source.replace(_MARK, "\n    ".join(constants) or "pass")
    return ClockModule(source, groups, inputs, pathways, arguments, gradients)


_MARK = "# constants"


def _constants(part):
    return [
        f"{part.scope.table(part.name, name)} = {part.a('C')}[{k}]"
        for k, name in enumerate(part.scope.common)
    ]


def _arguments(groups, inputs, pathways):
    pairs = []
    for g in groups:
        roles = ["X0", "C", "P"] + ["R"] * g.refractory
        roles += [f"value{r.number}" for r in g.readouts]
        roles += [f"at{r.number}" for r in g.maxima]
        pairs += [(g.name, role) for role in roles]
    for i in inputs:
        pairs += [(i.name, role) for role in ("ptr", "step", "i")]
    for p in pathways:
        pairs += [(p.name, role) for role in ("C", "W", "post", "rows", "steps", "start")]
    return tuple(pairs)


def _gradients(groups, inputs, pathways):
    pairs = []
    for g in groups:
        roles = ["CB", "PB", "X0B"] + ["RB"] * g.refractory
        roles += ["time", "tptr"] * g.spikes + [f"weight{r.number}" for r in g.readouts]
        pairs += [(g.name, role) for role in roles]
    pairs += [(i.name, "TB") for i in inputs]
    for p in pathways:
        pairs += [(p.name, role) for role in ("CB", "WB", "DB")]
    return tuple(pairs)


def _summary(groups, pathways):
    lines = []
    for g in groups:
        lines += [
            f"{g.name}: {line.strip()}"
            for line in g.adjoint.group.text.splitlines()
            if line.strip()
        ]
    return lines + [f"{p.name}: {p.text}" for p in pathways]
