"""Synapses with states in the emulator of a GPU: what the CPU gives."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, start_scope
from helpers.backends import arrays_of, check_equal
from helpers.networks.synapses import RULES, plastic, trials

import brian_eventprop as bep
from brian_eventprop.runtime.cuda import workspace

#: Few threads, so that they have several neurons, and not many of them are idle.
THREADS = 2


@pytest.mark.parametrize("refractory", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_the_same_as_on_the_cpu(rule, refractory, emulator):
    emulator(threads=THREADS)
    gave = []
    for backend in ("cuda", "cpu"):
        start_scope()
        model, _, _ = plastic(rule, refractory, backend=backend)
        gave.append(arrays_of(model.run(trials()), model.gradient(), model))
    check_equal(*gave)


@pytest.mark.parametrize("rule", ["depression"])
def test_spikes_that_arrive_at_their_own_neuron_at_once(rule, emulator):
    emulator(threads=THREADS)
    gave = []
    for backend in ("cuda", "interpreter"):
        start_scope()
        model, _, _ = plastic(rule, True, at_once=True, backend=backend)
        gave.append(arrays_of(model.run(trials(n=2)), model.gradient(), model))
    check_equal(*gave)
    assert "carried" in model.runtime.source


def test_trials_in_waves_and_batches_of_other_sizes(emulator, monkeypatch):
    monkeypatch.setattr(workspace, "BLOCKS_MEMORY", 1)
    emulator(threads=THREADS)
    start_scope()
    model, views, _ = plastic("triplet", True, backend="cuda")
    start_scope()
    other, others, _ = plastic("triplet", True)
    for seed, n in ((1, 4), (2, 2), (3, 5)):
        results = [m.run(trials(seed, n)) for m in (model, other)]
        np.testing.assert_allclose(results[0].losses, results[1].losses, rtol=1e-12)
        gradients = model.gradient(), other.gradient()
        for view, same in zip(views, others, strict=True):
            found, expected = np.asarray(gradients[0][view]), np.asarray(gradients[1][same])
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def between_inputs(**options):
    """Plastic synapses from one input of spikes to another one."""
    start_scope()
    before = SpikeGeneratorGroup(3, [0, 1, 2, 0, 1], [1, 2, 3, 5, 8] * ms, name="before")
    after = SpikeGeneratorGroup(2, [0, 1, 0], [2.5, 4, 7] * ms, name="after")
    neurons = NeuronGroup(2, "dv/dt = -v/(9*ms) : 1", name="neurons", method="exact")
    s = Synapses(
        before, after,
        """w : 1
        a : 1
        dx/dt = -x/(20*ms) : 1 (event-driven)
        dy/dt = -y/(18*ms) : 1 (event-driven)""",
        on_pre="x += a; w += 0.3*y*w", on_post="y += 1; w -= 0.2*x**2", name="s",
    )  # fmt: skip
    s.connect()
    s.w, s.a, s.delay = "1 + 0.1*i", "0.5 + 0.1*j", 0.4 * ms
    loss = bep.Sum(bep.Final(s, "w**2"), bep.Integral(neurons, "v"))
    views = [s.w, s.a, s.delay, s.post.delay]
    return bep.EventPropModel(
        [before, after, neurons, s], train=views, loss=loss, duration=10 * ms, **options
    )


def test_synapses_between_inputs(emulator):
    emulator(threads=THREADS)
    found, expected = (between_inputs(backend=name) for name in ("cuda", "cpu"))
    check_equal(*(arrays_of(m.run(), m.gradient(), m) for m in (found, expected)))
    assert np.ptp(found.run().readout[0]) > 0.1
