"""Parameters of the generated functions of a group, and what the kernels pass for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from brian_eventprop.codegen.event.groups import EventGroupCode
from brian_eventprop.codegen.event.pathways import EventPathwayCode
from brian_eventprop.codegen.event.work import back_roles, has_partials, scratch_roles

#: What `subthreshold` knows of a group that takes its arrivals in batches.
SUBTHRESHOLD = ("PHI", "SUM", "GUARD", "MARGIN", "EACH", "EFFECT", "F", "rates")

#: What the search for the first stretch with a crossing knows of it besides.
SEARCH = ("MODES", "SUM", "EACH", "EFFECT", "rates")

#: Where the neurons that may spike in a window keep their arrivals and states.
WINDOW_SCRATCH = ("arrivals", "queued", "moments", "ranks", "profile", "x", "y", "z", "stack")


@dataclass(frozen=True)
class Signature:
    """Names of the parameters of a function, and of what a kernel passes for them."""

    parameters: tuple[str, ...]
    arguments: tuple[str, ...]


def constants(g: EventGroupCode) -> list[str]:
    """Return the roles of the constants of a group."""
    return ["C", "P", *["K"] * g.closed]


def maxima(g: EventGroupCode) -> list[str]:
    """Return the roles of the events of maxima, and of the times from them to the maxima."""
    return ["ME", "MS"] * bool(g.maxima)


def timed_values(g: EventGroupCode) -> list[str]:
    """Return the roles of the cells, rows, columns and values of timed arrays.

    Besides of where regular code runs: what neurons need to know at a break.
    """
    cells = ["cells", "trials", "column"] * bool(g.timed_values)
    values = [f"timed{k}" for k in range(len(g.timed_values))]
    return [*cells, *values, *["regular"] * bool(g.regular)]


def sample_rows(g: EventGroupCode) -> list[str]:
    """Return the role of the rows of what is read out or recorded at each break."""
    return ["sample_row"] * bool(g.at_times)


@dataclass(frozen=True, eq=False)
class GroupSignatures:
    """Signatures of the functions of a group.

    Attributes
    ----------
    group, incoming
        The code of the group and of the pathways into it.
    """

    group: EventGroupCode
    incoming: tuple[EventPathwayCode, ...]

    def _of(self, roles: Iterable[str], more: Iterable[str] = ()) -> Signature:
        """Parameters by role, and more that are called as the arrays themselves."""
        roles, more = tuple(roles), tuple(more)
        return Signature(roles + more, (*map(self.group.a, roles), *more))

    @cached_property
    def _synapses(self):
        """The constants of the pathways."""
        return [p.a(role) for p in self.incoming for role in ("C", "W")]

    @property
    def _states_of_synapses(self):
        """The states of the synapses onto the group, and where those of each pathway stand."""
        found = [p.a("synaptic") for p in self.incoming if p.synaptic and p.home is p]
        return found + [p.a("created") for p in self.incoming if p.synaptic]

    @property
    def returned(self) -> list[str]:
        """The roles of what a window returns."""
        g = self.group
        spikes, upstrokes = ["spikes", "count"] * g.spikes, ["upstrokes", "kept"] * g.stepped
        return ["event_log", "events", *spikes, *upstrokes]

    @property
    def carried(self) -> list[str]:
        """What a kernel carries from one window to the next."""
        return [self.group.a(role) for role in self.returned]

    @cached_property
    def window(self) -> Signature:
        """All neurons within one window of time."""
        g = self.group
        hint = ["hint"] * (g.skip_quiet or not g.closed)
        state = ["X", "now", "until", "head", "pool", *hint, *["latest"] * g.latest]
        own = [*state, *self.returned, *constants(g), *["period"] * g.fixed_period]
        own += ["VR", *maxima(g)]
        own += [*["breaks", "piece"] * g.breaks, *sample_rows(g), *timed_values(g)]
        if not g.batched:
            return self._of(own + scratch_roles(g), self._synapses + self._states_of_synapses)
        own += ["candidates", "XN", *SEARCH]
        found = (dict.fromkeys(p.looking + p.arriving) for p in self.incoming)
        return self._of(own, (name for names in found for name in names))

    @property
    def _spiking(self):
        """The roles of what the backward pass through spikes reads and writes."""
        roles = [
            "spikes", "d_spike_time", "time", "slope_floor", "crossing_slope", "d_release",
            "d_caused",
        ]  # fmt: skip
        roles *= self.group.spikes
        return roles + ["grad_refractory"] * self.group.fixed_period

    @cached_property
    def back(self) -> Signature:
        """Backwards through the events of a window."""
        g = self.group
        own = ["event_log", "now", *constants(g), "WR", "grad_shared", "grad_neuron"]
        own += ["grad_initial", *self._spiking, *["count_surrogate"] * g.has_count_surrogate]
        own += [*["upstrokes"] * g.stepped, *["ends"] * bool(len(g.switches)), *maxima(g)]
        own += [*timed_values(g), *g.timed_gradients, *sample_rows(g)]
        own += ["newest", "LATER"] * g.from_zero
        into = []
        for p in self.incoming:
            roles = ["C", "W", "grad_shared", "grad_weight", *["grad_delay"] * p.delay_trained]
            into += [p.a(role) for role in (*roles, *["delay"] * p.grows_from_zero)]
            into += [p.a("lam_synaptic")] * bool(p.synaptic and p.home is p)
            into += [p.a("created")] * bool(p.synaptic)
        sources = dict.fromkeys(p.source for p in self.incoming)
        into += [source.a("d_spike_time") for source in sources if source is not g]
        own += [*back_roles(g), *["partials"] * has_partials(g)] * (not g.batched)
        return Signature((*own, "LAM", *into), (*map(g.a, own), g.a("lam"), *into))

    @property
    def happen(self) -> list[str]:
        """What the function that lets events of one time happen is given last."""
        return [*timed_values(self.group), *self._synapses]

    # ---- without windows ----
    @cached_property
    def follow(self) -> Signature:
        """Let the states that stand for timed arrays follow them."""
        return self._of(timed_values(self.group))

    @property
    def _alone(self):
        """The roles of the state, the constants and the scratch of a neuron by itself."""
        g = self.group
        state = ["X", "now", "until", "ahead", "expected", *["stride"] * (not g.quick)]
        search = ["z", "stack", *["hint", "k", "path", "upstrokes", "kept"] * (not g.closed)]
        return [*state, *constants(g), *search, *["event_log", "latest"] * g.latest]

    @property
    def _read_out(self):
        g = self.group
        scratch = ["w", *["dx"] * (not g.closed)] * bool(g.maxima)
        return ["VR", *maxima(g), *scratch]

    @cached_property
    def predict(self) -> Signature:
        """When and what a neuron does next by itself."""
        g = self.group
        inside = ["trial", *self._read_out] * (bool(g.maxima) and not g.closed)
        roles = (*self._alone, *inside, *["breaks", "piece"] * g.breaks)
        return Signature(roles, tuple(r if r == "trial" else g.a(r) for r in roles))

    @cached_property
    def advance(self) -> Signature:
        """Bring a neuron to a time."""
        return self._of(self._alone + self._read_out)

    # ---- batched arrivals ----
    @property
    def window_scratch(self) -> list[str]:
        """Space for the arrivals and states of the neurons that may spike in a window."""
        return [self.group.a(role) for role in WINDOW_SCRATCH]

    @property
    def subthreshold(self) -> Signature:
        """Take all neurons to the end of a window but those that may spike in it."""
        before, after = ("ACC", "X", "XN", "until"), ("candidates", "upper_bounds")
        return self._of((*before, *SUBTHRESHOLD, *after))

    @property
    def finish(self) -> Signature:
        """Log the end of a trial for all neurons."""
        return self._of(["X", "until", "event_log", "events", "C", "P", "VR"])

    @property
    def part(self) -> Signature:
        """Backwards through the events of a window, neurons with events only."""
        g = self.group
        own = ["event_log", "C", "P", "K", "WR", "grad_shared", "grad_neuron", *self._spiking]
        own += ["count_surrogate"] * g.has_count_surrogate
        before, after = ["PH", "segment", "SUM", "F", "rates"], ["SEG", "segments", "done", "x"]
        arguments = (*before, *own, "lam", "stopped", *after)
        return Signature((*before, *own, "LAM", "stopped", *after), tuple(map(g.a, arguments)))

    @property
    def sweep(self) -> Signature:
        """Backwards through a window, all neurons without events in it."""
        roles = ("PH", "PHI", "SUM", "F", "K", "lam", "stopped", "done")
        parameters = tuple("LAM" if role == "lam" else role for role in roles)
        return Signature(parameters, tuple(map(self.group.a, roles)))
