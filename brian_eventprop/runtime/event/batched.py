"""Numbers for groups that take their arrivals in batches, and whether they can.

The code generator says whether the equations allow it (`codegen.event.batched`); here the values
do: rates and couplings common to all neurons, rates well apart, delays that do not make the
exponentials overflow.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from brian_eventprop.adjoint.flow import ONE
from brian_eventprop.runtime.event.synapses import fill_by_target, fill_gradients, fill_products
from brian_eventprop.runtime.trial_pool import TrialPool

#: Windows are this part of the shortest time constant, unless a delay asks for shorter ones.  The
#: series of `exponentials` and the bound on the guard in `event/batched/profile.py.j2` count on it.
PART = 0.2

#: Least relative distance of two rates; nearer ones lose digits in a sum of exponentials.
APART = 0.02

#: Largest exponent of a factor.
STEEP = 500.0

#: Windows may be this many times shorter than asked for because of a short delay.
SHORT = 20

#: Largest exponent by which amounts grow within an epoch, unless delays ask for more: exponentials
#: of large arguments lose digits.
EPOCH = 100.0

#: The histories of sources go back by so many windows at most.
RECENT = 250

#: Most windows of a trial.
MOST_WINDOWS = 10**6

#: Mean number of synapses onto a neuron from which batched arrivals pay.
DENSE_ENOUGH = 64


class BatchedRates:
    """The flow of a group as sums of exponentials, in numbers.

    Parameters
    ----------
    code
        The generated code of the group.
    rows
        Rates and coefficients from the function of the parameter map.
    size
        Number of neurons.

    Raises
    ------
    ValueError
        If the rates or couplings differ between neurons or are too near to each other.
    """

    def __init__(self, code, rows, size):
        free = code.flow.free
        self.states, self.size = code.states, size
        n = len(free.rates)
        self.rates = np.array([_common(r) for r in rows[:n]], float)
        self._coefficients = rows[n : n + len(free.coefficients)]
        self.fastest = float(np.max(np.abs(self.rates), initial=0.0))
        self.parts = [self._parts(p) for p in (free, code.flow.frozen)]
        self.constant = self._constant(free)

    def _weights(self, term):
        for r in term.rates:
            weight = 1.0
            for other in term.rates:
                if other != r:
                    weight /= self.rates[r] - self.rates[other]
            yield r, weight

    def _apart(self, term):
        for a, b in itertools.combinations(term.rates, 2):
            one, two = self.rates[a], self.rates[b]
            if abs(one - two) <= APART * max(abs(one), abs(two)):
                raise ValueError("rates too near to each other")

    def _parts(self, closed):
        """(rate, target, source) of the states."""
        n = len(self.states)
        parts = np.zeros((len(self.rates), n, n))
        for (target, source), terms in closed.entries.items():
            if source != ONE:
                at = self.states.index(target), self.states.index(source)
                for term in terms:
                    self._apart(term)
                    c = _common(self._coefficients[term.coefficient])
                    for r, weight in self._weights(term):
                        parts[(r, *at)] += c * weight
        return parts

    def _constant(self, closed):
        """(rate, target, neuron): what the constant part of the equations adds."""
        parts = np.zeros((len(self.rates), len(self.states), self.size))
        for (target, source), terms in closed.entries.items():
            if source == ONE:
                for term in terms:
                    self._apart(term)
                    for r, weight in self._weights(term):
                        c = self._coefficients[term.coefficient]
                        parts[r, self.states.index(target)] += c * weight
        return parts

    def monotone(self, code, guard, width) -> bool:
        """Whether the effect of an arrival on the guard only grows within a window, up or down.

        Along a path of m couplings it is c times a divided difference of exp(. s), whose
        derivative is at least (m - steepest * s) s**(m - 1) times a positive number.
        """
        for receiver in code.batched.receivers:
            signs = set()
            for target, slope in zip(self.states, guard, strict=False):
                entries = code.flow.free.entries.get((target, self.states[receiver]), ())
                for term in entries:
                    c = slope * _common(self._coefficients[term.coefficient])
                    m = len(term.rates) - 1
                    steepest = max(0.0, *(-self.rates[r] for r in term.rates))
                    if c != 0 and (m == 0 or steepest * width > m):
                        return False
                    signs |= {np.sign(c)} - {0.0}
            if len(signs) > 1:
                return False
        return True


def _common(value) -> float:
    value = np.asarray(value, float)
    if value.size == 0 or np.ptp(value) > 0:
        raise ValueError("differs between neurons")
    return float(value.flat[0])


def group_arrays(code, numbers: BatchedGroup) -> dict[str, np.ndarray]:
    """Return the arrays of a group, by role.

    Parameters
    ----------
    code
        The generated code of the group, with its layout.
    numbers
        What `plan` returned for it.
    """
    flow, guard, width = numbers.flow, numbers.guard, numbers.width
    layout, n = code.batched, len(code.states)
    growth = np.exp(flow.rates * width)
    arrays = {"rates": flow.rates, "PHI": np.einsum("rik,r->ik", flow.parts[0], growth)}
    total = np.zeros((2, n, len(layout.slots)))
    for s, slot in enumerate(layout.slots):
        for mode in (0, 1):
            total[mode, :, s] = flow.parts[mode][slot.rate, :, slot.state]
        if code.refractory and code.states[slot.state] in code.adjoint.group.frozen:
            total[1, :, s] = 0.0  # a refractory neuron drops what arrives at a frozen variable
    arrays["SUM"] = total
    slopes = np.array([_common(g) for g in guard[:-1]]) if len(guard) else np.zeros(n)
    arrays["GUARD"] = slopes
    curve = (flow.rates * width) ** 2 / 2 * np.maximum(1.0, growth)
    arrays["MODES"] = np.einsum("i,rik->rk", slopes, flow.parts[0])
    arrays["MARGIN"] = arrays["MODES"] * curve[:, None]
    each = np.zeros((1 + n + 2 * len(flow.rates), flow.size))
    each[0] = guard[-1] if len(guard) else 0.0
    each[1 : 1 + n] = np.einsum("rij,r->ij", flow.constant, growth)
    modes = np.einsum("i,rij->rj", slopes, flow.constant)
    each[1 + n :] = np.concatenate([modes * curve[:, None], modes])
    arrays["EACH"] = each
    arrays["EFFECT"] = slopes @ total[0]
    arrays["ring"] = ring = int(numbers.longest / width) + 4
    fastest = flow.fastest * width
    epoch = max(1, int(EPOCH / fastest)) if fastest > 0 else ring
    arrays["bits"] = int(np.log2((2**30 - 8) / (numbers.windows + 1)))
    arrays["F"] = np.exp(np.outer(width * np.arange(1, epoch + 1), flow.rates))
    return arrays


def synapse_tables(
    pathway, targets, delays, amounts, group, numbers, trial_pool: TrialPool
) -> dict[str, np.ndarray]:
    """Return what the kernels know of each synapse.

    Amounts, exp(-K_r delay), the product of both, the targets, and the delay in ticks.

    Parameters
    ----------
    pathway
        The generated code of the pathway.
    targets
        Target of each synapse, from `target_table`.
    delays, amounts
        Delay and amount of each synapse, in the kernels' order.
    group
        The arrays of the target from `group_arrays`.
    numbers
        What `plan` returned for the target.
    trial_pool
        What runs the passes over synapses.
    """
    columns = pathway.target.batched.of(pathway)
    along = np.array([group["rates"][rate] for _, rate, _ in columns])
    # what arrives after the end is nothing, but must not be infinite
    within = np.minimum(delays, (numbers.windows + 1) * numbers.width)
    exponentials = np.exp(-along[:, None] * within)
    terms, products = (np.empty((len(delays), len(columns))) for _ in range(2))
    ticks = np.zeros(len(delays) + 7, np.int32)
    # which side of its target a synapse is on, see `places_of_eight`
    sided = bool(pathway.target.spikes)
    trial_pool.function(fill_products)(
        exponentials, amounts, within, numbers.width, 2.0 ** group["bits"], sided, terms, products,
        ticks,
    )  # fmt: skip
    return {"A": amounts, "G": terms, "B": products.ravel(), "targets": targets, "ticks": ticks}


def target_table(post, rows, size) -> np.ndarray:
    """Return targets as kernels read them: one row for all sources if each reaches all in order.

    Parameters
    ----------
    post, rows
        Target of each synapse, in the kernels' order, and where those of each source begin.
    size
        Number of targets.
    """
    row = np.arange(size)
    if np.all(np.diff(rows) == size) and np.all(post.reshape(-1, size) == row):
        post = row
    return np.append(post.astype(np.int32), np.zeros(7, np.int32))  # they read eight at a time


def tables_by_target(
    columns: Columns, delays, amounts, width, duration, trial_pool: TrialPool
) -> dict[str, object]:
    """Return delays and amounts by target, and the delays in whole windows.

    What is sent in one window arrives so many windows later or in the next one; with a little room
    for rounding one window more.  Very long delays are not counted: reading the histories of
    sources would take longer than going through the synapses.
    """
    late, backs = np.empty((len(columns.into), 2)), np.zeros(len(columns.into) + 7, np.uint8)
    fill = trial_pool.function(fill_by_target)
    most, near = fill(columns.into, delays, amounts, width, duration, late, backs)
    span, reach = (7, 62) if near else (3, 63)
    recent = most + 3
    if recent > RECENT:
        recent = 0
    return {
        "column": columns.column,
        "pre": columns.pre,
        "late": late,
        "backs": backs,
        "recent": recent,
        "reach": reach,
        "span": span,
        "dense": bool(columns.dense and recent > 0),
        "longest column": columns.longest,
    }


class Columns:
    """The synapses of a pathway sorted by target, then source.

    Parameters
    ----------
    pre, post
        Source and target of each synapse, in the kernels' order.
    shape
        Numbers of sources and targets.
    """

    def __init__(self, pre, post, shape):
        self.shape = shape
        order = np.lexsort((pre, post))
        self.into = order.astype(np.int64)
        self.pre, self.post = pre[order].astype(np.uint32), post[order].astype(np.uint32)
        self.column = np.searchsorted(self.post, np.arange(shape[1] + 1)).astype(np.int64)
        self.longest = int(np.diff(self.column).max(initial=0))
        pairs = self.post.astype(np.int64) * shape[0] + self.pre
        self.dense = len(pairs) == shape[0] * shape[1] and not np.any(np.diff(pairs) == 0)


def synapse_gradients(
    pathway, tables, rates, sums, trial_pool: TrialPool
) -> tuple[np.ndarray, np.ndarray]:
    """Return dL/d(amount) and dL/d(delay) of each synapse, from the sums over its arrivals."""
    along = np.array([rates[rate] for _, rate, _ in pathway.target.batched.of(pathway)])
    found = np.empty((2, len(tables["A"])))
    fill = trial_pool.function(fill_gradients)
    fill(sums.reshape(tables["G"].shape), tables["G"], tables["A"], along, *found)
    return found[0], found[1]


@dataclass(frozen=True)
class BatchedGroup:
    """A group in numbers: its flow, its guard, and the windows of its loop."""

    flow: BatchedRates
    guard: list
    width: float
    longest: float
    windows: int


def plan(groups, constants, parameter_map, delays, duration, inner) -> dict[str, BatchedGroup]:
    """Return the numbers of the groups of one loop, or of one group alone.

    Parameters
    ----------
    groups
        The generated code of the groups, with their layouts.
    constants
        The constants of each group by name.
    parameter_map
        The module of the parameter map's functions.
    delays
        The delays of the pathways into each group.
    duration
        Duration of a trial in seconds.
    inner
        The smallest delay of a pathway within the loop; None if there is none.

    Raises
    ------
    ValueError
        If the numbers do not allow batched arrivals; the message says why.
    """
    flows = {}
    for g in groups:
        rows = getattr(parameter_map, f"flow_{g.name}")(constants[g.name])
        flows[g.name] = BatchedRates(g, rows, g.adjoint.group.size)
    fastest = max(flow.fastest for flow in flows.values())
    wanted = min(PART / fastest, duration) if fastest > 0 else duration
    width = wanted if inner is None else min(wanted, inner)
    if width * SHORT < wanted:
        raise ValueError("windows would be much shorter than the time constants")
    # a little shorter than the delay: rounding must not put an arrival into the window of its spike
    windows = int(duration / width * (1 + 1e-9)) + 1
    if windows > MOST_WINDOWS:
        raise ValueError("too many windows to tell their borders apart")
    width = duration / windows
    found = {}
    for g in groups:
        longest = max((float(np.max(d)) for d in delays[g.name] if len(d)), default=0.0)
        longest = min(longest, duration)
        if flows[g.name].fastest * (longest + 3 * width) > STEEP:
            raise ValueError("a delay is very long in comparison with a time constant")
        if (longest / width + 5) * g.adjoint.group.size * g.batched.width >= 2**31:
            raise ValueError("offsets of arrivals would not fit into 32 bits")
        guard = getattr(parameter_map, f"guard_{g.name}")(constants[g.name])
        for slope in guard[:-1]:
            _common(slope)
        if not flows[g.name].monotone(g, [_common(s) for s in guard[:-1]], width):
            raise ValueError("an arrival may push the guard both up and down within a window")
        found[g.name] = BatchedGroup(flows[g.name], guard, width, longest, windows)
    return found


def dense_enough(names, spec) -> bool:
    """Whether the groups of a loop have enough synapses for windows to pay."""
    synapses = sum(p.size for p in spec.pathways if p.target in names)
    return synapses >= DENSE_ENOUGH * sum(g.size for g in spec.groups if g.name in names)
