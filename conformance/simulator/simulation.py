"""One trial of a file's network: flow, find the next event, apply it, go on.

At an event at t_e, which itself depends on the trained quantities, states and their derivatives are
carried to the moving time (x gets the derivative f dt_e), the event's code is applied to duals, and
they are carried back with f after the event.  That is the rule of saltation matrices, whatever
the event does.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from . import dual
from .dual import Real
from .network import Directions, Network, at, number, statements
from .polynomials import crossing, derivative, roots_near, value_at
from .readouts import Readouts

#: Terms of a Taylor series below this part of the largest are left out.
TOLERANCE = Real("1e-21")
LONGEST_STEP = Real("2e-3")
ORDERS = 36


class Crowded(ValueError):
    """A trial has two moments closer together, or a maximum closer to a threshold, than allowed."""


@dataclass
class Outcome:
    """The loss, spikes, readouts and gradients of one trial."""

    loss: Real
    spikes: dict
    readouts: list
    gradients: dict
    grazing: Real
    closest: Real
    losses: np.ndarray  # (rows,): of all copies, or the loss and its derivatives


@dataclass(order=True)
class Event:
    time: Real
    rank: int
    dual_time: np.ndarray = field(compare=False)
    act: tuple = field(compare=False)


class Simulation:
    """A trial; ``run()`` returns its `Outcome`.

    With `Copies` for directions it runs many copies of the network, whose parameters differ a bit,
    in one go: each has its own times, the first one decides what happens next.
    """

    def __init__(
        self, file, directions, longest=LONGEST_STEP, tolerance=TOLERANCE, orders=ORDERS,
        apart=0.0, clear=0.0,
    ):  # fmt: skip
        self.file, self.longest, self.tolerance = file, longest, tolerance
        #: The least that `closest` and `grazing` may become before the trial is given up.
        self.apart, self.clear = apart, clear
        self.network = Network(file, directions, orders)
        self.program, self.rows = self.network.program, self.network.rows
        self.x = self.network.initial()
        #: The time, a column with one entry, or one for each copy.
        self.t = np.zeros((self.rows if dual.are_copies() else 1, 1), dtype=Real)
        self.end = Real(file["duration"])
        self.queue, self.rank = [], 0
        self.spikes = {p.name: [] for p in self.network.groups}
        self.readouts = Readouts(file, self)
        #: How close the highest maximum of a threshold function below 0 comes, relatively, and how
        #: close two moments are: where digits get lost.
        self.grazing, self.closest, self.last_moment = Real(np.inf), Real(np.inf), Real(-1)
        self.pathways = {p.path: self._pathways(p) for p in self.network.synapses}
        self._push_inputs()

    def _pathways(self, p):
        directions = self.network.directions
        delay = directions.dual(f"{p.path}/delay", p.data.get("delay", 0.0))
        return {
            "delay": np.broadcast_to(delay, (self.rows, p.n)),
            "on_pre": statements(p.data.get("on_pre", ())),
            "on_post": statements(p.data.get("on_post", ())),
        }

    # ---- the queue ----

    def _push(self, when: np.ndarray, *act) -> None:
        self.rank += 1
        heapq.heappush(self.queue, Event(when[0, 0], self.rank, when, act))

    def _push_inputs(self) -> None:
        for name, data in self.file["inputs"].items():
            times = self.network.directions.dual(f"inputs/{name}/time", data["time"])
            for k, neuron in enumerate(data["neuron"]):
                self._send(name, neuron, times[:, k : k + 1], ())
        for when in self.readouts.times:
            self._push(dual.constant(when, self.rows), "sample", when)

    def _send(self, source: str, neuron: int, when, done) -> None:
        """Push the arrivals of a spike, but for those of synapses that are done."""
        for p in self.network.synapses:
            if p.data["source"] != source or not p.data.get("on_pre"):
                continue
            for k in np.flatnonzero(np.asarray(p.data["source_index"]) == neuron):
                if (p.path, k) not in done:
                    delay = self.pathways[p.path]["delay"][:, k : k + 1]
                    self._push(when + delay, "arrival", p, k)

    # ---- the flow ----

    def run(self) -> Outcome:
        self.readouts.watch(self.now())
        step = self.longest
        while True:
            due = np.full_like(self.t, self.end)
            if self.queue and self.queue[0].time < self.end:
                due = self.queue[0].dual_time[: len(self.t)]
            if self.t[0, 0] < due[0, 0]:
                step = self._step(due, min(self.longest, 2 * step))
                continue
            self.x = self._moved(due)
            if due[0, 0] >= self.end:
                break
            events = [heapq.heappop(self.queue)]
            while self.queue and np.array_equal(self.queue[0].dual_time, events[0].dual_time):
                events.append(heapq.heappop(self.queue))
            self._moment(events[0].dual_time, [e.act for e in events])
        self.readouts.watch(self.now())
        return self._outcome()

    def _moved(self, due):
        """Return the states at a time that copies have not quite reached."""
        if np.all(self.t == due):
            return self.x
        h = due - self.t
        X, last, _ = self.program.expand(self.x, self.t, h, self.tolerance)
        self.t = due
        return value_at(X[: last + 1], h)

    def _step(self, due, longest):
        """Go on by a step, or to the first crossing within it, and fire there."""
        rest = due - self.t
        wanted = rest * min(longest / rest[0, 0], 1)
        X, last, h = self.program.expand(self.x, self.t, wanted, self.tolerance)
        first = None
        for p, node in self.program.thresholds:
            found, margin = crossing(node.c[:last, 0], h[0, 0], p.active)
            self.grazing = min(self.grazing, margin)
            if self.grazing < self.clear:
                raise Crowded(f"a potential comes close to its threshold at {self.t[0, 0]} s")
            if found is not None and (first is None or found[0] < first[0]):
                first = found[0], p, found[1], node
        if first is None:
            self.readouts.maxima_within(h, last)
            self.x = value_at(X[: last + 1], h)
            self.t = due if np.all(h == rest) else self.t + h
            return h[0, 0]
        length, p, neuron, node = first
        c = node.c[:last, :, neuron : neuron + 1]
        if dual.are_copies():
            length = roots_near(c[:, :, 0], length * h / h[0, 0])
        else:
            length = np.full((1, 1), length, dtype=Real)
        self.readouts.maxima_within(length, last)
        self.x = value_at(X[: last + 1], length)
        self.t = self.t + length
        when = self.now()
        if not dual.are_copies():
            when[1:] = -value_at(c, length)[1:] / value_at(derivative(c[:, :1]), length)
        self._moment(when, [("spike", p, neuron)])
        return h[0, 0]

    def now(self) -> np.ndarray:
        """Return the time as a dual."""
        when = np.zeros((self.rows, 1), dtype=Real)
        when[: len(self.t)] = self.t
        return when

    # ---- events ----

    def _moment(self, when, acts) -> None:
        """Apply events that happen at one time, and the spikes that they set off at once."""
        if self.t[0, 0] > self.last_moment:
            self.closest = min(self.closest, self.t[0, 0] - self.last_moment)
            if self.closest < self.apart:
                raise Crowded(f"two events come close to each other at {self.t[0, 0]} s")
        self.last_moment = self.t[0, 0]
        if acts[0][0] == "sample" and len(acts) == 1:
            self.readouts.sample(acts[0][1], self.x)
            return
        if not dual.are_copies():
            self.x[1:] += self.program.flow(self.x, self.t) * when[1:]
        self.readouts.watch(when)
        for act in acts:
            getattr(self, f"_{act[0]}")(when, *act[1:])
        while lifted := self._lifted(when):
            self._spike(when, *lifted)
        self.readouts.watch(when)
        if not dual.are_copies():
            self.x[1:] -= self.program.flow(self.x, self.t) * when[1:]

    def _sample(self, when, at) -> None:
        raise ValueError("a value is read at the very time of an event")

    def _lifted(self, when):
        for p, _ in self.program.thresholds:
            above = self.evaluate(p, p.threshold, when)[0] * np.ones(p.n)
            for neuron in np.flatnonzero((above > 0) & p.active):
                return p, neuron
        return None

    def _arrival(self, when, p, k) -> None:
        self._apply(p, k, self.pathways[p.path]["on_pre"], when)

    def _release(self, when, p, neuron) -> None:
        p.active[neuron] = True

    def _spike(self, when, p, neuron) -> None:
        self.spikes[p.name].append((neuron, when))
        self.readouts.spike(p, neuron, when)
        done = self._at_once(when, p, neuron)
        for target, expression in p.reset:
            value = self.evaluate(p, expression, when)
            column = neuron if value.shape[1] > 1 else 0
            self.x[:, p.slices[target].start + neuron] = value[:, column]
        if p.data.get("refractory"):
            period = self.evaluate(p, p.data["refractory"], when)
            p.active[neuron] = False
            column = neuron if period.shape[1] > 1 else 0
            self._push(when + period[:, column : column + 1], "release", p, neuron)
        self._send(p.name, neuron, when, done)

    def _at_once(self, when, p, neuron) -> set:
        """Apply the code of synapses without delay, which comes before the reset."""
        done = set()
        for s in self.network.synapses:
            code = self.pathways[s.path]
            if s.data["source"] == p.name and code["on_pre"]:
                for k in np.flatnonzero(np.asarray(s.data["source_index"]) == neuron):
                    if code["delay"][0, k] == 0:
                        self._apply(s, k, code["on_pre"], when)
                        done.add((s.path, k))
        for s in self.network.synapses:
            code = self.pathways[s.path]
            if s.data["target"] == p.name and code["on_post"]:
                for k in np.flatnonzero(np.asarray(s.data["target_index"]) == neuron):
                    self._apply(s, k, code["on_post"], when)
        return done

    def _apply(self, s, k, code, when) -> None:
        """Run the statements of one synapse."""
        for target, expression in code:
            value = dual.evaluate(expression, lambda name: self._of(s, k, name, when), self.rows)
            p, state, column = self._place(s, k, target)
            if state in p.frozen and not p.active[column]:
                continue  # Brian2 does not write what stands still
            self.x[:, p.slices[state].start + column] = value[:, 0]

    def _place(self, s, k, name):
        """Whose variable a name in the code of a synapse is: (population, variable, column)."""
        if name in s.equations or name in s.parameters:
            return s, name, k
        stem, _, end = name.rpartition("_")
        source, target = self.network.ends[s.path]
        if end == "pre":
            return source, stem, s.data["source_index"][k]
        return target, stem if end == "post" else name, s.data["target_index"][k]

    def _of(self, s, k, name, when):
        if name == "t":
            return when
        p, variable, column = self._place(s, k, name)
        value = self.lookup(p, variable, when)
        return value if value.shape[1] == 1 else value[:, column : column + 1]

    def lookup(self, p, name, when):
        """Return the dual of a variable of a population, at the moving time of an event."""
        if name == "t":
            return when
        if name == "T":
            return dual.constant(self.end, self.rows)
        if name in p.slices:
            return self.x[:, p.slices[name]]
        if name in p.parameters:
            return p.parameters[name]
        return self.evaluate(p, p.sub[name], when)

    def evaluate(self, p, expression, when):
        return dual.evaluate(expression, lambda name: self.lookup(p, name, when), self.rows)

    def _outcome(self) -> Outcome:
        loss, values = self.readouts.finish()
        gradients = {}
        for path, first in self.network.directions.first.items():
            entry = number(at(self.file, path))
            part = loss[first : first + np.size(entry), 0]
            gradients[path] = part if isinstance(entry, list) else part[0]
        spikes = {
            name: ([int(k) for k, _ in found], [when[0, 0] for _, when in found])
            for name, found in self.spikes.items()
        }
        return Outcome(
            loss[0, 0], spikes, values, gradients, self.grazing, self.closest, loss[:, 0]
        )


def run(file: dict, trained=(), **options) -> Outcome:
    """Return the outcome of one trial, with the gradients by what is trained."""
    return Simulation(file, Directions(file, trained), **options).run()
