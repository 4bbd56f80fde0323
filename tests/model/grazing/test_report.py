"""What a gradient's report says of the flattest crossings."""

import copy
import pickle

import numpy as np
import pytest
from brian2 import NeuronGroup, ms, mV, second
from model.grazing.test_slope_floor import SOLVERS, constant_current, layers

import brian_eventprop as bep


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_flattest_spike_is_named(solver):
    group, model = constant_current(solver, unit=mV)
    model.run()
    gradients = model.gradient()
    report = gradients.report(1)
    (spike,) = report.spikes
    assert (spike.group, spike.i, spike.sample) == ("cell", 0, 0)
    # of the time grid the slope at the end of the step; the step is a hundredth of tau
    np.testing.assert_allclose(
        float(spike.slope / (mV / second)), 5, rtol=1e-9 if solver == "event" else 0.02
    )
    np.testing.assert_allclose(float(spike.t / ms), 10 * np.log(1.05 / 0.05), rtol=0.005)
    # nothing connects the neurons: the gradient of the other one does not change
    first, second_one = np.abs(np.asarray(gradients[group.I]))
    share = first / np.hypot(first, second_one)
    np.testing.assert_allclose(report.share["cell.I"], share, rtol=1e-9)
    n_spikes = len(model.result.spikes[group])
    assert report.crossings == n_spikes
    both = gradients.report(n_spikes)
    np.testing.assert_allclose(both.share["cell.I"], 1, rtol=1e-9)
    assert [s.of_median for s in both.spikes] == sorted(s.of_median for s in both.spikes)
    median = np.median([float(s.slope / (mV / second)) for s in both.spikes])
    np.testing.assert_allclose(float(both.medians["cell"] / (mV / second)), median)


@pytest.mark.parametrize("solver", SOLVERS)
def test_groups_of_different_units_are_ordered_by_their_medians(solver):
    kind = dict(threshold="v > theta", reset="v = 0*theta", method="exact")
    a = NeuronGroup(3, "dv/dt = (I - v)/(10*ms) : 1\nI : 1\ntheta : 1", name="plain", **kind)
    b = NeuronGroup(3, "dv/dt = (I - v)/(10*ms) : volt\nI : volt\ntheta : volt", name="mv", **kind)
    a.I, a.theta, b.I, b.theta = [1.2, 3, 3], 1, [1.05, 3, 3] * mV, 1 * mV
    loss = bep.Sum(bep.SpikeTimes(a, "t/ms")) + bep.Sum(bep.SpikeTimes(b, "t/ms"))
    model = bep.EventPropModel(
        [a, b], train=[a.I, b.I], loss=loss, duration=32 * ms, solver=solver, backend="interpreter"
    )
    model.run()
    report = model.gradient().report(2)
    assert [(s.group, s.i) for s in report.spikes] == [("mv", 0), ("plain", 0)]
    assert (
        report.spikes[0].slope.dim == (mV / ms).dim and report.spikes[1].slope.dim == (1 / ms).dim
    )
    assert set(report.share) == {"plain.I", "mv.I"}


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_share_is_that_of_the_time_of_spikes(solver):
    """All hidden and output spikes at rest: nothing is left of a loss on output spikes."""
    model = layers(solver)
    model.run()
    report = model.gradient().report(1000)
    assert len(report.spikes) == report.crossings > 5
    for share in report.share.values():
        np.testing.assert_allclose(share, 1, rtol=1e-12)


def test_a_long_report_is_shown_in_part():
    model = layers("event")
    for _ in range(1):
        model.run(
            bep.SpikeData(
                np.tile([2, 4, 7, 11], 4) * 1e-3, [0, 1, 0, 1] * 4, np.repeat(range(4), 4), 4, 2
            )
        )
    report = model.gradient().report(30)
    assert len(report.spikes) == 30
    text = repr(report)
    assert text.count("\n") < 25 and "... and 10 more" in text
    assert f"The 30 flattest of {report.crossings} crossings carry" in text
    assert report._repr_html_().count("<tr>") == 21
    assert {s.sample for s in report.spikes} == {0, 1, 2, 3}


def test_of_a_sum_over_readouts():
    group, model = constant_current("event")
    model.run()
    report = model.gradient(of=[[[0.0, 1.0]]]).report(1)
    assert report.spikes[0].i == 0 and report.share["cell.I"] == 0


def test_no_crossing():
    group, model = constant_current("event", drive=0.5)
    model.parameters[group.I] = [0.5, 0.6]
    model.run()
    report = model.gradient().report()
    assert not report.spikes and report.crossings == 0 and report.share == {"cell.I": 0.0}
    assert repr(report) == "no spike crosses a threshold"


def test_what_has_no_report():
    group, model = constant_current("event")
    model.run()
    gradients = model.gradient()
    for other in (
        copy.deepcopy(gradients), pickle.loads(pickle.dumps(gradients)),
        model.gradient(per_trial=True), model.jacobian()[0],
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="gradients of a whole batch"):
            other.report()
    with pytest.raises(ValueError, match="k must be"):
        gradients.report(0)
    model.run()
    with pytest.raises(RuntimeError, match="the model was run since"):
        gradients.report()
    del group
