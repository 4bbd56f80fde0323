"""Silent neurons are pulled over the threshold by the exact gradient of their peaks."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV, start_scope

import brian_eventprop as bep

PEAKS = np.array([[0.1, 0.9, 1.0], [0.2, 0.5, 0.8], [0.3, 0.7, 0.9], [0.4, 0.6, 1.0]])
COUNTS = np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 2]])


def silent_network(solver="event", unit=1):
    """Three neurons with delays and a potential in a unit, below the threshold but for some."""
    start_scope()
    dimension = "1" if isinstance(unit, int) else "volt"
    namespace = {"tau": 10 * ms, "taus": 3 * ms, "one": unit}
    inputs = SpikeGeneratorGroup(4, [0, 1, 2, 3], [1, 3, 4, 8] * ms, name="inputs")
    hidden = NeuronGroup(
        3, f"dv/dt = (I*one - v)/tau : {dimension}\ndI/dt = -I/taus : 1",
        threshold="v > one", reset="v = 0*one", method="exact", namespace=namespace, name="hidden",
    )  # fmt: skip
    s = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w", name="s")
    s.connect()
    s.w = 0.4 + 0.05 * np.arange(12) % 0.3
    s.w[:, 2] = 3.0
    s.delay = np.linspace(0.5, 4, 12) * ms
    loss = bep.SilenceMargin(hidden, "v", unit, share=0.7, scale=unit, strength=0.5)
    return bep.EventPropModel(
        [inputs, hidden, s], train=[s.w, s.delay, "tau"], loss=loss, duration=30 * ms,
        solver=solver, backend="interpreter", namespace=namespace,
    )  # fmt: skip


def test_as_many_trials_are_pulled_as_lack_a_spike():
    group = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    loss = bep.SilenceMargin(group, "v", 1)
    losses, (of_counts, of_peaks) = loss((COUNTS, PEAKS))
    # the first neuron lacks two spikes, the second as well, the third has enough of them
    expected = (0.6 + 0.7) / 2 + (0.1 + 0.3) / 2
    np.testing.assert_allclose(losses, expected)
    assert not np.any(of_counts)
    rows, neurons = np.nonzero(of_peaks)
    assert sorted(zip(neurons.tolist(), rows.tolist(), strict=True)) == [
        (0, 2),
        (0, 3),
        (1, 0),
        (1, 2),
    ]
    # the model takes the mean over the trials, so that of each trial is four times as large
    np.testing.assert_allclose(of_peaks[of_peaks != 0], -4 / 2)


def test_one_spike_in_a_batch_is_the_least():
    group = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    _, (_, of_peaks) = bep.SilenceMargin(group, "v", 1, share=0)((COUNTS, PEAKS))
    assert np.argwhere(of_peaks).tolist() == [[0, 1], [3, 0]]


@pytest.mark.parametrize("unit", [1, 20 * mV])
def test_its_gradient_is_that_of_the_peaks(unit):
    model = silent_network(unit=unit)
    milliseconds = [[[1], [3], [4], [8]], [[6], [7], [2.5], [2]]]
    batch = bep.SpikeData.from_lists([[[t * 1e-3 for t in c] for c in b] for b in milliseconds])
    report = bep.check_gradient(model, batch)
    assert model.result.loss > 0 and report.ok, str(report)
    found = model.gradient()["s.w"]
    by_neuron = np.abs(np.asarray(found)).reshape(4, 3).sum(axis=0)
    assert np.all(by_neuron[:2] > 0) and by_neuron[2] == 0


def test_silent_neurons_are_woken():
    model = silent_network()
    optimizer = bep.SGD({"s.w": 1.0, "s.delay": 0 * ms, "hidden.tau": 0 * ms})
    optimizer.bind(model)
    assert np.sum(model.run().spikes["hidden"].i < 2) == 0
    for _ in range(30):
        model.run()
        optimizer.step(model.gradient_arrays())
    result = model.run()
    assert result.loss == 0 and set(result.spikes["hidden"].i) == {0, 1, 2}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"share": 1.5}, "between 0 and 1"),
        ({"strength": -1}, "negative"),
        ({"scale": 0}, "positive"),
        ({"threshold": [1, 2]}, "one per neuron"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    group = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    with pytest.raises(ValueError, match=message):
        bep.SilenceMargin(group, "v", **{"threshold": 1, **options})
