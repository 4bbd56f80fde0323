"""The code of one synaptic pathway in continuous time: synapse ``k`` onto neuron ``j``.

As in `codegen.event.groups`; ``W`` and ``CS`` hold the constants per synapse and common to the
pathway, ``P`` and ``C`` those of the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brian_eventprop.adjoint.pathways import PRE, SYNAPTIC
from brian_eventprop.adjoint.simultaneous import Arrival
from brian_eventprop.adjoint.symbolic.loop_invariant import PER_ELEMENT, SHARED
from brian_eventprop.codegen.event.parts import PartCode, by_mode
from brian_eventprop.codegen.expr.scope import Scope

#: The synapses of a pathway by their targets, to find the arrivals of one neuron.
LATE = ("column", "pre", "late", "backs", "recent", "reach", "span", "dense")

#: What `look` knows of a pathway: the spikes of the last time, and its synapses.
LOOKING = ("near", "recent_spikes", "history", "where", "reach", "span", "dense", *LATE[:4])

#: What `arriving` knows of it.
ARRIVING = ("times", "senders", "recent_spikes", "places", "latest", *LATE[:3])


class EventPathwayCode(PartCode):
    """Code of a pathway; the templates read its attributes."""

    element = "k"
    arrays = ("CS", "W", "grad_synapses_shared", "grad_weight")

    def __init__(
        self, arrival: Arrival, scope: Scope, target, source, number: int,
        home: EventPathwayCode | None = None, read_at_end: bool = False,
    ):  # fmt: skip
        pathway = arrival.pathway.pathway
        super().__init__(
            arrival.pathway, scope, [f"post__{s}" for s in target.states], target.position
        )
        self.name, self.arrival, self.number = pathway.name, arrival, number
        self.target, self.source, self.outer = target, source, source.outer
        self.delay_trained, self.synapses = arrival.delay_trained, pathway.synapses
        #: The pathway that has the states of the synapses: the first one of their object.
        self.home, self.read_at_end = home or self, read_at_end
        own = [f"{SYNAPTIC}{s}" for s in arrival.pathway.synaptic]
        self.synaptic = [] if arrival.pathway.of_group else own
        self.elsewhere = [*own, *(f"{PRE}{s}" for s in arrival.pathway.pre)]
        for k, s in enumerate(self.elsewhere):
            self.places[s] = target.width + k, target.n_states + k
        # a comment ends with its line
        self.text = "; ".join(line.strip() for line in pathway.text.splitlines())

    @property
    def touches_synapse(self) -> bool:
        """Whether its code reads or writes states of the synapse."""
        return bool(self.adjoint.synaptic)

    @property
    def sums(self) -> bool:
        """Whether a gradient of its synapses is wanted, if its arrivals come in batches."""
        return bool(self.element_grads) or self.delay_trained

    def _constant(self, name):
        if not name.startswith("post__"):
            return super()._constant(name)
        inner, scope = name.removeprefix("post__"), self.target.scope
        self.scope.ref(name)
        if scope.levels.get(inner) == PER_ELEMENT:
            return f"P[{scope.per_element.index(inner)}, j]"
        if scope.levels.get(inner) == SHARED:
            return f"C[{scope.shared.index(inner)}]"
        return ""

    def _by_mode(self, body):
        free = body(self.adjoint.free)
        if not self.target.has_frozen:
            return free
        frozen = body(self.adjoint.frozen)
        return free if frozen == free else by_mode(frozen, free)

    def deliver(self) -> list[str]:
        """What an arrival writes."""
        return self._by_mode(lambda rule: self.write(rule.statements) or ["pass"])

    def _stored(self, role: str, state: int, synapse: str) -> str:
        """Where a state of a synapse stands, or its adjoint."""
        return f"{self.home.a(role)}[{state}, {self.a('created')}[{synapse}]]"

    def take(self, x: str) -> list[str]:
        """Put the states of a synapse behind those of its target."""
        return [
            f"{x}[{self.places[s][0]}] = {self._stored('synaptic', k, 'synapse')}"
            for k, s in enumerate(self.synaptic)
        ]

    def put_back(self, x: str) -> list[str]:
        """Take the states of a synapse from there, after an event."""
        written = {s.target for s in self.adjoint.free.statements}
        return [
            f"{self._stored('synaptic', k, 'synapse')} = {x}[{self.places[s][0]}]"
            for k, s in enumerate(self.synaptic)
            if s in written
        ]

    # ---- coupled neurons, whose states are all in one vector ----
    def stored_together(self, groups: Mapping[str, Any]) -> list[str]:
        """Return where each state besides the target's stands in the vector of all states."""
        pathway, found = self.adjoint.pathway, []
        for s in self.elsewhere:
            name = s.partition("__")[2]
            if s in self.synaptic:
                first, width, row = (
                    self.home.a("offset"),
                    len(self.synaptic),
                    self.synaptic.index(s),
                )
                member = f"{self.a('created')}[k]"
            else:
                before = s.startswith(PRE)
                group = groups[pathway.pre_group if before else pathway.synapses]
                first, width, row = group.a("offset"), group.width, group.states.index(name)
                member = f"{self.a('senders' if before else 'created')}[k]"
            found.append(f"{first} + {member} * {width} + {row}")
        return found

    @property
    def take_adjoint(self) -> list[str]:
        """Put the adjoint of the states of synapse ``k`` behind that of its target."""
        return [
            f"lam[{self.places[s][1]}] = {self._stored('lam_synaptic', k, 'k')}"
            for k, s in enumerate(self.synaptic)
        ]

    @property
    def put_adjoint_back(self) -> list[str]:
        """Take it from there."""
        return [
            f"{self._stored('lam_synaptic', k, 'k')} = lam[{self.places[s][1]}]"
            for k, s in enumerate(self.synaptic)
        ]

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
        if self.arrival.last:
            return "True"
        free, frozen = self.arrival.after_reset
        if free == frozen:
            return str(free)
        return "not frozen" if free else "frozen"

    @property
    def grows_from_zero(self) -> bool:
        """Whether the gradient of a delay of 0 needs a rule of its own."""
        return self.target.by_event and self.arrival.grows_from_zero

    def rate(self) -> list[str]:
        """dL/d(time of the arrival), at a state of the target and its adjoint after the arrival."""
        return self._by_mode(lambda rule: self.value(rule.rate))

    def back(self) -> list[str]:
        """Backwards through an arrival; leaves dL/d(time of the arrival) in `rate`.

        Where the target has conditions or is coupled, that is only lambda . A_t: what equations add
        reads the flags, or the other neurons, before and after the arrival.
        """
        flagged = bool(len(self.target.switches)) or self.target.setting.coupled
        return self._by_mode(lambda rule: self.jump_back(rule, rule.time if flagged else rule.rate))

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
