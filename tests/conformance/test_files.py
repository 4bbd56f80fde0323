"""The files of the conformance suite: schema, numbers, and the program that made them."""

import copy
import json

import numpy as np
import pytest

from conformance import reader
from conformance.differences import by_differences
from conformance.simulator.simulation import run

PATHS = sorted((reader.FOLDER).glob("*.json"))


def raw(name):
    return json.loads((reader.FOLDER / f"{name}.json").read_text())


def test_there_are_sixty_networks():
    assert len(PATHS) >= 60


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_a_file_keeps_to_the_schema_and_agrees_with_itself(path):
    network = reader.load(path)
    expected = network["expected"]
    assert network["name"] == path.stem
    spikes = {name: (s["neuron"], s["time"]) for name, s in expected["spikes"].items()}
    found = reader.compare(network, expected["loss"], spikes, expected["gradients"])
    assert set(found.values()) == {16.0}
    assert set(found) == {"loss", "spikes", *network["trained"]}


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_gradients_are_there_and_were_checked_by_differences(path):
    expected = reader.load(path)["expected"]
    for name, gradient in expected["gradients"].items():
        assert np.all(np.isfinite(gradient)) and np.any(gradient), name
        assert expected["digits"]["gradients"][name] >= 10, name


def test_what_is_missing_or_unknown_is_named():
    file = raw("lif_one_neuron")
    for change, message in (
        (lambda f: f["groups"]["hid"].pop("size"), "'size' is missing"),
        (lambda f: f["groups"]["hid"].update(colour=3), r"nobody knows \['colour'\]"),
        (lambda f: f.update(format="another 2"), "this reader knows"),
        (lambda f: f["inputs"]["inp"].update(time=[0.1]), "different shapes"),
    ):
        changed = copy.deepcopy(file)
        change(changed)
        with pytest.raises(ValueError, match=message):
            reader.validate(changed)


def test_digits_that_agree():
    assert reader.digits([1.0, 2.0002], [1.0, 2.0]) == pytest.approx(4)
    assert reader.digits([1.0], [1.0, 2.0]) == 0
    assert reader.digits([np.nan], [1.0]) == 0
    assert reader.digits([0.0], [0.0]) == 16


def test_spikes_may_come_in_any_order_but_not_from_other_neurons():
    network = reader.load(reader.FOLDER / "lif_spike_times.json")
    given = network["expected"]["spikes"]["hid"]
    neurons, times = given["neuron"][::-1], given["time"][::-1]
    assert reader.compare(network, spikes={"hid": (neurons, times)}) == {"spikes": 16.0}
    assert reader.compare(network, spikes={"hid": ((neurons + 1) % 3, times)}) == {"spikes": 0.0}


@pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="the simulation needs numbers of 80 bits"
)
def test_the_simulation_finds_the_numbers_of_a_file():
    file = raw("lif_one_neuron")
    found = run(file, file["trained"])
    assert float(found.loss) == pytest.approx(file["expected"]["loss"], rel=1e-15)
    differences, _ = by_differences(file)
    for path, expected in file["expected"]["gradients"].items():
        np.testing.assert_allclose(found.gradients[path].astype(float), expected, rtol=1e-15)
        np.testing.assert_allclose(differences[path].astype(float), expected, rtol=1e-12)
