"""Losses on spike trains end to end: the readout of each spike, its gradient, training data."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep

B, N = 2, 3
TARGETS = [[[6e-3, 21e-3], [9e-3], []], [[], [5e-3, 12e-3, 30e-3], [8e-3]]]
LIF = """dv/dt = (I - v)/(12*ms) : 1
         dI/dt = -I/(4*ms) : 1
         gain : 1 (constant)"""


def build(make_loss, seed=4, **options):
    """Inputs on a recurrent LIF group, one neuron of which is silent; the first two are read."""
    rng = np.random.default_rng(seed)
    inputs = SpikeGeneratorGroup(3, [], [] * ms, name="inputs")
    cells = NeuronGroup(N + 1, LIF, threshold="v > 1", reset="v = 0", method="exact", name="cells")
    cells.gain = rng.uniform(1, 2, N + 1)
    s_in = Synapses(inputs, cells, "w : 1", on_pre="I_post += w", name="s_in")
    s_rec = Synapses(cells, cells, "w : 1", on_pre="I_post += w", name="s_rec")
    s_in.connect()
    s_rec.connect(condition="i != j")
    s_in.w, s_rec.w = rng.uniform(1, 2.5, len(s_in)), rng.uniform(-0.4, 0.4, len(s_rec))
    s_in.w["j == 2"] = 0  # the second neuron that is read stays silent
    s_rec.w["j == 2"] = -0.1
    for s in (s_in, s_rec):
        s.delay = rng.uniform(1, 6, len(s)) * ms
    loss = make_loss(cells[1:])
    readouts = loss.get("readouts") or loss["loss"].readouts
    uses_gain = any("gain" in readout.expression for readout in readouts)
    model = bep.EventPropModel(
        [inputs, cells, s_in, s_rec],
        train=[s_in.w, s_in.delay, s_rec.w, s_rec.delay, *[cells.gain] * uses_gain],
        duration=50 * ms,
        **loss,
        **options,
    )
    return model, cells


def spikes(seed=5, trials=B, **options):
    rng = np.random.default_rng(seed)
    n = 12 * trials
    times, trial = rng.uniform(0.5e-3, 30e-3, n), np.arange(n) % trials
    return bep.SpikeData(times, rng.integers(0, 3, n), trial, trials, 3, **options)


def numeric(model, key, entry, data, targets):
    """Central difference with five points, of the mean loss in one entry."""
    kept, step = model.parameters.raw(key).copy(), 1e-5 * np.abs(model.parameters.raw(key)).max()
    losses = []
    for factor in (1, -1, 2, -2):
        moved = kept.copy()
        moved[entry] += factor * step
        model.parameters.set_raw(key, moved)
        losses.append(model.run(data, targets).loss)
    model.parameters.set_raw(key, kept)
    return (8 * (losses[0] - losses[1]) - (losses[2] - losses[3])) / (12 * step)


LOSSES = {
    "van_rossum": lambda g: dict(loss=bep.VanRossum(g, 5 * ms)),
    "error": lambda g: dict(loss=bep.SpikeTrainError(g, 2 * ms)),
    "weighted": lambda g: dict(
        loss=bep.VanRossum(g, 5 * ms) + 0.1 * bep.Sum(bep.SpikeTimes(g, "gain*t/T", "each"))
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_equal_central_differences(name):
    model, cells = build(LOSSES[name], solver="event", threads=1)
    data, targets = spikes(), bep.SpikeData.from_lists(TARGETS)
    result = model.run(data, targets)
    counts = np.bincount(result.spikes["cells"].i, minlength=N + 1)
    assert counts[2] == 0 and counts[[0, 1, 3]].min() > 2
    gradients = model.gradient()
    assert gradients.grazing == 0
    for key in model.parameters.keys:
        found = gradients.raw(key)
        scale = np.abs(found).max()
        assert scale > 0
        for entry in range(0, len(found), 3):
            expected = numeric(model, key, entry, data, targets)
            assert found[entry] == pytest.approx(expected, rel=0, abs=1e-6 * max(scale, 1e-3))


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_values_are_the_recorded_spikes(solver):
    def read(group):
        def nothing(values, targets):
            return np.zeros(len(values[0])), tuple(np.zeros(v.shape) for v in values)

        readouts = [bep.SpikeTimes(group, which=which) for which in ("each", "first", "all")]
        return dict(loss=nothing, readouts=readouts)

    model, cells = build(read, solver=solver, threads=1)
    result = model.run(spikes())
    each, first, total = result.readout
    found = result.spikes[cells]
    assert each.shape[:2] == (B, N)
    assert np.max(np.sum(np.isfinite(each), axis=2)) == each.shape[2] > 1
    for b in range(B):
        for j in range(N):
            expected = np.asarray(found.t)[(found.sample == b) & (found.i == j + 1)]
            np.testing.assert_array_equal(each[b, j, : len(expected)], expected)
            assert np.all(np.isinf(each[b, j, len(expected) :]))
    np.testing.assert_array_equal(each[:, :, 0], first)
    np.testing.assert_allclose(np.sum(np.where(np.isinf(each), 0, each), axis=2), total)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_nothing_fires(solver):
    model, _ = build(LOSSES["van_rossum"], solver=solver, threads=1)
    quiet = bep.SpikeData([], [], [], B, 3)
    result = model.run(quiet, TARGETS)
    assert result.readout[0].shape == (B, N, 0)
    assert np.all(result.losses > 0)
    gradients = model.gradient()
    assert all(np.all(gradients.raw(key) == 0) for key in model.parameters.keys)


def test_training_towards_trains():
    trials = 6
    teacher, cells = build(LOSSES["van_rossum"], solver="event", threads=1)
    shown = teacher.run(spikes(trials=trials), [[[]] * N] * trials).spikes[cells]
    read = shown.i > 0
    wanted = bep.SpikeData(shown.t[read], shown.i[read] - 1, shown.sample[read], trials, N)
    student, _ = build(LOSSES["van_rossum"], solver="event", threads=1)
    data = spikes(trials=trials, targets=wanted)
    assert student.run(data).loss == pytest.approx(0, abs=1e-12)
    key = ("s_in", "w")
    student.parameters.set_raw(key, 0.97 * student.parameters.raw(key))
    rates = {other: 2e-3 if other == key else 0 for other in student.parameters.keys}
    trainer = bep.Trainer(student, bep.Adam(rates))
    history = trainer.fit(data, epochs=8, batch_size=4, progress=False)
    losses = history["loss"]
    assert losses[-1] < 0.7 * losses[0]


FIRST = {
    "cross-entropy": lambda g: bep.TimeToFirstSpike(g, 2 * ms, alpha=0.1, late=60 * ms),
    "closeness": lambda g: bep.TimeToFirstSpike(g, 2 * ms, closeness="v - 1"),
    "shift": lambda g: bep.ShiftInvariantFirstSpike(g, 2 * ms, late=60 * ms),
    "error": lambda g: bep.MeanSquaredError(
        bep.SpikeTimes(g, which="first"), target=20 * ms, scale=10 * ms, late=60 * ms
    ),
    "sum": lambda g: bep.Sum(bep.SpikeTimes(g, "t/T", which="first")),
}


@pytest.mark.parametrize("name", FIRST)
def test_silent_outputs_give_no_nan(name):
    """One neuron is silent, then all are; with the silent one as the right and as a wrong one."""
    model, _ = build(lambda g: dict(loss=FIRST[name](g)), solver="event", threads=1)
    with np.errstate(invalid="raise", divide="raise"):
        for data in (spikes(), bep.SpikeData([], [], [], B, 3)):
            for labels in ([0, 1], [1, 2]):
                targets = None if name in ("error", "sum") else labels
                result = model.run(data, targets)
                gradients = model.gradient()
                assert np.all(np.isfinite(result.losses))
                for key in model.parameters.keys:
                    assert np.all(np.isfinite(gradients.raw(key))), key
                assert np.all(np.isfinite(np.asarray(gradients.inputs)))


def test_a_silent_right_neuron_is_lifted_by_its_closeness():
    """The gradient in the largest potential of the silent neuron equals central differences."""
    model, _ = build(lambda g: dict(loss=FIRST["closeness"](g)), solver="event", threads=1)
    key, data, labels = ("s_rec", "w"), spikes(), [1, 1]
    onto = np.flatnonzero(model.targets("s_rec_pre") == 2)
    model.parameters.raw(key)[onto] = 0.05  # too weak to fire it
    result = model.run(data, labels)
    assert not np.any(result.spikes["cells"].i == 2)
    found = model.gradient().raw(key)
    assert np.all(np.abs(found[onto]) > 0)
    for entry in onto:
        expected = numeric(model, key, entry, data, labels)
        assert found[entry] == pytest.approx(expected, rel=1e-6)
