"""Every layout of synapses against the plainest, on random networks: spikes, gradients, tangents.

The plainest one is a list of synapses in the interpreter, to which each spike adds: per spike.  A
queue delivers arrivals one by one, before the resets of their step, so that its gradient is another
one at first order in the time step: it is held against itself, in the interpreter.  Forward mode,
which knows no layout, has the derivative along a direction in all arrays and input times at once:
``u . J v`` is one number for all of them.
"""

import numpy as np
import pytest
from brian2 import second
from helpers.agreement import ROUNDING, direction
from helpers.backends import arrays_of, check_equal
from helpers.networks import small

from brian_eventprop.plan.layouts import (
    DenseRows,
    PerSpike,
    Precomputed,
    Queue,
    Tiled,
    choice,
    limits,
)
from brian_eventprop.runtime.event import batched

SIZES = {"n_inputs": 4, "n_hidden": 5, "n_steps": 45, "max_delay": 6, "trials": 3}

#: The layouts that are allowed, and the one that all projections, or those of inputs, then have.
LAYOUTS = {
    "queue": ((Queue,), Queue),
    "per spike": ((PerSpike,), PerSpike),
    "tiled": ((Tiled,), Tiled),
    "dense rows": ((DenseRows,), DenseRows),
    "precomputed": ((Precomputed, Tiled), Precomputed),
    "two threads": ((DenseRows,), DenseRows),
    "cuda, tiled": ((Tiled,), Tiled),
    "cuda, queue": ((Queue,), Queue),
}
SEEDS = range(4)
COMPILED = [pytest.mark.slow, pytest.mark.compiled]
SLOW = {"per spike", "cuda, tiled", "cuda, queue"}


def build(seed, solver="clock", **options):
    """A recurrent network with all connections and one delay for each sending neuron."""
    return small.all_to_all(seed=seed, axonal=True, solver=solver, **SIZES, **options)


def tangent(model, data, seed):
    """The derivative of the last run's loss by forward mode, and the direction."""
    along = direction(model, seed)
    spikes = len(data.times)
    along["inp"] = 1e-3 * np.random.default_rng(seed).normal(size=spikes) * second
    return along


def product(arrays, along):
    """The gradient times a direction, and the size of its parts."""
    parts = [
        np.sum(arrays[("inputs", "") if key == "inp" else key] * np.asarray(d))
        for key, d in along.items()
    ]
    return sum(parts), sum(map(abs, parts))


def chosen(model):
    return {p.name: type(p.layout) for p in model.runtime.module.pathways}


@pytest.fixture
def layout(monkeypatch):
    """Allow some layouts only, however small the network is."""

    def allow(layouts):
        monkeypatch.setattr(choice, "LAYOUTS", layouts)
        monkeypatch.setattr(limits, "PRECOMPUTED_SYNAPSES", 0)
        monkeypatch.setattr(limits, "FAN_IN", 0)

    return allow


@pytest.mark.parametrize(
    "seed", [pytest.param(s, marks=[pytest.mark.slow] * (s > 0)) for s in SEEDS]
)
@pytest.mark.parametrize(
    "name, kernels",
    [
        pytest.param(n, kernels, marks=marks, id=f"{n}, {kernels}")
        for n in LAYOUTS
        for kernels, marks in (
            ("interpreted", [pytest.mark.slow] * (n in SLOW)), ("compiled", COMPILED),
        )
        if not (n.startswith("cuda") and kernels == "compiled")
        and (n, kernels) != ("two threads", "interpreted")
    ],
)  # fmt: skip
def test_the_same_in_every_layout(name, kernels, seed, layout, emulator):
    layouts, wanted = LAYOUTS[name]
    plainest = Queue if wanted is Queue else PerSpike
    layout((plainest,))
    plain, data = build(seed, backend="interpreter")
    expected = arrays_of(plain.run(data), plain.gradient(), plain)
    assert set(chosen(plain).values()) == {plainest}
    assert len(expected["hidden", "t"]) > 5
    layout(layouts)
    options = {"threads": 2} if name == "two threads" else {"threads": 1}
    if name.startswith("cuda"):
        emulator()
        options = {"backend": "cuda"}
    model, data = build(seed, **options)
    found = arrays_of(model.run(data), model.gradient(), model)
    names = chosen(model)
    of_inputs = [names[p.name] for p in model.spec.pathways if p.source == "inp"]
    assert set(of_inputs if wanted is Precomputed else names.values()) == {wanted}
    # arrivals of a step are summed before they are added, so the last bits differ
    check_equal(found, expected, readouts=1e-13, gradients=1e-11)
    along = tangent(plain, data, seed)
    forward = plain.jvp(along).loss
    reverse, size = product(found, along)
    assert forward != 0 and abs(reverse - forward) < ROUNDING * size


@pytest.mark.parametrize(
    "seed", [pytest.param(s, marks=[pytest.mark.slow] * (s > 0)) for s in SEEDS]
)
@pytest.mark.parametrize(
    "least, kernels",
    [
        pytest.param(0, "interpreted", id="windows"),
        pytest.param(0, "compiled", marks=COMPILED, id="windows, compiled"),
        pytest.param(10**9, "compiled", marks=COMPILED, id="one by one, compiled"),
    ],
)
def test_event_windows(least, kernels, seed, monkeypatch):
    """Batched arrivals, in exact time, and those that come one by one."""
    monkeypatch.setattr(batched, "DENSE_ENOUGH", 10**9)
    plain, data = build(seed, solver="event", backend="interpreter")
    expected = arrays_of(plain.run(data), plain.gradient(), plain)
    monkeypatch.setattr(batched, "DENSE_ENOUGH", least)
    model, data = build(seed, solver="event")
    found = arrays_of(model.run(data), model.gradient(), model)
    assert bool(model.runtime.batched) == (least == 0) and not plain.runtime.batched
    order = [np.lexsort([a["hidden", n] for n in ("i", "t", "sample")]) for a in (found, expected)]
    for part in ("sample", "i"):
        np.testing.assert_array_equal(
            found.pop(("hidden", part))[order[0]], expected.pop(("hidden", part))[order[1]]
        )
    times = found.pop(("hidden", "t"))[order[0]], expected.pop(("hidden", "t"))[order[1]]
    np.testing.assert_allclose(*times, rtol=0, atol=1e-13)  # some roundings of 45 ms
    check_equal(found, expected, readouts=1e-11, gradients=1e-10)
    along = tangent(plain, data, seed)
    forward = plain.jvp(along).loss
    reverse, size = product(found, along)
    assert len(times[0]) > 5 and forward != 0
    assert abs(reverse - forward) < ROUNDING * size


def test_a_queue_has_the_spikes_of_the_others(layout):
    found = []
    for plainest in (Queue, PerSpike):
        layout((plainest,))
        model, data = build(0, backend="interpreter")
        result = model.run(data)
        found.append((result.spikes["hidden"], result.losses))
    for part in ("sample", "i", "t"):
        np.testing.assert_array_equal(getattr(found[0][0], part), getattr(found[1][0], part))
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-13)
