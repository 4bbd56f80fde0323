"""Which arrivals the time grid has on the other side of an event, against plain loops."""

from types import SimpleNamespace

import numpy as np
import pytest

from brian_eventprop.model.event_order import Events, Timing, other_order

DT = 1e-4


def train(rng, n_trials, size, most):
    """Random spikes in exact time, and up to two steps later on the grid, in the same order."""
    trials, neurons, times, steps = [], [], [], []
    for trial in range(n_trials):
        for neuron in range(size):
            exact = np.sort(rng.uniform(0, 5e-3, rng.integers(most + 1)))
            late = (exact / DT + rng.uniform(0, 2, len(exact))).astype(int)
            trials += [trial] * len(exact)
            neurons += [neuron] * len(exact)
            times += exact.tolist()
            steps += np.sort(late).tolist()
    return Events(*map(np.array, (trials, neurons, times, steps)))


def count_reordered(pre, post, delays, source, target, period):
    """Count the arrivals before or after more events of their neuron on the grid."""
    count = 0
    wait = np.maximum(((period + 1e-3 * DT) / DT).astype(int), 1)
    for trial, neuron, time, step in zip(
        source.trials, source.neurons, source.times, source.steps, strict=True
    ):
        for i, j, delay in zip(pre, post, delays, strict=True):
            if i != neuron or time + delay >= 6e-3:
                continue
            arrival = step + int(delay / DT + 0.5)
            own = (target.trials == trial) & (target.neurons == j)
            for late, later in ((0.0, 0), (period[j], wait[j])):
                exact = np.sum(target.times[own] + late < time + delay)
                count += exact != np.sum(target.steps[own] + later <= arrival)
    return count


def ends(pre, post):
    """The ends of the synapses of a network with one pathway."""
    return SimpleNamespace(senders=lambda pathway: pre, receivers=lambda pathway: post)


@pytest.mark.parametrize("axonal", [False, True])
def test_reordered_arrivals_are_those_of_a_plain_loop(axonal):
    rng = np.random.default_rng(3)
    source, target = train(rng, 3, 4, 5), train(rng, 3, 6, 8)
    pre, post = rng.integers(0, 4, 15), rng.integers(0, 6, 15)
    given = rng.uniform(5e-4, 3e-3, 4 if axonal else 15)
    period = rng.uniform(1e-4, 1e-3, 6)
    pathway = SimpleNamespace(
        name="s_pre", source="source", target="cells", axonal=axonal, delay=("s_pre", "delay")
    )
    text = other_order(
        SimpleNamespace(pathways=[pathway], dt=DT),
        ends(pre, post),
        Timing({("s_pre", "delay"): given}, {"cells": period}, {"source": source, "cells": target}),
        6e-3,
    )
    delays = given[pre] if axonal else given
    expected = count_reordered(pre, post, delays, source, target, period)
    assert expected > 10 and f"(the first of {expected})" in text, (text, expected)
    assert " of cells in trial " in text


def test_events_at_one_time_have_no_order():
    """An arrival sets off the spike: Brian2 has the spike in the next step."""
    spike = Events(*map(np.array, ([0], [0], [1e-3], [10])))
    fired = Events(*map(np.array, ([0], [0], [2e-3], [21])))
    pathway = SimpleNamespace(name="p", source="a", target="b", axonal=False, delay="d")
    arguments = (
        SimpleNamespace(pathways=[pathway], dt=DT),
        ends(np.array([0]), np.array([0])),
    )
    timing = Timing({"d": np.array([1e-3])}, {}, {"a": spike, "b": fired})
    assert not other_order(*arguments, timing, 6e-3)
