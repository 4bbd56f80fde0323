"""`(summed)` and linked variables: neurons that are coupled at every time step."""

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, ms, us
from helpers.networks import reference
from helpers.networks.coupled import batch, below_threshold, model_below_threshold, pooled

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError


def spikes_of(result, group):
    found = result.spikes[group]
    return np.asarray(found.i), np.asarray(found.t)


# ---- spikes as in Brian2, gradients as in exact time ----
@pytest.mark.parametrize("name", reference.COUPLED)
def test_spikes_and_states_are_those_of_brian2(name):
    case = reference.build(name, 100 * us)
    hidden = case.groups["hid"]
    finals = [bep.Final(hidden, s) for s in hidden.equations.diff_eq_names]
    options = dict(loss=bep.losses.Sum(*finals), duration=case.duration)
    model = bep.EventPropModel(case.objects, train=[case.synapses["s_in"].w], **options)
    result = model.run()
    monitor = SpikeMonitor(hidden)
    Network(*case.objects, monitor).run(case.duration)
    i, t = spikes_of(result, hidden)
    assert len(i) > 3
    np.testing.assert_array_equal(i, monitor.i)
    np.testing.assert_array_equal(np.round(t / 1e-4), np.round(np.asarray(monitor.t) / 1e-4))
    for state, values in zip(hidden.equations.diff_eq_names, result.readout, strict=True):
        # NumPy's exp and the interpreter's may differ in the last bit
        expected = hidden.variables[state].get_value()
        np.testing.assert_allclose(values[0], expected, rtol=1e-15 * (name == "coupled/nmda"))


@pytest.mark.parametrize("name", reference.COUPLED)
def test_gradients_tend_to_those_of_exact_time(name):
    case, result, errors = reference.run(name, 5 * us)
    assert len(result.spikes[case.groups["hid"]]) == len(case.spikes["hid"]["i"])
    assert max(errors.values()) < 0.015, errors
    assert result.loss == pytest.approx(case.loss_value, rel=0.01)


# ---- the adjoint of the grid itself, where nothing spikes ----
def check_differences(model):
    """The gradients are central differences of the loss on the very grid."""
    model.run()
    gradients = model.gradient()
    for key in model.parameters.keys:
        start = model.parameters.raw(key).copy()
        h = 1e-6 * (np.abs(start).max() or 1)
        for k in range(len(start)):
            losses = []
            for change in (h, -h):
                model.parameters.set_raw(key, start + change * (np.arange(len(start)) == k))
                losses.append(model.run().loss)
            model.parameters.set_raw(key, start)
            expected = (losses[0] - losses[1]) / (2 * h)
            np.testing.assert_allclose(gradients.raw(key)[k], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("followers", ["followers", "z_followers"])  # before the rates, and after
def test_gradients_are_those_of_the_discrete_trajectory(followers):
    check_differences(model_below_threshold(followers))


@pytest.mark.parametrize("followers", ["followers", "z_followers"])
def test_states_are_those_of_brian2(followers):
    model = model_below_threshold(followers)
    result = model.run()
    objects = model.objects
    Network(*objects).run(5 * ms)
    rates, follow = objects[:2]
    np.testing.assert_array_equal(result.readout[1][0], follow.variables["x"].get_value())
    assert model.spec.couplings[-1].late == (followers == "z_followers")


# Brian2 computes sums in the order of their names: the second one is that of the step before
@pytest.mark.parametrize("names", [("a", "b"), ("d", "c")])
def test_sums_of_sums(names):
    check_differences(pooled(names, threshold=100)[1])
    objects, model = pooled(names, threshold=1)
    result, monitor = model.run(), SpikeMonitor(objects[0])
    Network(*objects, monitor).run(10 * ms)
    i, t = spikes_of(result, objects[0])
    assert len(i) == 3
    np.testing.assert_array_equal(i, monitor.i)
    np.testing.assert_array_equal(np.round(t / 1e-4), np.round(np.asarray(monitor.t) / 1e-4))
    assert len(model.spec.couplings) == 2 + (names == ("d", "c"))


# ---- batches ----
def gradients_of(model, spikes):
    result = model.run(spikes)
    gradients = model.gradient()
    return result, {key: gradients.raw(key) for key in model.parameters.keys}


@pytest.mark.parametrize("name", ["coupled/conductance", "coupled/saturating"])
def test_a_batch_is_the_mean_of_its_trials(name):
    model = reference.model_of(reference.build(name))
    spikes = batch(3)
    result, together = gradients_of(model, spikes)
    alone = [gradients_of(model, spikes[[k]]) for k in range(3)]
    np.testing.assert_array_equal(result.losses, [one.loss for one, _ in alone])
    for key, value in together.items():
        mean = np.mean([gradients[key] for _, gradients in alone], axis=0)
        np.testing.assert_allclose(value, mean, rtol=1e-10, atol=1e-14)


@pytest.mark.compiled
def test_threads_change_no_bit():
    spikes = batch(11)
    runs = []
    for threads in (1, 2):
        model = reference.model_of(reference.build("coupled/refractory"), threads=threads)
        result, gradients = gradients_of(model, spikes)
        runs.append([result.losses, *gradients.values()])
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_length_of_a_segment_changes_no_bit(monkeypatch):
    runs = []
    for steps in (None, 7, 200):
        model = reference.model_of(reference.build("coupled/delta"))
        if steps:
            monkeypatch.setattr(model.runtime, "segment_length", lambda _, n=steps: n)
        runs.append(gradients_of(model, None)[1])
    for other in runs[1:]:
        for key, value in runs[0].items():
            np.testing.assert_array_equal(other[key], value)


@pytest.mark.parametrize("name", ["coupled/conductance", "coupled/qif"])
def test_single_precision(name):
    found = []
    for precision in ("float64", "float32"):
        model = reference.model_of(reference.build(name), precision=precision)
        found.append(gradients_of(model, None))
    (double, gradients), (single, others) = found
    assert single.loss == pytest.approx(double.loss, rel=1e-4)
    for key, value in gradients.items():
        np.testing.assert_allclose(others[key], value, atol=2e-3 * np.abs(value).max())


# ---- what is refused ----
LIF = "dv/dt = (S - v)/(10*ms) : 1\nS : 1"


def coupled(model=LIF, term="w*(v_pre - v_post)", condition="i != j", on_pre=None):
    group = NeuronGroup(3, model, threshold="v > 1", reset="v = 0", method="euler", name="G")
    group.v = [0.2, 0.5, 0.9]
    couple = Synapses(group, group, f"w : 1\nS_post = {term} : 1 (summed)", on_pre, name="couple")
    couple.connect(condition=condition)
    couple.w = 0.2
    return group, couple


@pytest.mark.parametrize(
    "arguments, readout, message",
    [
        (dict(term="w*v_pre**2"), bep.Integral, "not linear in 'v', which jumps"),
        (dict(term="w*int(v_pre > 0.5)"), bep.Integral, "a condition in it reads"),
        (dict(model=LIF.replace("S - v", "tanh(S) - v")), bep.Integral, "are not linear in 'S'"),
        (dict(model=LIF.replace("S - v", "int(S > 0) - v")), bep.Integral, "reads it"),
        (dict(), bep.Maximum, "may make or end a maximum"),
        (dict(on_pre="v_post += 0.1*S_post"), bep.Integral, "when a spike arrives"),
        (dict(term="w*v_pre*v_post", condition="True"), bep.Integral, "coupled to itself"),
    ],
)
def test_refusal(arguments, readout, message):
    group, couple = coupled(**arguments)
    options = dict(loss=bep.losses.Sum(readout(group, "v")), duration=5 * ms)
    with pytest.raises(UnsupportedError, match=message):
        bep.EventPropModel([group, couple], train=[couple.w], **options)


def test_sums_after_the_state_update_are_refused():
    group = NeuronGroup(2, LIF, method="euler", name="G")
    couple = Synapses(group, group[:1], "S_post = v_pre : 1 (summed)", name="couple")
    couple.connect()
    options = dict(loss=bep.losses.Sum(bep.Final(group, "v")), duration=5 * ms)
    with pytest.raises(UnsupportedError, match="one with a name before that of the Synapses"):
        bep.EventPropModel([group, couple], train=[group.v], **options)


def test_readouts_of_linked_states_are_refused():
    objects, train = below_threshold()
    options = dict(loss=bep.losses.Sum(bep.Final(objects[1], "y")), duration=5 * ms)
    with pytest.raises(UnsupportedError, match="Measure the variable of 'rates'"):
        bep.EventPropModel(objects, train=train, **options)
