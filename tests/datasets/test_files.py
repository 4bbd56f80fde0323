"""Data sets that are read from files: small ones in the published formats."""

import os
import pickle
import string
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from brian2 import ms

from brian_eventprop.data.spikes import SpikeData
from brian_eventprop.datasets import braille, hold_out, leave_one_out, speech, stratified_split

LETTERS = [*string.ascii_uppercase, "Space"]


# ---- Braille -------------------------------------------------------------------------------


def braille_trials(repeats=10):
    random = np.random.default_rng(0)
    return [
        {
            "letter": letter,
            "events": [
                [sorted(random.uniform(0, 1.3, random.poisson(2)).tolist()) for _ in range(2)]
                for _ in range(12)
            ],
        }
        for letter in LETTERS
        for _ in range(repeats)
    ]


@pytest.fixture(scope="module")
def trials():
    return braille_trials()


def pickled(content, folder):
    path = folder / "letters.pkl"
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def test_braille_is_read_as_it_is(trials, tmp_path):
    data = braille(pickled(trials, tmp_path), "all")
    assert len(data) == 270 and data.n_channels == 24
    np.testing.assert_array_equal(data.targets, np.repeat(np.arange(27), 10))
    chosen = data[123]
    for taxel in range(12):
        for polarity in range(2):
            found = chosen.times[chosen.channels == 2 * taxel + polarity]
            np.testing.assert_array_equal(found, trials[123]["events"][taxel][polarity])


def test_braille_splits_are_stratified_disjoint_and_seeded(trials, tmp_path):
    path = pickled(trials, tmp_path)
    splits = {name: braille(path, name) for name in ("train", "validation", "test")}
    seen = set()
    for (name, data), share in zip(splits.items(), (7, 1, 2), strict=True):
        np.testing.assert_array_equal(np.bincount(data.targets), np.full(27, share), err_msg=name)
        firsts = {data[b].times.tobytes() for b in range(len(data))}
        assert not seen & firsts
        seen |= firsts
    assert len(seen) == 270
    np.testing.assert_array_equal(splits["test"].times, braille(path, "test").times)
    assert not np.array_equal(splits["test"].times, braille(path, "test", seed=1).times)


def test_braille_on_a_grid(trials, tmp_path):
    data = braille(pickled(trials, tmp_path), "all", dt=20 * ms, duration=1000 * ms)
    steps = np.rint(data.times / 0.02)
    np.testing.assert_allclose(data.times, steps * 0.02)
    assert steps.max() < 50
    cells = list(zip(data.trials, steps, data.channels, strict=True))
    assert len(set(cells)) == len(cells)


def npz(trials, path, **changes):
    data = braille(pickled(trials, path.parent), "all")
    arrays = {
        "times": data.times.astype(np.float32),
        "channel": data.channels.astype(np.uint8),
        "offsets": data.trial_ptr.astype(np.int32),
        "labels": data.targets.astype(np.uint8),
    }
    arrays.update(changes)
    np.savez_compressed(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_braille_npz_is_the_same(trials, tmp_path):
    one = braille(npz(trials, tmp_path / "letters.npz"), "train")
    other = braille(tmp_path / "letters.pkl", "train")
    np.testing.assert_array_equal(one.targets, other.targets)
    np.testing.assert_array_equal(one.trial_ptr, other.trial_ptr)
    np.testing.assert_allclose(one.times, other.times, rtol=1e-6)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": None}, "labels.*must hold"),
        ({"offsets": np.array([0, 5])}, "offsets do not divide"),
        ({"labels": np.array([{}] * 270)}, "allow_pickle"),
    ],
)
def test_other_npz_are_refused(trials, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        braille(npz(trials, tmp_path / "letters.npz", **changes))


class Intruder:
    def __reduce__(self):
        return os.mkdir, (os.environ["INTRUDED"],)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_that_run_code_do_not(tmp_path, monkeypatch, protocol):
    monkeypatch.setenv("INTRUDED", str(tmp_path / "intruded"))
    path = tmp_path / "letters.pkl"
    path.write_bytes(pickle.dumps([{"letter": "A", "events": Intruder()}], protocol))
    with pytest.raises(ValueError, match=r"letters\.pkl was not read, after byte .*mkdir"):
        braille(path)
    assert not (tmp_path / "intruded").exists()


@pytest.mark.parametrize("content", [np.zeros(3), [np.float64(1)], {1: range(3)}])
def test_pickles_with_anything_but_plain_content_are_refused(tmp_path, content):
    with pytest.raises(ValueError, match="only lists, dicts, numbers and text"):
        braille(pickled(content, tmp_path))


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.99])
def test_a_pickle_that_is_cut_off_is_refused(trials, tmp_path, part):
    path = pickled(trials, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=r"was not read, after byte \d+ of"):
        braille(path)


def damaged(trial):
    return [*braille_trials(1)[:5], trial]


GOOD = [[[], []]] * 12


@pytest.mark.parametrize(
    "content, message",
    [
        ({}, "list of trials"),
        ([], "list of trials"),
        (damaged(3), "trial 5: it must be a dict"),
        (damaged({"letter": "A"}), "trial 5: it must be a dict with 'letter' and 'events'"),
        (damaged({"letter": 3, "events": GOOD}), "trial 5: 'letter' must be text"),
        (damaged({"letter": "A", "events": [[], []]}), "trial 5: 'events' must be"),
        (damaged({"letter": "A", "events": [[[], ["x"]]]}), "trial 5, channel 1: 'x'"),
        (damaged({"letter": "A", "events": [[[-1.0], []]]}), "trial 5, channel 0: -1.0"),
        (damaged({"letter": "A", "events": [[[float("nan")], []]]}), "trial 5, channel 0: nan"),
        (damaged({"letter": "A", "events": GOOD[:3]}), r"taxels: \[3, 12\]"),
    ],
)
def test_pickles_of_another_layout_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        braille(pickled(content, tmp_path))


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match="split"):
        braille("x", "testing")
    with pytest.raises(ValueError, match="fractions"):
        braille("x", fractions=(0.8, 0.2))
    with pytest.raises(FileNotFoundError):
        braille(tmp_path / "x")


# ---- speech --------------------------------------------------------------------------------


@pytest.fixture
def shd(tmp_path):
    """A folder like the published one: half-precision times, speakers, names of the classes."""
    random = np.random.default_rng(3)
    for name, size in (("train", 20), ("test", 6)):
        with h5py.File(tmp_path / f"shd_{name}.h5", "w") as file:
            times = file.create_dataset("spikes/times", (size,), h5py.vlen_dtype(np.float16))
            units = file.create_dataset("spikes/units", (size,), h5py.vlen_dtype(np.uint16))
            for k in range(size):
                times[k] = np.sort(random.random(50)).astype(np.float16)
                units[k] = random.integers(0, 700, 50).astype(np.uint16)
            file["labels"] = (np.arange(size) % 5).astype(np.uint16)
            file["extra/speaker"] = (np.arange(size) % 4).astype(np.uint16)
            file["extra/keys"] = np.array([b"zero", b"one", b"two", b"three", b"four"])
            file["extra/meta_info/gender"] = np.array([b"f"] * 4)
    return tmp_path


def test_speech(shd):
    data = speech(shd, "train")
    assert (len(data), data.n_channels, len(data.times)) == (20, 700, 1000)
    assert list(data.extra) == ["speaker"]
    np.testing.assert_array_equal(data.targets, np.arange(20) % 5)
    with h5py.File(shd / "shd_train.h5") as file:
        times, units = file["spikes/times"][7], file["spikes/units"][7]
    order = np.lexsort((units, times))
    assert data.times.dtype == np.float64
    np.testing.assert_array_equal(data[7].times, times[order].astype(np.float64))
    np.testing.assert_array_equal(data[7].channels, units[order])


def test_speech_of_a_tonic_dataset(shd):
    # What speech() uses of tonic's classes; the next test has the real ones.
    dataset = SimpleNamespace(
        location_on_system=str(shd), data_filename="shd_train.h5", transform=None
    )
    data = speech(dataset, pool=7)
    assert (len(data), data.n_channels) == (20, 100)
    assert data.times.dtype == np.float64
    with pytest.raises(ValueError, match="is one split already"):
        speech(dataset, "train")
    dataset.transform = print
    with pytest.raises(ValueError, match="has a transform"):
        speech(dataset)


def test_speech_of_tonics_own_class(shd, tmp_path):
    tonic = pytest.importorskip("tonic")
    folder = tmp_path / "data" / "SHD"
    folder.mkdir(parents=True)
    for name in ("train", "test"):
        (shd / f"shd_{name}.h5").rename(folder / f"shd_{name}.h5")
        (folder / f"shd_{name}.h5.zip").touch()  # where tonic looks before it downloads
    dataset = tonic.datasets.SHD(str(folder.parent), train=False)
    data = speech(dataset)
    assert len(data) == len(dataset) == 6
    np.testing.assert_array_equal(data.extra["speaker"], dataset.speaker)
    np.testing.assert_array_equal(data.targets, [int(dataset[k][1]) for k in range(6)])
    for k in range(6):
        assert 0 < data[k].times.max() < 1 and data[k].times.min() >= 0


def test_speech_short_and_coarse(shd):
    data = speech(shd / "shd_test.h5", pool=70, duration=500 * ms)
    assert len(data) == 6 and data.n_channels == 10 and data.channels.max() == 9
    assert data.times.max() < 0.5 and data.duration == 500 * ms


def test_speech_finds_the_one_file(shd):
    with pytest.raises(FileNotFoundError, match=r"no file named \*_valid\.h5"):
        speech(shd, "validation")
    with pytest.raises(ValueError, match="split must be one of"):
        speech(shd)
    with pytest.raises(ValueError, match="not a folder"):
        speech(shd / "shd_test.h5", "test")
    (shd / "ssc_test.h5").touch()
    with pytest.raises(FileNotFoundError, match=r"shd_test\.h5, ssc_test\.h5"):
        speech(shd, "test")


def test_speech_with_too_many_channels(shd):
    with pytest.raises(ValueError, match=r"trial 0: units .* are not in 0\.\.99"):
        speech(shd, "train", n_channels=100)


def test_speech_without_labels(shd):
    with h5py.File(shd / "shd_test.h5", "r+") as file:
        del file["labels"]
    with pytest.raises(ValueError, match=r"shd_test\.h5 has no 'labels'"):
        speech(shd, "test")


# ---- parts ---------------------------------------------------------------------------------


def test_no_speaker_is_on_both_sides(shd):
    data = speech(shd, "train")
    speakers = []
    for who, rest, held in leave_one_out(data):
        speakers.append(who)
        assert set(held.extra["speaker"]) == {who}
        assert who not in rest.extra["speaker"]
        assert len(rest) + len(held) == 20
    assert speakers == [0, 1, 2, 3]
    rest, held = hold_out(data, [1, 3])
    assert set(rest.extra["speaker"]) == {0, 2} and set(held.extra["speaker"]) == {1, 3}
    with pytest.raises(ValueError, match=r"no trial has speaker \[9\]"):
        hold_out(data, 9)
    with pytest.raises(ValueError, match="'age'.*speaker"):
        hold_out(data, 1, "age")


def test_stratified_split_needs_labels_and_room():
    data = SpikeData([], [], [], 4, 1)
    with pytest.raises(ValueError, match="label"):
        stratified_split(data)
    data.targets = np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="more than 1"):
        stratified_split(data, (0.8, 0.4))
    assert [len(part) for part in stratified_split(data, (0.5, 0.5))] == [2, 2]
    assert [len(part) for part in stratified_split(data, (0.5,))] == [2]
