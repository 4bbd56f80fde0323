"""Augmentations: what they do to spikes, their statistics, and that a seed fixes them."""

import numpy as np
import pytest
from brian2 import ms
from helpers.fake_model import DELAY, WEIGHT, FakeModel

from brian_eventprop import Adam, Blend, ChannelShift, SpikeData, Trainer
from brian_eventprop.data.augmentation import augmented
from brian_eventprop.training.batches import batches


@pytest.fixture
def data():
    random = np.random.default_rng(3)
    n_trials, n_channels, n_spikes = 40, 60, 4000
    return SpikeData(
        random.uniform(0, 0.1, n_spikes), random.integers(20, 40, n_spikes),
        random.integers(0, n_trials, n_spikes), n_trials, n_channels,
        targets=np.arange(n_trials) % 4, duration=100 * ms, extra={"who": np.arange(n_trials)},
    )  # fmt: skip


def rng(seed=0):
    return np.random.default_rng(seed)


def spikes_of(data, trial):
    part = slice(data.trial_ptr[trial], data.trial_ptr[trial + 1])
    return data.times[part], data.channels[part]


def test_shift_moves_a_trial_as_one(data):
    shifted = ChannelShift(10)(data, rng(), data)
    assert len(shifted.times) == len(data.times)  # channels 20..39 of 60 stay inside
    found = set()
    for trial in range(len(data)):
        times, channels = spikes_of(shifted, trial)
        before = spikes_of(data, trial)
        np.testing.assert_array_equal(times, before[0])
        (moved,) = set(channels - before[1])
        found.add(moved)
    assert found <= set(range(-10, 11)) and len(found) > 10
    np.testing.assert_array_equal(shifted.targets, data.targets)
    np.testing.assert_array_equal(shifted.extra["who"], data.extra["who"])


def test_shift_reaches_both_ends_and_drops_what_leaves(data):
    shifts = []
    for seed in range(60):
        moved = ChannelShift(1)(data[[0]], rng(seed), data)
        shifts.append(int(moved.channels[0] - data[[0]].channels[0]))
    assert set(shifts) == {-1, 0, 1}
    far = ChannelShift(50)(data, rng(), data)
    assert 0 < len(far.times) < len(data.times)
    assert far.channels.min() >= 0 and far.channels.max() < 60


def test_blend_is_of_two_trials_of_the_class(data):
    blended = Blend(1, keep=1)(data, rng(), data)
    np.testing.assert_array_equal(blended.targets, data.targets)
    for trial in range(len(data)):
        _, own = spikes_of(data, trial)
        times, _ = spikes_of(blended, trial)
        # all spikes of the trial and of one of its class, in any order
        partners = [
            k for k in range(len(data))
            if data.targets[k] == data.targets[trial]
            and len(spikes_of(data, k)[0]) == len(times) - len(own)
        ]  # fmt: skip
        assert partners
        centre = (np.mean(spikes_of(data, trial)[0]) + np.mean(spikes_of(data, partners[0])[0])) / 2
        if len(partners) == 1:
            # spikes put on the border move the mean a little
            assert abs(np.mean(times) - centre) < 2e-3
    assert blended.times.min() >= 0 and blended.times.max() <= 0.1


def test_blend_keeps_half_and_replaces_half(data):
    blend = Blend()
    sizes, replaced = [], 0
    for seed in range(20):
        blended = blend(data, rng(seed), data)
        sizes.append(len(blended.times))
        for trial in range(len(data)):
            same = len(spikes_of(blended, trial)[0]) == len(spikes_of(data, trial)[0])
            replaced += not (
                same and np.all(spikes_of(blended, trial)[0] == spikes_of(data, trial)[0])
            )
    # 800 trials, p = 0.5: four standard deviations are 57
    assert abs(replaced - 400) < 57
    assert abs(np.mean(sizes) / len(data.times) - 1) < 0.02


def test_trials_without_spikes(data):
    empty = SpikeData([], [], [], 3, 60, targets=[0, 0, 1])
    assert len(Blend(1)(empty, rng(), empty).times) == 0
    mixed = SpikeData([0.01, 0.02], [5, 7], [0, 0], 2, 60, targets=[0, 0])
    for seed in range(5):
        blended = Blend(1, keep=1)(mixed[[1]], rng(seed), mixed)
        assert set(blended.channels) <= {5, 7}
    assert len(Blend(0)(data, rng(), data).times) == len(data.times)


def test_batches_depend_on_seed_epoch_and_number_only(data):
    def run(seed, epoch):
        parts = augmented(batches(data, 16), [Blend(), ChannelShift(5)], data, seed, epoch)
        return [(part.times.tobytes(), part.channels.tobytes()) for part, _ in parts]

    assert run(1, 2) == run(1, 2)
    assert run(1, 2) != run(1, 3) and run(1, 2) != run(2, 2)
    parts = run(0, 0)
    assert len(set(parts)) == 3
    # the shifts of one batch are not those of the next
    first, second = (
        part.channels for part, _ in list(augmented(
            batches(data[np.zeros(32, int)], 16), [ChannelShift(5)], data, 0, 0))
    )  # fmt: skip
    assert not np.array_equal(first, second)


def one_spike_per_channel(size=40):
    random = np.random.default_rng(0)
    times = random.uniform(0, 0.02, (size, 5))
    rows, channels = np.divmod(np.arange(size * 5), 5)
    return SpikeData(times.ravel(), channels, rows, size, 5, targets=np.arange(size) % 3)


def test_trainer_varies_training_trials_only():
    data, seen = one_spike_per_channel(), []

    def note(batch, random, given):
        seen.append((len(batch), given is data))
        return batch.with_spikes(batch.times * random.random(), batch.channels, batch.trials)

    def fit(**more):
        trainer = Trainer(FakeModel(), Adam({WEIGHT: 0.1, DELAY: 0.1 * ms}))
        return trainer.fit(data, 2, 16, validation=data, progress=False, **more)

    plain, varied = fit(), fit(augment=note)
    assert seen == [(16, True), (16, True), (8, True)] * 2
    assert plain["loss"][0] != varied["loss"][0]
    again = fit(augment=[note])
    np.testing.assert_array_equal(again["val_loss"], varied["val_loss"])


def test_nonsense_is_refused(data):
    trainer = Trainer(FakeModel(), Adam({WEIGHT: 0.1, DELAY: 0.1 * ms}))
    with pytest.raises(TypeError, match="one SpikeData"):
        trainer.fit({"a": data}, 1, 4, augment=ChannelShift(1))
    with pytest.raises(TypeError, match="is a function"):
        trainer.fit(data, 1, 4, augment=[3])
    with pytest.raises(ValueError, match="one label per trial"):
        Blend(1)(SpikeData([], [], [], 2, 60), rng(), data)
    with pytest.raises(ValueError, match="whole number"):
        ChannelShift(0.5)
    with pytest.raises(ValueError, match="probability"):
        Blend(2)
