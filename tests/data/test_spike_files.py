"""Spike data on disk and in other forms: nothing is lost, and bad files are named."""

import h5py
import numpy as np
import pytest
from brian2 import ms, second

from brian_eventprop.data import hdf5_contents
from brian_eventprop.data.files import writing
from brian_eventprop.data.spikes import SpikeData


@pytest.fixture
def data():
    random = np.random.default_rng(1)
    trials = random.integers(0, 7, 300)
    trials[trials == 2] = 1  # one empty trial
    return SpikeData(
        random.random(300),
        random.integers(0, 11, 300),
        trials,
        7,
        11,
        targets=np.arange(7),
        duration=1.5 * second,
        extra={"speaker": np.arange(7) % 3},
    )


def assert_same(one, other):
    np.testing.assert_array_equal(one.times, other.times)
    np.testing.assert_array_equal(one.channels, other.channels)
    np.testing.assert_array_equal(one.trial_ptr, other.trial_ptr)
    np.testing.assert_array_equal(one.targets, other.targets)
    assert one.n_channels == other.n_channels and one.duration == other.duration
    assert one.extra.keys() == other.extra.keys()
    for name, column in one.extra.items():
        np.testing.assert_array_equal(column, other.extra[name])


def test_all_comes_back(data, tmp_path):
    data.save(tmp_path / "spikes.h5")
    assert_same(SpikeData.load(tmp_path / "spikes.h5"), data)


def test_little_comes_back(tmp_path):
    empty = SpikeData([], [], [], 0, 3)
    empty.save(tmp_path / "spikes.h5")
    back = SpikeData.load(tmp_path / "spikes.h5")
    assert len(back) == 0 and back.targets is None and back.duration is None and back.extra == {}


def test_target_trains_come_back(data, tmp_path):
    wanted = SpikeData([0.25, 0.5], [1, 0], [6, 0], 7, 2)
    data.targets = wanted
    data.save(tmp_path / "spikes.h5")
    back = SpikeData.load(tmp_path / "spikes.h5").targets
    np.testing.assert_array_equal(back.padded(), wanted.padded())


def test_a_selection_keeps_what_is_known_of_its_trials(data):
    np.testing.assert_array_equal(data[[5, 1]].extra["speaker"], [2, 1])
    with pytest.raises(ValueError, match="speaker"):
        SpikeData([], [], [], 2, 1, extra={"speaker": [1]})


def test_on_grid_leaves_one_spike_per_step(data):
    grid = data.on_grid(50 * ms)
    steps = np.rint(grid.times / 0.05).astype(int)
    cells = set(zip(grid.trials, steps, grid.channels, strict=True))
    assert len(cells) == len(grid.times) < len(data.times)
    expected = np.floor(data.times / 0.05 + 1e-3).astype(int)
    assert cells == set(zip(data.trials, expected, data.channels, strict=True))
    np.testing.assert_array_equal(grid.extra["speaker"], data.extra["speaker"])
    assert_same(grid.on_grid(50 * ms), grid)


def test_pooled_and_until(data):
    pooled = data.pooled(4)
    assert pooled.n_channels == 3 and len(pooled.times) == len(data.times)
    counts = np.bincount(data.channels // 4)
    np.testing.assert_array_equal(np.bincount(pooled.channels), counts)
    short = data.until(500 * ms)
    assert short.times.max() < 0.5 and short.duration == 500 * ms
    assert len(short.times) == np.sum(data.times < 0.5)
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match="factor"):
            data.pooled(wrong)
    with pytest.raises(ValueError, match="dt"):
        data.on_grid(0 * ms)


def like_published(data, path):
    """Save as others do, without length and digest in front."""
    data.save(path)
    with open(path, "rb+") as file:
        file.write(bytes(512))


@pytest.mark.parametrize("part", [0.1, 0.3, 0.9, 0.999])
def test_cut_off_published(data, tmp_path, part):
    path = tmp_path / "spikes.h5"
    like_published(data, path)
    assert_same(SpikeData.load(path), data)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=r"spikes\.h5 cannot be read, it is cut off or damaged"):
        SpikeData.load(path)


def test_damaged(data, tmp_path):
    path = tmp_path / "spikes.h5"
    data.save(path)
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(512, len(content), 30):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            SpikeData.load(path)


@pytest.mark.parametrize("part", [0.001, 0.02, 0.3, 0.9, 0.999])
def test_cut_off(data, tmp_path, part):
    path = tmp_path / "spikes.h5"
    data.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=r"spikes\.h5 (is cut off: it has|is not an HDF5 file)"):
        SpikeData.load(path)


def test_no_hdf5(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        SpikeData.load(tmp_path / "missing.h5")
    path = tmp_path / "spikes.h5"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        SpikeData.load(path)
    path.write_bytes(b"PK\x03\x04 a zip file")
    with pytest.raises(ValueError, match=r"not an HDF5 file.*PK"):
        SpikeData.load(path)


def change(path, name, value):
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("spikes/times", None, "no 'spikes/times'.*it holds"),
        ("spikes/units", np.arange(7), "'spikes/units' must hold one array per trial"),
        ("labels", [1, 2], "labels has 2 entries for 7 trials"),
    ],
)
def test_another_layout(data, tmp_path, name, value, message):
    path = tmp_path / "spikes.h5"
    like_published(data, path)
    change(path, name, value)
    with pytest.raises(ValueError, match=message):
        SpikeData.load(path)


@pytest.mark.parametrize(
    "name, row, message",
    [
        ("spikes/units", [1], "trial 3: .* times, but 1 units"),
        ("spikes/units", None, "trial 3: units from .* to 11 are not in 0..10"),
        ("spikes/times", np.nan, "trial 3: the time nan s"),
        ("spikes/times", -1.0, r"trial 3: the time -1\.0 s"),
    ],
)
def test_a_bad_trial_is_named(data, tmp_path, name, row, message):
    path = tmp_path / "spikes.h5"
    like_published(data, path)
    with h5py.File(path, "r+") as file:
        content = file[name][3]
        if row is None:
            content[0] = 11
        elif np.ndim(row) == 0:
            content[0] = row
        else:
            content = np.array(row)
        file[name][3] = content
    with pytest.raises(ValueError, match=message):
        SpikeData.load(path)


def test_number_of_channels_must_be_known(data, tmp_path):
    path = tmp_path / "spikes.h5"
    like_published(data, path)
    with h5py.File(path, "r+") as file:
        del file.attrs["n_channels"]
    with pytest.raises(ValueError, match="n_channels"):
        SpikeData.load(path)
    assert SpikeData.load(path, n_channels=20).n_channels == 20


def test_an_interrupted_save_leaves_the_old_file(data, tmp_path):
    path = tmp_path / "spikes.h5"
    data.save(path)
    with pytest.raises(KeyboardInterrupt), writing(path, "spikes") as file:
        file["half"] = 1
        raise KeyboardInterrupt
    assert_same(SpikeData.load(path), data)


def overwrite(path, place, content):
    whole = bytearray(path.read_bytes())
    whole[place : place + len(content)] = content
    path.write_bytes(whole)


def test_a_file_in_which_hdf5_never_ends_is_given_up(data, tmp_path, monkeypatch):
    path = tmp_path / "spikes.h5"
    like_published(data, path)
    heap = path.read_bytes().index(b"GCOL")  # the trials' values: objects with their sizes
    overwrite(path, heap + 16, bytes(64))
    monkeypatch.setattr(hdf5_contents, "PATIENCE", 2.0)
    with pytest.raises(ValueError, match=r"spikes\.h5 cannot be read, it is damaged: .* after 2 s"):
        SpikeData.load(path)


def test_a_file_that_kills_its_reader_is_an_error(data, tmp_path, monkeypatch):
    path = tmp_path / "spikes.h5"
    like_published(data, path)
    monkeypatch.setattr(hdf5_contents.sys, "executable", "false")
    with pytest.raises(ValueError, match=r"spikes\.h5 cannot be read, it is damaged: HDF5 crashes"):
        SpikeData.load(path)


@pytest.mark.slow
def test_whatever_is_damaged_the_file_is_named(data, tmp_path, monkeypatch):
    path = tmp_path / "spikes.h5"
    like_published(data, path)
    content = path.read_bytes()
    filled = np.flatnonzero(np.frombuffer(content, np.uint8))
    monkeypatch.setattr(hdf5_contents, "PATIENCE", 5.0)
    refused = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        path.write_bytes(content)
        for place in random.choice(filled[filled < 6000], 1 + seed % 8):
            overwrite(path, place, random.bytes(1))
        try:
            SpikeData.load(path, 11)
        except ValueError as error:
            assert "spikes.h5" in str(error)
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("duration", [-1.0, 0.0, np.nan, np.inf, "long"])
def test_a_duration_that_is_none(data, tmp_path, duration):
    path = tmp_path / "spikes.h5"
    like_published(data, path)
    with h5py.File(path, "r+") as file:
        file.attrs["duration"] = duration
    with pytest.raises(ValueError, match=r"spikes\.h5: .* is no duration of a trial"):
        SpikeData.load(path)
