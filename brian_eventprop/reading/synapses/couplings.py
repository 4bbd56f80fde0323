"""`(summed)` variables and linked variables as the `Coupling` objects of the specification."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import names
from brian_eventprop.reading.equations.own_steps import statements_of
from brian_eventprop.reading.equations.statements import (
    Block,
    code_text,
    read_block,
    resolve,
    spell_out_all,
    without_unused,
)
from brian_eventprop.reading.equations.symbols import (
    Collection,
    add_symbols,
    linked_neurons,
    synapses_symbol,
)
from brian_eventprop.reading.groups import GroupCode
from brian_eventprop.reading.spec import LINK, TERM, Coupling, Group, Statement, Symbol
from brian_eventprop.reading.synapses.groups import SynapseGroupCode
from brian_eventprop.reading.synapses.pathways import (
    add_parameters,
    connections,
    parent,
    use_indices,
)
from brian_eventprop.reading.unsupported import (
    check_linked,
    check_reserved,
    check_schedule,
    line_with,
    unsupported,
)


@dataclass(frozen=True)
class SummedCode:
    """The code of a `(summed)` variable, before the states of the groups are known."""

    synapses: Any
    updater: Any
    block: Block

    @property
    def name(self) -> str:
        """The name of the summed updater."""
        return self.updater.name

    @property
    def group(self):
        """The group whose variable it is."""
        return parent(self.updater.target)

    @property
    def state(self) -> str:
        """The name of the variable in that group."""
        return self.updater.target_var.name

    @property
    def ends(self) -> tuple[str, str, str]:
        """The names of the source and the target, and the end that has the variable."""
        side = "pre" if self.updater.target_varname.endswith("_pre") else "post"
        return parent(self.synapses.source).name, parent(self.synapses.target).name, side

    @property
    def text(self) -> str:
        """The equation as the user wrote it."""
        return f"{self.updater.target_varname} = {self.updater.expression.code} (summed)"


@dataclass(frozen=True)
class LinkCode:
    """A linked variable of a group, and the variable and the neurons that it stands for."""

    group: Any
    state: str
    variable: Any
    neurons: np.ndarray

    @property
    def name(self) -> str:
        """A name for it among the objects of the network."""
        return f"{self.group.name}_linked_{self.state}"

    @property
    def text(self) -> str:
        """What it is linked to, in words."""
        return f"{self.state} = {self.variable.name} of {self.variable.owner.name} (linked)"


def read_summed_code(synapses, namespace: Mapping) -> list[SummedCode]:
    """Check the `(summed)` variables of a `Synapses` object and read their code."""
    found = []
    for updater in synapses.summed_updaters.values():
        if not isinstance(parent(updater.target), brian.NeuronGroup | brian.Synapses):
            reason = f"'{parent(updater.target).name}' has no variables of its own"
            raise unsupported(synapses, updater.name, reason, "Sum into a NeuronGroup.")
        check_schedule(synapses, updater, "groups")
        expression = updater.expression.code
        check_reserved(synapses, expression)
        code = f"{TERM} = {expression}"
        variables = use_indices(synapses, resolve(synapses, code, namespace))
        everything = "\n".join([expression, *map(str, synapses.equations.values())])
        block = read_block(synapses, code, variables, user_code=everything)
        found.append(SummedCode(synapses, updater, block))
    return found


def read_links(group, names: Container[str] | None = None) -> list[LinkCode]:
    """Return the linked variables of a group, or those of `Synapses` that equations read."""
    check_linked(group)
    found = []
    for name in sorted(group._linked_variables):
        if names is not None and name not in names:
            continue
        variable, index = group.variables[name], group.variables.indices[name]
        if isinstance(variable, brian.Subexpression):
            reason = f"it is linked to the subexpression '{variable.name}'"
            way_out = "Link to the variables that it is made of."
            raise unsupported(group, f"{name} (linked)", reason, way_out)
        found.append(LinkCode(group, name, variable, linked_neurons(group, index)))
    return found


def add_coupled_states(
    states: dict[str, tuple[str, ...]], summed: Iterable[SummedCode], links: Iterable[LinkCode]
) -> None:
    """Add the variables that others are summed into, and those linked to states."""
    summed, spans = list(summed), {}
    for code in summed:
        _check_only_summed(code, states)
        _check_span(code, spans.setdefault((code.group.name, code.state), []))
    for link in links:
        _check_unwritten(link, states)
    for code in summed:
        own = states.get(code.group.name, ())
        states[code.group.name] = tuple(dict.fromkeys((*own, code.state)))
    before = dict(states)
    for link in links:
        owner = link.variable.owner.name
        if link.variable.name in before.get(owner, ()):
            own = states.get(link.group.name, ())  # those of Synapses are not known yet
            states[link.group.name] = (*own, link.state)


def _check_only_summed(code: SummedCode, states) -> None:
    if code.state in states.get(code.group.name, ()):
        reason = f"events change '{code.state}', too, and Brian2 overwrites it at every step"
        raise unsupported(code.synapses, code.text, reason, "Use two variables.")


def _span(code: SummedCode) -> tuple[int, int]:
    """The first neuron and the last one (excluded) whose variable is a sum."""
    end = code.updater.target
    return int(getattr(end, "start", 0)), int(getattr(end, "stop", len(end)))


def _check_span(code: SummedCode, others: list[tuple[int, int]]) -> None:
    """Refuse two sums into one variable of a neuron, as Brian2 does when it runs."""
    start, stop = _span(code)
    if any(start < last and first < stop for first, last in others):
        reason = f"another one is summed into '{code.state}' of '{code.group.name}'"
        raise unsupported(code.synapses, code.text, reason, "Use a variable for each.")
    others.append((start, stop))


def _check_unwritten(link: LinkCode, states) -> None:
    if link.state in states.get(link.group.name, ()):
        reason = f"events write it, and it belongs to '{link.variable.owner.name}'"
        raise unsupported(
            link.group, f"{link.state} (linked)", reason, "Use a variable of its own."
        )


def all_linked_neurons(links: Iterable[LinkCode]) -> dict[str, dict[str, np.ndarray]]:
    """Return by group the neurons that each linked variable stands for."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for link in links:
        found.setdefault(link.group.name, {})[LINK + link.state] = link.neurons
    return found


# --- the specification ------------------------------------------------------------------------


def build_couplings(
    summed: Sequence[SummedCode],
    links: Sequence[LinkCode],
    groups: Mapping[str, GroupCode | SynapseGroupCode],
    collection: Collection,
) -> tuple[tuple[Coupling, ...], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return the couplings in Brian2's order, and the ends of the synapses of each."""
    summed = sorted(summed, key=lambda code: _place(code.updater))
    links = [link for link in links if link.state in collection.states[link.group.name]]
    found, ends = [], {}
    for number, code in enumerate(summed):
        coupling = _summed(code, groups, collection)
        # a sum that Brian2 computes later still is that of the time step before
        later = {(other.group.name, other.state) for other in summed[number:]}
        for owner, state in sorted(later & coupling.reads):
            copy = _copy(owner, state, len(groups[owner].group))
            coupling = _reading(coupling, owner, state, copy.state)
            if copy.name not in ends:
                found.append(copy)
                ends[copy.name] = np.arange(copy.size), np.arange(copy.size)
        found.append(coupling)
        ends[code.name] = _coupled_neurons(code, coupling)
    found += [_linked(link, groups) for link in links]
    ends |= {link.name: (link.neurons, np.arange(len(link.group))) for link in links}
    for coupling in found:
        if isinstance(groups[coupling.receiver], GroupCode):  # synapses have neither
            _check_uses(groups[coupling.receiver], coupling)
    return tuple(found), ends


def _copy(owner: str, state: str, size: int) -> Coupling:
    """A coupling that keeps a state of each neuron as it is before it is computed anew.

    No name of the user's begins with an underscore.
    """
    symbol = Symbol(state, "state", state, (owner, state), "pre")
    return Coupling(
        f"{owner}__before_{state}", owner, owner, owner, "post", f"_before_{state}", size,
        {state: symbol}, (Statement(TERM, state),), (0, size), text=f"{state} of the step before",
    )  # fmt: skip


def _reading(coupling: Coupling, owner: str, state: str, copy: str) -> Coupling:
    """Let a coupling read the copy of a state."""
    ends = {"pre": coupling.source, "post": coupling.target}
    symbols = {
        name: replace(s, variable=copy, key=(owner, copy))
        if (s.kind, s.variable, ends.get(s.side)) == ("state", state, owner)
        else s
        for name, s in coupling.symbols.items()
    }
    return replace(coupling, symbols=symbols)


def with_copies(groups: Mapping[str, Group], couplings: Iterable[Coupling]) -> dict[str, Group]:
    """Return groups with the states in which couplings keep others as they were."""
    found = dict(groups)
    for coupling in couplings:
        group = found[coupling.receiver]
        if coupling.state not in group.states:
            found[group.name] = replace(group, states=(*group.states, coupling.state))
    return found


def _place(updater) -> tuple[int, str]:
    """Where Brian2 runs something among all that is in the same slot."""
    return updater.order, updater.name


def in_order(groups: Iterable[GroupCode]) -> list[GroupCode]:
    """Return groups in the order in which Brian2 updates them."""
    return sorted(groups, key=lambda code: _place(code.group.state_updater))


def _summed(code: SummedCode, groups, collection: Collection) -> Coupling:
    synapses = code.synapses
    statements = without_unused(spell_out_all(code.block.statements), [TERM])
    if (every := collection.every(code.updater.clock)) > 1:
        statements = statements_of(statements, code.updater.clock)
    used = {name for s in statements for name in names(s.expression)}

    def find(name, variable, collection):
        return synapses_symbol(synapses, name, variable, collection, code.text)

    symbols: dict[str, Symbol] = {}
    add_symbols(symbols, used, code.block.variables, find, collection)
    add_parameters(synapses, collection)
    _check_not_linked(code, symbols)
    source, target, side = code.ends
    if any(_of_synapses(code, s) for s in symbols.values()):
        symbols = {name: _seen_from_synapses(code, name, s) for name, s in symbols.items()}
        source, target, side = synapses.name, code.group.name, "post"
    ends = {"pre": source, "post": target}
    read = {ends[symbol.side] for symbol in symbols.values() if symbol.kind == "state"}
    updaters = (groups[name].group.state_updater for name in {*read, code.group.name})
    late = any(u is not None and _place(u) < _place(code.updater) for u in updaters)
    return Coupling(
        code.name, synapses.name, source, target, side, code.state, len(synapses), symbols,
        statements, _span(code), late, code.text, every,
    )  # fmt: skip


def _check_not_linked(code: SummedCode, symbols: Mapping[str, Symbol]) -> None:
    """Refuse states of neurons at neither end of the synapses."""
    for name, symbol in symbols.items():
        if symbol.kind == "state" and symbol.side.startswith(LINK):
            reason = f"it reads '{name}', which is linked to a state of '{symbol.key[0]}'"
            way_out = "Let a variable of the connected neurons be linked, and sum that."
            raise unsupported(code.synapses, code.text, reason, way_out)


def _of_synapses(code: SummedCode, symbol: Symbol) -> bool:
    """Whether a symbol is a state of the synapses themselves."""
    return symbol.kind == "state" and symbol.key[0] == code.synapses.name


def _seen_from_synapses(code: SummedCode, name: str, symbol: Symbol) -> Symbol:
    """Return a symbol for a coupling from each synapse to the neuron whose variable is a sum.

    The synapses with their states are the source of such a coupling, so it knows the neurons of
    one end only.
    """
    if _of_synapses(code, symbol):
        return replace(symbol, side="pre")
    if symbol.kind not in ("state", "neuron") or symbol.side.startswith(LINK):
        return symbol
    if symbol.side == code.ends[2]:
        return replace(symbol, side="post")
    reason = f"it reads '{name}' of one neuron and states of the synapse for the other neuron"
    way_out = (
        f"Give the synapses a parameter with the values of '{name}', if it is constant, or sum in "
        "two steps, with Synapses for each."
    )
    raise unsupported(code.synapses, code.text, reason, way_out)


def _coupled_neurons(code: SummedCode, coupling: Coupling) -> tuple[np.ndarray, np.ndarray]:
    """Return the member of each end that a synapse couples."""
    pre, post = connections(code.synapses)
    if coupling.source != code.synapses.name:
        return pre, post
    return np.arange(len(pre)), post if code.ends[2] == "post" else pre


def _linked(link: LinkCode, groups: Mapping[str, GroupCode]) -> Coupling:
    owner, variable = link.variable.owner.name, link.variable.name
    statement = f"{link.state} (linked)"
    if owner == link.group.name:
        reason = (
            "it is linked to a state of its own group, and Brian2's targets disagree about whether "
            "a neuron sees the others before or after their state update"
        )
        way_out = "Use a (summed) variable of Synapses within the group."
        raise unsupported(link.group, statement, reason, way_out)
    late = _place(groups[owner].group.state_updater) < _place(link.group.state_updater)
    size, symbol = len(link.group), Symbol(variable, "state", variable, (owner, variable), "pre")
    return Coupling(
        link.name, link.group.name, owner, link.group.name, "post", link.state, size,
        {variable: symbol}, (Statement(TERM, variable),), (0, size), late, link.text,
    )  # fmt: skip


def check_constant_synapses(
    summed: Iterable[SummedCode], pathways: Iterable, groups: Container[str]
) -> None:
    """Refuse sums of a synaptic variable that events change, of synapses without equations."""
    for code in summed:
        if code.synapses.name in groups:
            continue
        used = {name for s in code.block.statements for name in names(s.expr)}
        for pathway in pathways:
            if pathway.synapses is not code.synapses:
                continue
            changed = used & set(pathway.block.written) & set(code.synapses.equations.names)
            if changed:
                reason = f"events change '{min(changed)}' of the synapse"
                way_out = "Sum a parameter of the synapse, or use Synapses of their own."
                raise unsupported(code.synapses, code.text, reason, way_out)


def _check_uses(code: GroupCode, coupling: Coupling) -> None:
    """Refuse thresholds and resets that read a coupled state: only equations may."""
    group, state = code.group, coupling.state
    for block, texts in ((code.threshold, group.events), (code.reset, group.event_codes)):
        if any(state in names(s.expr) for s in (block.statements if block else ())):
            line = line_with(code_text(texts["spike"]), [state])
            reason = f"'{state}' follows other neurons, and its own slope is not known there"
            way_out = "Let it drive a differential equation."
            raise unsupported(group, line, reason, way_out)
