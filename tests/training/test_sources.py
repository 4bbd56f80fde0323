"""Data of all kinds in a training: datasets, loaders, iterators, functions, events and rasters."""

import numpy as np
import pytest
from brian2 import ms
from helpers.fake_model import DELAY, WEIGHT, FakeModel

import brian_eventprop as bep
from brian_eventprop.datasets import yin_yang
from brian_eventprop.training.optimizers import Adam
from brian_eventprop.training.sources import source_of

STEPS, DT = 60, 1e-3  # of the fake model


@pytest.fixture(scope="module")
def data():
    """Trials with all spikes on the time grid."""
    given = yin_yang(size=50)
    steps = np.minimum(np.round(given.times / DT), STEPS - 1)
    return bep.SpikeData(steps * DT, given.channels, given.trials, 50, 5, given.targets)


def trainer(callbacks=()):
    return bep.Trainer(FakeModel(), Adam({WEIGHT: 0.02, DELAY: 0.1 * ms}), callbacks)


def values(run):
    return np.concatenate([run.model.parameters.raw(key) for key in (WEIGHT, DELAY)])


def trained(data, epochs=2, **options):
    run = trainer()
    run.fit(data, epochs, progress=False, **options)
    return values(run)


@pytest.fixture(scope="module")
def expected(data):
    return trained(data, batch_size=20, shuffle=False)


def batches(data, inputs=lambda part: part):
    parts = [data[start : start + 20] for start in range(0, 50, 20)]
    return [(inputs(part), part.targets) for part in parts]


def raster(part):
    counts = np.zeros((len(part), STEPS, 5), np.float32)
    steps = np.round(part.times / DT).astype(int)
    np.add.at(counts, (part.trials, steps, part.channels), 1)
    return counts


def events(part):
    fields = [("x", np.int16), ("t", np.int64), ("p", np.int8)]
    found = []
    for b in range(len(part)):
        own = part[b]
        found.append(np.empty(len(own.times), fields))
        found[-1]["x"], found[-1]["t"] = own.channels, np.round(own.times * 1e6)
        found[-1]["p"] = 1
    return found


def pairs(inputs, data):
    return list(zip(inputs(data), data.targets, strict=True))


class Tensor:
    """What is used of a tensor that needs a gradient, on a GPU."""

    def __init__(self, array, where="gpu"):
        self.array, self.where, self.shape = array, where, array.shape

    def detach(self):
        return Tensor(self.array, self.where + " detached")

    def cpu(self):
        return Tensor(self.array, self.where.replace("gpu", "cpu"))

    def __array__(self, dtype=None, copy=None):
        assert self.where == "cpu detached"
        return np.array(self.array, dtype)


class Loader:
    """A torch DataLoader: a length, batches as lists, no items by number."""

    def __init__(self, batches, sensor_size=None):
        self.batches, self.passes = batches, 0
        self.dataset = type("Subset", (), {"dataset": Samples([], sensor_size)})()

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.passes += 1
        for inputs, targets in self.batches:
            yield [inputs, targets]


class Samples:
    """A map-style dataset of PyTorch or tonic."""

    def __init__(self, samples, sensor_size=None):
        self.samples, self.seen = samples, []
        if sensor_size:
            self.sensor_size = sensor_size

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.seen.append(index)
        return self.samples[index]


FORMS = {
    "pairs": lambda data: batches(data),
    "own targets": lambda data: [part for part, _ in batches(data)],
    "dicts": lambda data: [{"inputs": part} for part, _ in batches(data)],
    "function": lambda data: lambda: iter(batches(data)),
    "function of the epoch": lambda data: lambda epoch: (pair for pair in batches(data)),
    "loader of rasters": lambda data: Loader(batches(data, raster)),
    "frames": lambda data: Loader(batches(data, lambda p: raster(p).reshape(-1, 60, 1, 1, 5))),
    "tensors": lambda data: Loader(
        [(Tensor(x), Tensor(y)) for x, y in batches(data, raster)]
    ),
    "events": lambda data: Loader(batches(data, events), (5, 1, 1)),
    "dataset of events": lambda data: Samples(pairs(events, data), (5, 1, 1)),
    "dataset of rasters": lambda data: Samples(pairs(raster, data)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_trains_as_the_data_itself(form, data, expected):
    def run(self, spikes=None, targets=None):
        spikes = spikes["inputs"] if isinstance(spikes, dict) else spikes
        return FakeModel.run(self, spikes, targets)

    model = type("Dicts", (FakeModel,), {"run": run})()
    one = bep.Trainer(model, Adam({WEIGHT: 0.02, DELAY: 0.1 * ms}))
    given = FORMS[form](data)
    order = {"batch_size": 20, "shuffle": False} if isinstance(given, Samples) else {}
    one.fit(given, 2, progress=False, **order)
    np.testing.assert_allclose(values(one), expected, rtol=1e-12)
    found, wanted = one.evaluate(given), one.evaluate(data)
    assert found["accuracy"] == wanted["accuracy"]
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-12)
    np.testing.assert_array_equal(one.predict(given), one.predict(data))


def test_a_dataset_is_shuffled_as_the_data_itself(data):
    samples = Samples(pairs(events, data), (5, 1, 1))
    found = trained(samples, batch_size=20, seed=3)
    np.testing.assert_allclose(found, trained(data, batch_size=20, seed=3), rtol=1e-12)
    assert sorted(samples.seen) == sorted(2 * list(range(50)))
    assert samples.seen[:50] != samples.seen[50:]


def test_validation_of_all_kinds(data):
    run = trainer()
    for validation in (data, Loader(batches(data, raster)), lambda: batches(data)):
        history = run.fit(batches(data), 1, validation=validation, progress=False)
    columns = history["val_loss"]
    for epoch, loss in enumerate(columns):
        assert np.isfinite(loss), epoch
    samples = Samples(pairs(events, data), (5, 1, 1))
    history = run.fit(data, 1, 20, validation=samples, progress=False)
    assert history["val_accuracy"][-1] == run.evaluate(data)["accuracy"]


def test_a_function_is_told_the_epoch(data):
    seen = []

    def make(epoch):
        seen.append(epoch)
        return batches(data)

    run = trainer()
    run.fit(make, 2, progress=False)
    run.fit(make, 1, progress=False)
    run.evaluate(make)
    assert seen == [0, 1, 2, 3]
    with_default = source_of(lambda size=20: batches(data), "data", run.model)
    assert len(list(with_default.epoch(7))) == 3


def test_batches_are_made_when_they_are_needed(data):
    made, log = [], []

    class Watch(bep.Callback):
        def on_train_begin(self, trainer, epochs, batches):
            log.append(batches)

        def on_batch_end(self, trainer, batch, result):
            log.append(len(made))

    def generate():
        for pair in batches(data):
            made.append(1)
            yield pair

    run = trainer([Watch()])
    run.fit(generate(), 1, progress=False)  # an iterator serves one epoch
    assert log == [None, 2, 3, 3]  # one ahead
    run.fit(batches(data), 1, progress=False)
    assert log[4] == 3


def test_a_bar_without_an_end(data, capsys):
    trainer().fit(lambda: batches(data), 1)
    assert "3batch" in capsys.readouterr().err.replace(" ", "")


def test_a_loader_of_a_stream_has_no_length(data):
    class Stream(Loader):
        def __len__(self):
            raise TypeError("object of type 'Stream' has no len()")

    assert source_of(Stream(batches(data)), "data", FakeModel()).count is None


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda d: (d, 1, None), ValueError, "batch_size=... is missing: how many trials of data"),
        (lambda d: (batches(d), 1, 20), ValueError, "leave batch_size= out"),
        (lambda d: (iter(batches(d)), 2), ValueError, "iterator, which gives its batches once.*2"),
        (lambda d: ((raster(d), d.targets), 1), TypeError, "must be one SpikeData.*a tuple of 2"),
        (lambda d: (raster(d), 1), TypeError, r"not ndarray of the shape \(50, 60, 5\): "),
        (lambda d: ({"a": [1]}, 1), TypeError, "not a list of 1"),
        (lambda d: ({}, 1), TypeError, "an empty dict"),
        (lambda d: (None, 1), TypeError, "not NoneType"),
        (lambda d: ([], 1), ValueError, "no trials to train on"),
        (lambda d: (lambda: [], 1), ValueError, "no batches in epoch 0"),
        (lambda d: (lambda: 3, 1), TypeError, "data made int"),
        (lambda d: ([(d, d.targets, 3)], 1), TypeError, "batch 0 of data: .* not a tuple of 3"),
        (lambda d: ([[d, d]] + [[3, d.targets]], 1), TypeError, "batch 1 of data.*not int"),
        (lambda d: (Samples([3]), 1, 1), TypeError, r"a pair \(input, target\), not int"),
        (lambda d: (Samples([(np.zeros((3, 5)), 0), (np.zeros((4, 5)), 0)]), 1, 2), ValueError,
         r"different shapes: \[\(3, 5\), \(4, 5\)"),
    ],
)  # fmt: skip
def test_what_is_refused(make, error, message, data):
    class Learns(FakeModel):
        def run(self, spikes=None, targets=None):
            return super().run(spikes, data.targets if targets is spikes else targets)

    run = bep.Trainer(Learns(), Adam({WEIGHT: 0.02, DELAY: 0.1 * ms}))
    with pytest.raises(error, match=message):
        run.fit(*make(data), progress=False)


def test_what_else_is_refused(data):
    run = trainer()
    with pytest.raises(ValueError, match="leave shuffle= out"):
        run.fit(batches(data), 1, shuffle=True, progress=False)
    with pytest.raises(TypeError, match="augment= is for data of one input group"):
        run.fit(batches(data), 1, augment=bep.ChannelShift(1), progress=False)
    with pytest.raises(ValueError, match="validation is an iterator"):
        run.fit(data, 2, 20, validation=iter(batches(data)), progress=False)
    with pytest.raises(TypeError, match="validation must be one SpikeData"):
        run.fit(data, 2, 20, validation="x", progress=False)


@pytest.mark.parametrize("shape", [(20, 59, 5), (20, 60, 6), (60, 20, 5), (20, 60)])
def test_a_raster_that_is_not_on_the_grid_is_refused(shape, data):
    run = trainer()
    run.model.spec = type(run.model.spec)(
        **vars(run.model.spec) | {"inputs": [type(run.model.spec)(name="a", size=5)]}
    )
    message = (
        r"batch 0 of data: a raster of the shape .* is not \(trials, 60 steps, 5 channels\).*1 ms"
    )
    with pytest.raises(ValueError, match=message):
        run.fit([(np.zeros(shape), data.targets[:20])], 1, progress=False)


def test_a_checkpoint_of_ready_batches(data, tmp_path):
    path = tmp_path / "run.h5"
    given = Loader(batches(data, raster))
    run = trainer([bep.Checkpoint(path)])
    run.fit(given, 3, progress=False)
    first = trainer([bep.Checkpoint(path)])
    first.fit(given, 1, progress=False)
    again = trainer([bep.Checkpoint(path)])
    again.resume(path)
    again.fit(given, 2, progress=False)
    np.testing.assert_array_equal(values(again), values(run))


def test_loaders_of_a_real_model():
    from helpers.networks import small

    model, spikes = small.all_to_all(n_inputs=4, n_hidden=5, n_steps=20, trials=4)
    dt = model.spec.dt
    on_grid = spikes.on_grid(dt * ms / 1e-3)
    counts = np.zeros((4, model.n_steps, 4), np.int8)
    steps = np.round(on_grid.times / dt).astype(int)
    counts[on_grid.trials, steps, on_grid.channels] = 1
    rates = {key: 1e-3 * (ms if key[1] == "delay" else 1) for key in model.parameters.keys}
    run = bep.Trainer(model, Adam(rates))
    loss = run.evaluate(on_grid)["loss"]
    assert run.evaluate([(counts, None)])["loss"] == loss > 0
    assert run.evaluate([(Tensor(counts), None)])["loss"] == loss
    assert run.evaluate([({"inp": counts}, None)])["loss"] == loss
    with pytest.raises(ValueError, match=r"\(4, 20, 3\) is not \(trials, 20 steps, 4 channels\)"):
        run.evaluate([(counts[:, :, :3], None)])
