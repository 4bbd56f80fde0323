"""What happens when, in exact time: arrivals, order, windows, loops, extremes and refusals."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms
from helpers.backends import gradient_arrays

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.runtime.event.components import components, window_counts

LIF = """dv/dt = (I - v)/(20*ms) : 1
         dI/dt = -I/(5*ms) : 1"""


def chain(reset="v = 0", model=LIF, on_pre="I_post += w", weight=8.0, **group):
    source = SpikeGeneratorGroup(2, [0, 1], [1, 4] * ms, name="source")
    neuron = NeuronGroup(
        1, model, threshold="v > 1", reset=reset, method="exact", name="neuron", **group
    )
    s = Synapses(source, neuron, "w : 1", on_pre=on_pre, name="s")
    s.connect()
    s.w, s.delay = weight, "(1 + 0.123456789*i)*ms"
    return source, neuron, s


def jumping(weight, slope=0.0, shift=0.0):
    """A neuron whose arrivals are jumps; the reset is ``v = slope*v + shift``."""
    return chain(
        "v = slope*v + shift", "dv/dt = -v/(20*ms) : 1", "v_post += w", weight,
        namespace={"slope": slope, "shift": shift},
    )  # fmt: skip


def build(parts, **options):
    neuron, s = parts[1], parts[2]
    options = {"loss": bep.Sum(bep.SpikeTimes(neuron)), "train": [s.w, s.delay], **options}
    return bep.EventPropModel(list(parts), duration=40 * ms, solver="event", **options)


def times(model, parts, spikes=None):
    return np.asarray(model.run(spikes).spikes[parts[1]].t)


def test_spike_times_solve_the_equation_to_machine_precision():
    parts = chain(weight=15.0)
    t = times(build(parts), parts)[0] - 0.002
    v = 15.0 / 3 * (np.exp(-t / 0.02) - np.exp(-t / 0.005))
    assert v == pytest.approx(1.0, abs=1e-14)


def test_a_potential_that_rises_and_falls_between_events_is_found():
    """It peaks at w*0.157; just above and just below the threshold."""
    peak = 4 ** (-1 / 3) / 3 - 4 ** (-4 / 3) / 3
    parts = chain()
    model = build(parts)
    lone = bep.SpikeData([0.001], [0], [0], 1, 2)
    for excess, expected in ((1e-9, 1), (-1e-9, 0)):
        model.parameters[parts[2].w] = (1 + excess) / peak
        assert len(times(model, parts, lone)) == expected


def test_grazing_spikes_are_counted():
    peak = 4 ** (-1 / 3) / 3 - 4 ** (-4 / 3) / 3
    parts = chain()
    model = build(parts)
    model.parameters[parts[2].w] = (1 + 1e-9) / peak
    model.run(bep.SpikeData([0.001], [0], [0], 1, 2))
    assert model.gradient().grazing == 1


def test_time_constants_may_coincide():
    equations = "dv/dt = (I - v)/tau_m : 1\ndI/dt = -I/tau_s : 1"
    found, gradients = [], []
    for tau_s in (10.0, 10.0 + 1e-7):
        parts = chain(model=equations, namespace={"tau_m": 10 * ms, "tau_s": tau_s * ms})
        model = build(parts, train=["neuron.tau_m", "neuron.tau_s"])
        found.append(times(model, parts))
        gradients.append(list(gradient_arrays(model).values()))
    np.testing.assert_allclose(*found, rtol=1e-7)
    np.testing.assert_allclose(*gradients, rtol=1e-6)


def test_arrival_that_fires_at_once_gives_its_own_time():
    parts = jumping(1.5)
    model = build(parts)
    np.testing.assert_allclose(times(model, parts), [0.002, 0.005123456789], rtol=1e-15)
    gradients = model.gradient()
    np.testing.assert_allclose(np.asarray(gradients[parts[2].delay]), [1, 1])
    np.testing.assert_array_equal(np.asarray(gradients[parts[2].w]), 0)
    np.testing.assert_array_equal(np.asarray(gradients.inputs), 1)


def test_code_of_several_lines():
    """It is a comment in the kernels, which ends with its line."""
    parts = chain(
        on_pre="""
        I_post += w  # first
        v_post += 0.01*w
        """
    )
    several = times(build(parts), parts)
    parts = chain(on_pre="I_post += w; v_post += 0.01*w")
    np.testing.assert_array_equal(several, times(build(parts), parts))
    assert len(several) > 1


def test_a_soft_reset_fires_again_while_the_neuron_is_above():
    parts = jumping(2.5, 1, -1)
    model = build(parts)
    found = times(model, parts)
    np.testing.assert_allclose(found[:2], 0.002)
    np.testing.assert_array_equal(np.round(np.asarray(model.gradient()[parts[2].delay])), [2, 2])


def test_simultaneous_arrivals_act_together():
    """Excitation and inhibition at the same time: no spike, whatever their order."""
    parts = jumping(1.5)
    model = build(parts)
    model.parameters[parts[2].delay] = 1 * ms
    together = bep.SpikeData([0.001, 0.001], [0, 1], [0, 0], 1, 2)
    for weights, count in (([1.5, -1.0], 0), ([-1.0, 1.5], 0), ([0.6, 0.6], 1)):
        model.parameters[parts[2].w] = weights
        assert len(times(model, parts, together)) == count


def test_a_reset_that_leaves_the_neuron_above_is_an_error():
    parts = jumping(2.5, 0, 2)
    with pytest.raises(FloatingPointError, match="without end"):
        build(parts).run()


def test_a_neuron_without_reset_spikes_once_per_crossing(caplog):
    parts = chain("", weight=15.0)
    with caplog.at_level("WARNING"):
        found = times(build(parts), parts)
    assert "NeuronGroup 'neuron': its reset changes nothing" in caplog.text
    assert len(found) == 1
    again = bep.SpikeData([0.001, 0.001, 0.035], [0, 1, 0], [0, 0, 0], 1, 2)
    model = build(parts)
    model.parameters[parts[2].w] = [9.0, 0.0]
    assert len(times(model, parts, again)) == 2


@pytest.mark.slow
@pytest.mark.compiled
def test_results_do_not_depend_on_threads():
    parts = chain()
    rng = np.random.default_rng(0)
    data = bep.SpikeData(
        rng.uniform(0, 0.03, 60), rng.integers(0, 2, 60), rng.integers(0, 11, 60), 11, 2
    )
    found = []
    for threads in (1, 3):
        model = build(parts, threads=threads)
        model.run(data)
        found.append(gradient_arrays(model))
    for key, gradient in found[0].items():
        np.testing.assert_array_equal(gradient, found[1][key])


def test_groups_without_delay_between_them_run_in_order():
    edges = {"p": ("b", "a", 0.0), "q": ("a", "b", 0.002), "r": ("b", "c", 0.0)}
    order = components(["a", "b", "c"], edges)
    assert order == (("b", "a"), ("c",))
    assert window_counts(order, edges, 0.01)[1] == 1
    assert 5 <= window_counts(order, edges, 0.01)[0] <= 7


def test_loops_without_delay_have_no_windows():
    edges = {"p": ("b", "a", 0.0), "q": ("a", "b", 0.0), "r": ("b", "c", 0.0)}
    order = components(["a", "b", "c"], edges)
    assert [set(names) for names in order] == [{"a", "b"}, {"c"}]
    assert window_counts(order, edges, 0.01) == [0, 1]
    almost = {**edges, "q": ("a", "b", 1e-9)}
    assert window_counts(components(["a", "b", "c"], almost), almost, 0.01) == [0, 1]


def test_single_precision_is_refused():
    with pytest.raises(UnsupportedError, match="double precision"):
        build(chain(), precision="float32")


def test_check_gradient_explains_a_vanishing_spike():
    peak = 4 ** (-1 / 3) / 3 - 4 ** (-4 / 3) / 3
    parts = chain()
    model = build(parts, train=[parts[2].w])
    model.parameters[parts[2].w] = [(1 + 1e-10) / peak, 0.0]
    spikes = bep.SpikeData([0.001], [0], [0], 1, 2)
    report = bep.check_gradient(model, spikes, show=False)
    assert not report.ok
    assert "appears or vanishes" in str(report) and report.verdict == "UNDECIDED"
    with pytest.raises(AssertionError, match="cannot tell"):
        bep.check_gradient(model, spikes, show=False, raises=True)


def test_check_gradient_of_the_clock_solver_compares_with_exact_time():
    parts = chain()
    model = bep.EventPropModel(
        list(parts), train=[parts[2].w, parts[2].delay], duration=40 * ms,
        loss=bep.Sum(bep.SpikeTimes(parts[1])), solver="clock",
    )  # fmt: skip
    report = bep.check_gradient(model, show=False, tolerance=0.2)
    assert report.ok, str(report)
    assert "event solver" in str(report)
    strict = bep.check_gradient(model, show=False, tolerance=1e-6)
    assert "if the error does not fall with dt" in str(strict)


def test_check_gradient_of_the_clock_solver_tells_of_other_spikes():
    """A peak that only just reaches the threshold between two time steps."""
    peak = 4 ** (-1 / 3) / 3 - 4 ** (-4 / 3) / 3
    parts = chain()
    model = bep.EventPropModel(
        list(parts), train=[parts[2].w], duration=40 * ms,
        loss=bep.Sum(bep.Integral(parts[1], "v")), solver="clock",
    )  # fmt: skip
    model.parameters[parts[2].w] = [(1 + 1e-6) / peak, 0.0]
    spikes = bep.SpikeData([0.00103], [0], [0], 1, 2)
    report = bep.check_gradient(model, spikes, show=False, tolerance=1e-6)
    assert "other neurons spike on the time grid (0 spikes, 1 in exact time)" in str(report)


def test_check_gradient_of_zeros_takes_steps_of_their_own_size():
    source = SpikeGeneratorGroup(1, [0], [1] * ms)
    neuron = NeuronGroup(1, "dg/dt = -g/(10*ms) : siemens", method="exact")
    synapses = Synapses(source, neuron, "w : siemens", on_pre="g_post += w")
    synapses.connect()
    model = bep.EventPropModel(
        [source, neuron, synapses], train=[synapses.w], duration=5 * ms, solver="event",
        loss=bep.Sum(bep.Final(neuron, "exp(g/nS)")),
    )  # fmt: skip
    bep.check_gradient(model, show=False, raises=True)
