"""Pictures: that they hold the numbers they were given."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from brian2 import ms, mV

from brian_eventprop import plotting
from brian_eventprop.datasets import yin_yang
from brian_eventprop.training import History

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def test_raster_draws_one_trial():
    data = yin_yang("test", size=4)
    axes = plotting.raster(data, sample=2)
    points = axes.collections[0].get_offsets()
    np.testing.assert_allclose(points[:, 0], data[2].times * 1e3)
    np.testing.assert_array_equal(points[:, 1], data[2].channels)


def test_raster_of_recorded_spikes():
    spikes = SimpleNamespace(sample=np.array([0, 1, 1]), i=np.array([5, 6, 7]), t=[1, 2, 3] * ms)
    points = plotting.raster(spikes, sample=1, color="r").collections[0].get_offsets()
    np.testing.assert_allclose(points, [[2, 6], [3, 7]])


def test_learning_curves():
    rows = [{"epoch": k, "loss": 2.0 - k, "accuracy": k, "val_loss": 1.0} for k in range(2)]
    loss, accuracy = History(rows).plot()
    assert len(loss.lines) == 2 and len(accuracy.lines) == 1
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [2, 1])


def test_delays():
    counts, against = plotting.delays([1, 2] * ms, np.array([0.002, 0.004]))
    np.testing.assert_allclose(against.lines[1].get_xydata(), [[1, 2], [2, 4]])
    assert counts.get_xlim()[1] > 4


def test_decision_map():
    axes = plotting.decision_map(lambda points: points[:, 1] > 0.5, lambda points: points, 20)
    image = axes.images[0].get_array()
    assert np.ma.is_masked(image[0, 0]) or np.isnan(image[0, 0])
    assert image[5, 10] == 0 and image[15, 10] == 1


def test_weights():
    counts, against = plotting.weights([-1.0, 2.0], [0.5, 3.0])
    np.testing.assert_allclose(against.lines[1].get_xydata(), [[-1, 0.5], [2, 3]])
    assert counts.get_xlim()[0] <= -1 and counts.get_xlim()[1] > 3
    counts, _ = plotting.weights([1, 1] * mV, [1, 1] * mV, unit=mV)
    assert counts.get_xlabel() == "weight (mV)"
    assert sum(patch.get_height() for patch in counts.patches[1:]) == 2


def test_confusion_matrix():
    axes = plotting.confusion_matrix([0, 0, 0, 2], [0, 0, 1, 2])
    np.testing.assert_allclose(
        axes.images[0].get_array(), [[2 / 3, 1 / 3, 0], [0, 0, 0], [0, 0, 1]]
    )
    assert axes.get_title() == "75.0% of 4 trials"
    assert {text.get_text() for text in axes.texts} == {"1", "2"}
    named = plotting.confusion_matrix([0], [1], names=["a", "b", "c"])
    assert [tick.get_text() for tick in named.get_xticklabels()] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="one label and one prediction"):
        plotting.confusion_matrix([0, 1], [0])


def recorded():
    """Two neurons at three times, and the adjoint of one state more."""

    class Record(dict):
        t = [0, 1, 2] * ms

    record = Record(v=[[1, 2, 3], [4, 5, 6]] * mV, n=np.array([[0, 1, 2], [2, 1, 0]]))
    record.adjoint = Record(v=[[1, 2, 0], [3, 4, 0]] / mV, w=np.ones((2, 3)))
    return record


def test_traces():
    record = recorded()
    volts, numbers = plotting.traces(record)
    assert (volts.get_ylabel(), numbers.get_ylabel()) == ("v (mV)", "n")
    np.testing.assert_allclose(volts.lines[1].get_xydata(), [[0, 4], [1, 5], [2, 6]])
    np.testing.assert_allclose(numbers.lines[0].get_ydata(), [0, 1, 2])
    assert numbers.get_xlabel() == "time (ms)"
    assert [text.get_text() for text in volts.get_legend().get_texts()] == ["neuron 0", "neuron 1"]
    pair = matplotlib.pyplot.subplots(2)[1]
    found = plotting.traces(record, axes=pair, neurons=[1], color="k")
    assert list(found) == list(pair) and len(pair[0].lines) == 1
    assert pair[0].lines[0].get_color() == "k" and pair[0].get_legend() is None
    with pytest.raises(ValueError, match="2 axes are needed, one for each of v, n"):
        plotting.traces(record, axes=pair[0])


def test_adjoint():
    volts, numbers = plotting.adjoint(recorded())
    assert (volts.get_ylabel(), numbers.get_ylabel()) == ("dL/dv (1/mV)", "dL/dw")
    np.testing.assert_allclose(volts.lines[1].get_ydata(), [3, 4, 0])
    np.testing.assert_allclose(volts.lines[-1].get_ydata(), 0)  # the line at 0
