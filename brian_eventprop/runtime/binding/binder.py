"""Numbers into the arrays that the kernels read, and gradients back to the parameters' keys.

One `ParameterBinder` per group or pathway: it looks the values of names up, computes the constants
(see `codegen.expr.parameter_map`), packs those that the kernels use, and afterwards takes the
summed gradients back through the same statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import numpy as np

from brian_eventprop.adjoint.groups import PERIOD
from brian_eventprop.codegen.clock.network import ClockModule
from brian_eventprop.kernels.clock.per_spike import LANES
from brian_eventprop.plan.layouts import limits
from brian_eventprop.reading.delays import check_delays
from brian_eventprop.reading.spec import LINK, Key, NetworkValues, Symbol
from brian_eventprop.runtime.array_passes import LONG, ArrayPasses, fill_offsets, gather
from brian_eventprop.runtime.binding.constants import check_constants, check_digits, divisors
from brian_eventprop.runtime.binding.near_rates import near_rates

Values = Mapping[Key, np.ndarray]

#: Most places per synapse where rows are filled up to whole lanes.  If all rows are alike, the
#: machine foresees their ends; else a wrong guess costs as much as several synapses.
FILLED, FILLED_UNLIKE = 1.5, 6.0


def quietly(function, v):
    """Call a function of the parameter map; what is not finite is looked for afterwards."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return function(v)


class ParameterBinder:
    """Constants of one group or pathway.

    Parameters
    ----------
    code
        The generated code of the group or pathway.
    parameter_map
        The module of the parameter map's functions.
    symbols
        What its names stand for.
    size
        Number of neurons or synapses.
    dt
        Brian2's time step in seconds.
    owner
        The Brian2 object, whose variables have one value per neuron or synapse.
    """

    def __init__(
        self, code, parameter_map: ModuleType, symbols: Mapping[str, Symbol], size: int, dt: float,
        owner: str,
    ):  # fmt: skip
        self.code, self.symbols, self.size, self.dt, self.owner = code, symbols, size, dt, owner
        self.prepare = getattr(parameter_map, f"prepare_{code.name}")
        self.vjp = getattr(parameter_map, f"vjp_{code.name}")
        self.indices: dict[str, np.ndarray] = {}
        self.divisors = divisors(code.adjoint)
        self.near = None
        of_kind = {kind: [] for kind in ("number", "shared", "neuron", "synapse", "index")}
        for name, symbol in symbols.items():
            of_kind.get(symbol.kind, []).append((name, symbol))
        self._numbers = {"dt": dt} | {name: symbol.value for name, symbol in of_kind["number"]}
        self._shared = [(name, symbol.key) for name, symbol in of_kind["shared"]]
        each = [*of_kind["neuron"], *of_kind["synapse"], *of_kind["index"]]
        self._each = [(name, symbol.key, self._side(symbol)) for name, symbol in each]
        invariants = code.adjoint.invariants
        self._prepares = bool(invariants.shared or invariants.per_element)
        self._no_gradients = {f"lam.{name}": 0.0 for name in invariants.active}
        self._gradient_names = [f"lam.{name}" for name in (*code.shared_grads, *code.element_grads)]

    @property
    def keys(self) -> list[Key]:
        """The keys of all values that the constants are made of."""
        return [key for _, key in self._shared] + [key for _, key, _ in self._each]

    def bind(self, values: Values) -> dict[str, np.ndarray]:
        """Return the value of every constant by its name."""
        v = self._numbers.copy()
        for name, key in self._shared:
            v[name] = values[key][0]
        for name, key, side in self._each:
            v[name] = values[key][self.indices[side]] if side else values[key]
        if self._prepares:
            quietly(self.prepare, v)
        check_constants(self, v)
        if self.near is not None:
            check_digits(self, self.near, v)
        return v

    def _side(self, symbol) -> str | None:
        """The end of the synapses whose neurons have the values; None if they are its own.

        Or the link of a variable that is another group's parameter.
        """
        if symbol.side.startswith(LINK):
            return symbol.side
        return symbol.side if symbol.side and symbol.key[0] != self.owner else None

    def shared(self, v, dtype) -> np.ndarray:
        """Pack the values common to all."""
        return np.array([v[n] for n in self.code.scope.shared], dtype)

    def per_element(self, v, dtype, order=None, passes: ArrayPasses | None = None) -> np.ndarray:
        """Pack the values per neuron or synapse, one row per name; long ones in ``passes``."""
        names = self.code.scope.per_element
        rows = np.empty((len(names), self.size if order is None else len(order)), dtype)
        for row, name in zip(rows, names, strict=True):
            value = v[name]
            if order is None or np.ndim(value) == 0:
                row[:] = value
            elif passes and len(order) >= LONG and value.dtype == float:
                passes.add(gather, len(order), row, value, order)
                continue
            else:
                row[:] = value[order]
            if len(row) > self.size:
                row[order < 0] = 0  # padding
        return rows

    def gradients(self, v, shared_grads, element_grads, into: dict[Key, np.ndarray]) -> None:
        """Pull summed gradients back and add them to the gradients by key."""
        invariants = self.code.adjoint.invariants
        if not any(self.symbols[name].key in into for name in invariants.adjoint.results):
            return
        grads = dict(zip(self._gradient_names, (*shared_grads, *element_grads), strict=True))
        v = {**v, **self._no_gradients, **grads}
        results = quietly(self.vjp, dict(v))
        self.scatter(self.near.vjp(results, v) if self.near else results, into)

    def scatter(self, results: Mapping[str, np.ndarray], into: dict[Key, np.ndarray]) -> None:
        """Add gradients of names to the gradients of their keys."""
        for name, grad in results.items():
            symbol = self.symbols[name]
            if symbol.key not in into:
                continue
            if symbol.kind == "shared":
                into[symbol.key] += np.sum(grad)
            elif self._side(symbol):
                np.add.at(into[symbol.key], self.indices[symbol.side], grad)
            else:
                into[symbol.key] += grad


class GroupBinder(ParameterBinder):
    """Constants, initial states and refractory steps of a group."""

    def __init__(self, code, parameter_map, dt, links: Mapping[str, np.ndarray] = {}):
        group = code.adjoint.group
        symbols = dict(group.symbols)
        for readout in code.readout_symbols:
            symbols |= readout
        super().__init__(code, parameter_map, symbols, group.size, dt, group.name)
        self.near = near_rates(code.adjoint.invariants) if group.method == "exact" else None
        self.parameter_map, self.indices = parameter_map, dict(links)

    def initial(self, values: Values, dtype) -> np.ndarray:
        """Return the initial states, one row per state."""
        group = self.code.adjoint.group
        rows = np.empty((len(self.code.states), self.size), dtype)
        for row, state in zip(rows, self.code.states, strict=True):
            # what stands for a timed array has no initial value of its own
            row[:] = values.get(group.start(state), 0.0)
            if not np.all(np.isfinite(row)):
                at = int(np.argmin(np.isfinite(row)))
                raise FloatingPointError(
                    f"NeuronGroup '{self.code.name}': '{state}' of neuron {at} is {row[at]} at the "
                    "beginning of a trial: set it before the model is made"
                )
        return rows

    def period(self, v) -> np.ndarray:
        """Return the refractory period of each neuron, or one for all, in seconds."""
        period = np.asarray(
            getattr(self.parameter_map, f"refractory_{self.code.name}")(v), dtype=float
        )
        if not np.all(np.isfinite(period)):
            at = int(np.argmin(np.isfinite(period)))
            raise FloatingPointError(
                f"NeuronGroup '{self.owner}': the refractory period"
                + f" of neuron {at}" * bool(period.ndim)
                + f" is {period.flat[at]} s, but it must be finite; give one that is longer than "
                "the trial to a neuron that shall spike only once"
            )
        return period

    def refractory_steps(self, v) -> np.ndarray:
        """Return the steps from a spike to the first free one, as Brian2's `timestep` counts."""
        steps = np.minimum((self.period(v) + 1e-3 * self.dt) / self.dt, 2.0**31).astype(np.int64)
        return np.maximum(np.broadcast_to(steps, self.size), 1)

    def refractory_gradient(self, v, grads, into) -> None:
        """Pull dL/d(refractory period) back to the parameters."""
        v = dict(v)
        invariants = self.code.adjoint.refractory_invariants
        for name in invariants.active:
            v[f"lam.{name}"] = grads if name == PERIOD else 0.0
        if PERIOD in invariants.active:
            vjp = getattr(self.parameter_map, f"refractory_vjp_{self.code.name}")
            self.scatter(quietly(vjp, v), into)


class CouplingBinder(ParameterBinder):
    """Constants of a coupling, per synapse in the order of creation."""

    def __init__(self, code, parameter_map, dt, network: NetworkValues):
        coupling = code.adjoint.coupling
        symbols = {name: s for name, s in coupling.symbols.items() if s.kind != "state"}
        super().__init__(code, parameter_map, symbols, coupling.size, dt, coupling.owner)
        self.indices = {"pre": network.pre[code.name], "post": network.post[code.name]}
        self.indices |= network.links.get(coupling.owner, {})
        self.span = np.array(coupling.span)

    def ends(self) -> dict[str, np.ndarray]:
        """Return the arrays that say which neurons are coupled."""
        return {"span": self.span, "pre": self.indices["pre"], "post": self.indices["post"]}


class PathwayBinder(ParameterBinder):
    """Constants of a pathway, and its synapses sorted by source, delay and creation."""

    def __init__(self, code, parameter_map, dt, network: NetworkValues, n_source: int):
        pathway = code.adjoint.pathway
        rename = {}
        for name, symbol in pathway.symbols.items():
            if symbol.kind != "state":
                rename[name] = symbol
        super().__init__(code, parameter_map, rename, pathway.size, dt, pathway.synapses)
        self.indices = {"pre": network.pre[pathway.name], "post": network.post[pathway.name]}
        self.indices |= network.links.get(pathway.synapses, {})
        self.pre_side = pathway.pre_side
        self.sender, self.receiver = pathway.sender, pathway.receiver
        self.n_source = n_source
        self.delay, self.axonal = pathway.delay, pathway.axonal
        self._layout: tuple[bytes, tuple] | None = None
        self._by_source: tuple | None = None
        self._in_lanes: tuple | None = None
        self._by_tile: tuple | None = None

    @property
    def senders(self) -> np.ndarray:
        """The neuron of the source whose spikes run the code of each synapse."""
        return self.indices[self.sender]

    @property
    def touched(self) -> np.ndarray:
        """The neuron besides the target whose states the code of each synapse touches."""
        return self.indices[self.pre_side]

    @property
    def receivers(self) -> np.ndarray:
        """The member of the target at which each synapse ends."""
        if self.receiver == "synapse":
            return np.arange(self.size)
        return self.indices["post"]

    def reconnect(self, pre: np.ndarray, post: np.ndarray) -> None:
        """Take other ends for the synapses, as many as before."""
        self.indices |= {"pre": pre, "post": post}
        self._layout = self._by_source = self._in_lanes = self._by_tile = None

    def add_row_delays(self, delays: np.ndarray, into: dict[Key, np.ndarray]) -> None:
        """Add the gradient of the delay of each source."""
        into[self.delay] += delays if self.axonal else np.sum(delays)

    def add_delays(self, delays: np.ndarray, into: dict[Key, np.ndarray]) -> None:
        """Add the gradient of each synapse's delay; delays that are shared get the sum."""
        if self.axonal:
            into[self.delay] += np.bincount(self.senders, delays, self.n_source)
        else:
            shared = len(into[self.delay]) != self.size
            into[self.delay] += np.sum(delays) if shared else delays

    def delays(self, values: Values) -> np.ndarray:
        """Return the delay of each synapse in seconds."""
        delays = values[self.delay]
        self.check_delays(delays)
        return self.by_synapse(delays)

    def by_synapse(self, delays: np.ndarray) -> np.ndarray:
        """Return the delay of each synapse, given one of each source or one for all, maybe."""
        if self.axonal:
            return delays[self.senders]
        # compiled passes are made for whole arrays
        return delays if len(delays) == self.size else np.full(self.size, delays)

    def check_delays(self, delays: np.ndarray) -> None:
        """Refuse delays that are no times: they would be places outside of the buffers."""
        per = "source neuron" if self.axonal else "synapse"
        check_delays(self.owner, self.code.name, delays, self.dt, per)

    def steps(self, values: Values) -> np.ndarray:
        """Return the delay of each synapse in time steps."""
        return self._in_steps(self.delays(values))

    def longest(self, delays: np.ndarray) -> int:
        """Return the longest of some delays in time steps."""
        return int(self._in_steps(delays.max(initial=0)))

    def _in_steps(self, delays):
        """Round delays to time steps as Brian2 does."""
        return (delays / self.dt + 0.5).astype(np.int64)

    def row_layout(self, delays: np.ndarray, n_steps: int) -> dict:
        """Return the arrays of synapses in dense rows; ``row_delay`` is in time steps."""
        order = self._sort_by_source()[0]
        first = slice(None, None, self.size // self.n_source)
        steps = self._in_steps(delays[first] if order is None else delays[order[first]])
        return {"order": order, "row_delay": np.minimum(steps, n_steps)}

    def ring_layout(self, delays, shape: np.ndarray, n_steps: int, passes: ArrayPasses) -> dict:
        """Return the arrays of synapses that add, sorted by source, then target.

        ``off`` is where an arrival goes in the ring and, for inputs, ``record_off`` where its
        adjoint stands in the record, relative to the step of the spike.  A delay beyond the end
        never arrives.
        """
        order, rows, post = self._sort_by_source()
        limit = shape[0] * shape[1]
        offsets = self._offsets(delays, order, n_steps, shape[0], post, limit, passes)
        layout = {"order": order, "rows": rows, "off": offsets}
        if self.code.source.is_input and self.code.layout.after:
            steps = self._in_steps(delays if order is None else delays[order])
            steps = np.minimum(steps, n_steps)
            tile = 1 << shape[6]
            at = steps * tile + post % tile + (post // tile) * shape[3]
            layout["record_off"] = at.astype(np.uint32)
        return layout

    def lane_layout(self, delays, shape: np.ndarray, n_steps: int, passes: ArrayPasses) -> dict:
        """Return the same arrays for loops that take whole lanes of synapses at a time.

        Rows that are no whole lanes are padded at their ends, where the order is -1, unless that
        took too much padding.
        """
        order, rows, post = self._sort_in_lanes()
        limit = shape[0] * shape[1]
        offsets = self._offsets(delays, order, n_steps, shape[0], post, limit, passes)
        return {"order": order, "rows": rows, "off": offsets}

    @property
    def stored(self) -> int:
        """The number of places for synapses in the arrays of the kernels."""
        return len(self._sort_in_lanes()[2]) if self.code.layout.per_spike else self.size

    def tile_layout(self, delays, shape: np.ndarray, n_steps: int, passes: ArrayPasses) -> dict:
        """Return the arrays of synapses that add, sorted by tile of targets, source and target.

        ``tile_off`` is where an arrival goes in the tile's drive, and where its adjoint stands in
        the tile's record, relative to the step of the spike.  The first synapse of source i onto
        tile m is ``tiles[m * n_source + i]``.
        """
        tile = 1 << shape[6]
        if self._by_tile is None:
            self._by_tile = self._sort_by_tile(tile, -(-shape[5] // tile))
        order, column, tiles = self._by_tile
        limit = shape[3] - n_steps * tile
        offsets = self._offsets(delays, order, n_steps, tile, column, limit, passes)
        return {"order": order, "tile_off": offsets, "tiles": tiles}

    def _offsets(self, delays, order, n_steps: int, scale, place, limit, passes) -> np.ndarray:
        """Return ``delay * scale + place`` of synapses in an order, once ``passes`` are made.

        Offsets below `limit` are in 16 bits if they fit: half the memory to read per event.
        """
        offsets = np.empty(len(place), np.uint16 if limit <= 2**16 else np.uint32)
        order = np.arange(0) if order is None else order
        numbers = int(n_steps), int(scale)
        passes.add(fill_offsets, len(place), offsets, delays, self.dt, order, *numbers, place)
        return offsets

    def _sort_by_source(self):
        if self._by_source is None:
            pre, post = self.senders, self.receivers
            order = np.lexsort((post, pre))
            rows = np.searchsorted(pre[order], np.arange(self.n_source + 1)).astype(np.int64)
            self._by_source = unless_sorted(order), rows, post[order]
        return self._by_source

    def _sort_in_lanes(self):
        if self._in_lanes is None:
            order, rows, post = self._sort_by_source()
            counts = np.diff(rows)
            whole = np.append(0, np.cumsum(-(-counts // LANES) * LANES))
            most = FILLED if np.all(counts == counts[:1]) else FILLED_UNLIKE
            most = min(most * self.size, limits.PER_SPIKE_SYNAPSES)
            if whole[-1] == self.size or whole[-1] > most:
                self._in_lanes = order, rows, post
            else:
                places = np.arange(self.size) + np.repeat(whole[:-1] - rows[:-1], counts)
                wide_order = np.full(whole[-1], -1)
                # neighbours with the same target would wait for each other
                wide_post = np.arange(whole[-1], dtype=post.dtype) % min(LANES, post.max() + 1)
                wide_order[places] = np.arange(self.size) if order is None else order
                wide_post[places] = post
                self._in_lanes = wide_order, whole, wide_post
        return self._in_lanes

    def _sort_by_tile(self, tile: int, n_tiles: int):
        pre, post = self.senders, self.receivers
        order = np.lexsort((post, pre, post // tile))
        keys = (post // tile * self.n_source + pre)[order]
        tiles = np.searchsorted(keys, np.arange(n_tiles * self.n_source + 1)).astype(np.int32)
        return unless_sorted(order), post[order] % tile, tiles

    def queue_layout(self, delays: np.ndarray):
        """Return (order, post, rows, steps, start) for synapses whose arrivals are queued.

        A row is the synapses of one source with one delay; ``rows[i]:rows[i + 1]`` are the rows of
        source i, ascending in delay.
        """
        self.check_delays(delays)
        steps = self._in_steps(delays)
        known = steps.tobytes()
        if self._layout is None or self._layout[0] != known:
            self._layout = known, self._sorted(steps)
        return self._layout[1]

    def _sorted(self, steps):
        pre, post = self.senders, self.receivers
        order = np.lexsort((steps, pre))
        pre_sorted, steps_sorted = pre[order], steps[order]
        new = np.ones(self.size, bool)
        new[1:] = (np.diff(pre_sorted) != 0) | (np.diff(steps_sorted) != 0)
        first = np.flatnonzero(new)
        start = np.append(first, self.size).astype(np.int64)
        rows = np.searchsorted(pre_sorted[first], np.arange(self.n_source + 1)).astype(np.int64)
        return (
            order,
            post[order].astype(np.int32),
            rows,
            steps_sorted[first].astype(np.int64),
            start,
        )


def unsorted(array: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Put synapses, the last axis, back into the order of their creation."""
    if order is None:
        return array
    result = np.empty_like(array)
    result[..., order] = array
    return result


def unless_sorted(order: np.ndarray) -> np.ndarray | None:
    """Return an order, or None if it changes nothing."""
    return None if np.all(np.diff(order) > 0) else order


def binders(module: ClockModule, parameter_map: ModuleType, network: NetworkValues, sizes, dt):
    """Return the binders of the groups and of the pathways, by name."""
    groups = {
        g.name: GroupBinder(g, parameter_map, dt, network.links.get(g.name, {}))
        for g in module.groups
    }
    pathways = {
        p.name: PathwayBinder(p, parameter_map, dt, network, sizes[p.source.name])
        for p in module.pathways
    }
    return groups, pathways
