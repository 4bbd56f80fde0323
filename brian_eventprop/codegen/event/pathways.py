"""The code of one synaptic pathway in continuous time: synapse ``k`` onto neuron ``j``.

As in `event_groups`; ``W`` and ``CS`` hold the constants per synapse and common to the pathway,
``P`` and ``C`` those of the target.
"""

from __future__ import annotations

from brian_eventprop.adjoint.simultaneous import Arrival
from brian_eventprop.adjoint.symbolic.expressions import symbol
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED
from brian_eventprop.codegen.event.groups import name_weights
from brian_eventprop.codegen.expr.scope import Scope, reads

#: The synapses of a pathway by their targets, to find the arrivals of one neuron.
LATE = ("column", "pre", "late", "backs", "recent", "reach", "span", "dense")

#: What `look` knows of a pathway: the spikes of the last time, and its synapses.
LOOKING = ("near", "recent_spikes", "history", "where", "reach", "span", "dense", *LATE[:4])

#: What `arriving` knows of it.
ARRIVING = ("times", "senders", "recent_spikes", "places", "latest", *LATE[:3])


class EventPathwayCode:
    """Code of a pathway; the templates read its attributes."""

    def __init__(self, arrival: Arrival, scope: Scope, target, source, number: int):
        self.arrival, self.adjoint, self.scope = arrival, arrival.pathway, scope
        self.target, self.source, self.number = target, source, number
        self.name = self.adjoint.pathway.name
        # a comment ends with its line
        self.text = "; ".join(line.strip() for line in self.adjoint.pathway.text.splitlines())
        active, levels = self.adjoint.invariants.active, self.adjoint.invariants.levels
        self.shared_grads = [n for n in active if levels[n] == SHARED]
        self.element_grads = [n for n in active if levels[n] == PER_ELEMENT]
        self.states = [f"post__{s}" for s in target.states]
        self.delay_trained, self.outer = arrival.delay_trained, source.outer
        name_weights(scope, target.position)

    def a(self, role: str) -> str:
        """Identifier of a function or array of this pathway."""
        return self.scope.table(self.scope.owner, f"${role}")

    @property
    def sums(self) -> bool:
        """Whether a gradient of its synapses is wanted, if its arrivals come in batches."""
        return bool(self.element_grads) or self.delay_trained

    def load(self, names) -> list[str]:
        """Load states and adjoint of the target, its constants and those of the synapse."""
        ref, lines = self.scope.ref, []
        for k, s in enumerate(self.states):
            if s in names:
                lines.append(f"{ref(s)} = x[{k}]")
            if f"lam.{s}" in names:
                lines.append(f"{ref(f'lam.{s}')} = lam[{k}]")
        for name in sorted(names):
            level = self.scope.levels.get(name)
            if level == PER_ELEMENT:
                identifier = ref(name)
                lines.append(f"{identifier} = W[{self.scope.per_element.index(name)}, k]")
            elif level == SHARED:
                identifier = ref(name)
                lines.append(f"{identifier} = CS[{self.scope.shared.index(name)}]")
            elif name.startswith("post__") and name not in self.states:
                lines += self._post_constant(name)
            elif name.startswith("weight."):
                position = self.target.position[int(name.split(".")[1])]
                lines.append(f"{ref(name)} = WR[{position}, trial, j]")
        return lines

    def _post_constant(self, name):
        inner, scope = name.removeprefix("post__"), self.target.scope
        level, identifier = scope.levels.get(inner), self.scope.ref(name)
        if level == PER_ELEMENT:
            return [f"{identifier} = P[{scope.per_element.index(inner)}, j]"]
        if level == SHARED:
            return [f"{identifier} = C[{scope.shared.index(inner)}]"]
        return []

    def _by_mode(self, body):
        free = body(self.adjoint.free)
        if not self.target.has_frozen:
            return free
        frozen = body(self.adjoint.frozen)
        if frozen == free:
            return free
        lines = ["if frozen:", *(f"    {line}" for line in frozen)]
        return lines + ["else:", *(f"    {line}" for line in free)]

    def deliver(self) -> list[str]:
        """What an arrival writes."""
        return self._by_mode(self._deliver)

    def _deliver(self, rule):
        written = {s.target for s in rule.statements} & set(self.states)
        lines = self.load(reads(rule.statements) | written)
        lines += self.scope.statements(rule.statements)
        return (
            lines
            + [f"x[{k}] = {self.scope.ref(s)}" for k, s in enumerate(self.states) if s in written]
        ) or ["pass"]

    @property
    def looking(self) -> list[str]:
        """Arguments of the function that finds the synapses over which something may arrive."""
        return [self.a(role) for role in LOOKING]

    @property
    def arriving(self) -> list[str]:
        """Arguments of the function that collects the arrivals over them."""
        return [self.a(role) for role in ARRIVING]

    @property
    def after_reset(self) -> str:
        """When an arrival at a neuron that spikes at this time may as well come after its reset."""
        if self.last:
            return "True"
        free, frozen = self.arrival.after_reset
        if free == frozen:
            return str(free)
        return "not frozen" if free else "frozen"

    @property
    def last(self) -> bool:
        """Whether its arrivals may as well come after all that happens at once to their targets."""
        return self.arrival.last

    @property
    def grows_from_zero(self) -> bool:
        """Whether the gradient of a delay of 0 needs a rule of its own."""
        return self.target.by_event and self.arrival.grows_from_zero

    def rate(self) -> list[str]:
        """dL/d(time of the arrival), at a state of the target and its adjoint after the arrival."""
        return self._by_mode(
            lambda rule: [*self.load(reads(rule.rate)), f"return {self.scope.sympy(rule.rate)}"]
        )

    def back(self) -> list[str]:
        """Backwards through an arrival; leaves dL/d(time of the arrival) in `rate`.

        Where the target has conditions, that is only lambda . A_t: what its equations add reads
        their flags before and after the arrival.
        """
        return self._by_mode(self._back)

    def _back(self, rule):
        rate = rule.time if len(self.target.switches) else rule.rate
        wanted = {"rate": rate} | {f"bar.{n}": e for n, e in rule.parameters.items()}
        changed = {s: e for s, e in rule.lam.items() if e != symbol(f"lam.{s}")}
        wanted |= {f"new.{s}": e for s, e in changed.items()}
        lines = self.load(reads(wanted))
        parts, values = self.scope.shared_terms(wanted)
        lines += [*parts, f"rate = {values['rate']}"]
        for name in rule.parameters:
            value = values[f"bar.{name}"]
            if name in self.shared_grads:
                lines.append(f"grad_synapses_shared[{self.shared_grads.index(name)}] += {value}")
            else:
                lines.append(f"grad_weight[{self.element_grads.index(name)}, k] += {value}")
        lines += [f"{self.scope.ref(f'new.{s}')} = {values[f'new.{s}']}" for s in changed]
        return lines + [
            f"lam[{self.states.index(s)}] = {self.scope.ref(f'new.{s}')}" for s in changed
        ]

    # ---- calls ----
    def send(self, spikes: str, first: str, last: str) -> list[str]:
        """Put the arrivals of the spikes in rows first..last into the queues of their targets."""
        target = self.target
        pool = ", ".join(target.a(role) for role in ("pool", "used"))
        arrays = ", ".join(self.a(role) for role in ("rows", "post", "delay"))
        return [
            f"{pool} = send(",
            f"    {spikes}, {first}, {last}, {self.number}, {arrays},",
            f"    end, windows, {target.a('head')}, {pool})",
        ]

    def spread(self, t: str, neuron: str, q: str) -> list[str]:
        """Add the arrivals of spike `q` to the batches in which they are due."""
        g = self.target
        arrays = [self.a(role) for role in ("delay", "ticks")] + [g.a("bits")]
        arrays += [self.a(role) for role in ("B", "rows", "targets", "spots")]
        arrays += [g.a(role) for role in ("F", "rates", "amounts", "ring")]
        lines = [f"{self.a('spread')}({t}, {neuron}, window, windows, end, {', '.join(arrays)})"]
        if g.spikes:
            roles = ("times", "senders", "latest", "history", "where", "last")
            lines += [
                f"remember({', '.join(map(self.a, roles))}, {t}, {neuron}, {q}, window)",
                f"{self.a('last')} += 1",
            ]
        return lines

    def gather(self, with_time: str, t: str, neuron: str) -> str:
        """Return the sum of dL/d(time) over the arrivals of a spike."""
        g = self.target
        arrays = [self.a(role) for role in ("delay", "ticks")] + [g.a("bits")]
        arrays += [self.a(role) for role in ("B", "rows", "targets", "spots", "apart")]
        arrays += [g.a(role) for role in ("F", "rates", "due", "parted", "first_segment", "SEG")]
        arrays += [g.a("ring"), self.a("grad_sums")]
        call = f"{self.a('gather')}({with_time}, {t}, {neuron}, window, windows, end, "
        return f"{call}{', '.join(arrays)})"
