"""In exact time: potentials that explode at a spike, and equations near the end of the numbers.

The right values are central differences of the solver's own loss.
"""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV, nS, pA, pF
from helpers.derivatives import assert_gradient

import brian_eventprop as bep
from brian_eventprop.kernels.event.columns import STEP
from brian_eventprop.runtime.interpreter import library_module

ADEX = """dv/dt = (g_L*(E_L - v) + g_L*D_T*exp((v - V_T)/D_T) - w + I + g*(E_e - v))/C : volt
          dw/dt = (a*(v - E_L) - w)/tau_w : amp
          dg/dt = -g/tau_e : siemens
          D_T : volt (constant)
          cut : volt (constant)
          I : amp (constant)"""
ADEX_VALUES = {
    "g_L": 10 * nS, "E_L": -70 * mV, "V_T": -50 * mV, "C": 200 * pF, "a": 2 * nS,
    "tau_w": 50 * ms, "tau_e": 4 * ms, "E_e": 0 * mV, "V_r": -60 * mV, "b": 40 * pA,
}  # fmt: skip


def model_of(objects, train, *readouts, duration, **options):
    return bep.EventPropModel(
        objects, train=train, loss=bep.Sum(*readouts), duration=duration, solver="event", **options
    )


def check(model, entries=1):
    model.run()
    assert model.gradient().grazing == 0
    assert_gradient(model, tolerance=1e-5, entries=entries)


def alone(equations, *, peaks=None, train=(), n=1, duration=60 * ms, readouts=None, **group):
    """Neurons without input; those of `peaks` have a threshold each."""
    neurons = NeuronGroup(n, equations, method="euler", name="neurons", **group.pop("options"))
    if peaks is not None:
        neurons.peak = peaks
    for name, value in group.items():
        setattr(neurons, name, value)
    views = [getattr(neurons, name) if hasattr(neurons, name) else name for name in train]
    made = [make(neurons) for make in readouts]
    return neurons, model_of([neurons], views, *made, duration=duration)


TIMES = [lambda n: bep.SpikeTimes(n, "t/ms"), lambda n: bep.Integral(n, "v")]


@pytest.mark.compiled  # thousands of steps for each difference
def test_exponential_neurons_whose_potential_explodes():
    """Every spike adds to an adaptation current, and leaves a part of the potential."""
    neurons, model = alone(
        """dv/dt = (-(v + 65) + slope*exp((v + 50)/slope) + I - u)/(10*ms) : 1
           du/dt = -u/(30*ms) : 1
           I : 1 (constant)
           slope : 1 (constant)
           peak : 1 (constant)""",
        options={
            "threshold": "v > peak",
            "reset": "v = -60 + c*(v - peak) + d*v; u += jump + 0.01*v",
            "namespace": {"c": 0.3, "d": 0.01, "jump": 1.5},
        },
        n=6, peaks=[-40, -30, 0, 30, 0, 30], slope=[2, 2, 2, 2, 1, 1], I="20 + i", v="-65 + i",
        u=0.1, train=["v", "I", "u", "slope", "c", "d", "jump"],
        readouts=[*TIMES, lambda n: bep.Maximum(n, "u"), lambda n: bep.Final(n, "v*u")],
    )  # fmt: skip
    assert np.all(np.bincount(model.run().spikes[neurons].i, minlength=6) > 1)
    check(model)


@pytest.mark.slow
def test_quadratic_neurons_with_peaks_far_above_the_threshold():
    neurons, model = alone(
        "dv/dt = (v**2 + I)/tau : 1\nI : 1 (constant)\npeak : 1 (constant)\nlow : 1 (constant)",
        options={
            "threshold": "v > peak",
            "reset": "v = low",
            "namespace": {"tau": 5 * ms},
        },
        n=5, peaks=[3, 10, 30, 100, 1000], I="0.2 + 0.05*i", v=-0.5, low="-1.5 + 0.1*i",
        train=["v", "I", "low", "tau"],
        readouts=[*TIMES, lambda n: bep.Integral(n, "v**2"), lambda n: bep.Final(n, "v")],
    )  # fmt: skip
    assert np.all(np.bincount(model.run().spikes[neurons].i, minlength=5) > 1)
    check(model, entries=5)


def test_a_maximum_at_the_peak_moves_with_the_peak_alone():
    """It is the threshold: its derivative is 1 in it, and 0 in all that moves the spike."""
    _, model = alone(
        "dv/dt = (v**2 + I)/(5*ms) : 1\nI : 1 (constant)\npeak : 1 (constant)",
        options={"threshold": "v > peak", "reset": "v = -1"},
        n=3, peaks=[3, 100, 1000], I=0.3, train=["peak", "I", "v"], duration=30 * ms,
        readouts=[lambda n: bep.Maximum(n, "v")],
    )  # fmt: skip
    model.run()
    gradients = model.gradient()
    np.testing.assert_allclose(gradients.raw(("neurons", "peak")), 1, rtol=1e-12)
    for name in ("I", "v"):
        np.testing.assert_allclose(gradients.raw(("neurons", name)), 0, atol=1e-12)


@pytest.mark.slow
def test_an_integral_that_explodes_with_the_potential_is_counted_as_uncertain():
    """What it leaves before the upstroke is a difference of huge numbers."""
    _, model = alone(
        """dv/dt = (-(v + 65) + 2*exp((v + 50)/2) + 20)/(10*ms) : 1
           peak : 1 (constant)""",
        options={"threshold": "v > peak", "reset": "v = -60"},
        n=2, peaks=[-30, 0], v=-65, train=["v"], duration=25 * ms,
        readouts=[lambda n: bep.Integral(n, "exp((v + 50)/2)")],
    )  # fmt: skip
    model.run()
    assert model.gradient().grazing == 1


@pytest.mark.slow
def test_izhikevich_neurons():
    neurons, model = alone(
        """dv/dt = (0.04*v**2 + 5*v + 140 - u + I)/ms : 1
           du/dt = a*(b*v - u)/ms : 1
           I : 1 (constant)
           peak : 1 (constant)""",
        options={
            "threshold": "v >= peak",
            "reset": "v = c; u += d",
            "namespace": {"a": 0.02, "b": 0.2, "c": -65, "d": 8},
        },
        n=3, peaks=[30, 300, 3000], I=10, v=-65, u=-13, train=["v", "u", "I", "peak", *"abcd"],
        readouts=[*TIMES, lambda n: bep.Maximum(n, "u"), lambda n: bep.Final(n, "u")],
    )  # fmt: skip
    assert np.all(np.bincount(model.run().spikes[neurons].i, minlength=3) > 1)
    check(model)


@pytest.mark.slow
def test_a_recurrent_network_of_adaptive_exponential_neurons():
    """Conductances and delays; cuts from -40 to 30 mV, slope factors of 1 and 2 mV."""
    inputs = SpikeGeneratorGroup(3, [0, 1, 2, 0, 1, 2, 0, 1], [1, 2, 3.3, 8, 9, 14, 20, 22] * ms)
    neurons = NeuronGroup(
        8, ADEX, threshold="v > cut", reset="v = V_r; w += b", method="euler", name="neurons"
    )
    neurons.v, neurons.w, neurons.I = "(i - 70)*mV", 3 * pA, "(330 + 20*i)*pA"
    neurons.cut, neurons.D_T = [-40, -30, 0, 30] * 2 * mV, ([1] * 4 + [2] * 4) * mV
    s_in = Synapses(inputs, neurons, "ws : siemens", on_pre="g_post += ws", name="s_in")
    s_rec = Synapses(neurons, neurons, "ws : siemens", on_pre="g_post += ws", name="s_rec")
    s_in.connect()
    s_rec.connect(condition="i != j")
    s_in.ws, s_in.delay = "(8 + j)*nS", "(0.23 + 0.4*i)*ms"
    s_rec.ws, s_rec.delay = "(0.5 + 0.1*j)*nS", "(1 + 0.3*i + 0.1*j)*ms"
    model = model_of(
        [inputs, neurons, s_in, s_rec],
        [s_in.ws, s_in.delay, s_rec.ws, s_rec.delay, neurons.v, neurons.D_T, "b", "V_r", "C", "a"],
        bep.SpikeTimes(neurons, "t/ms"), bep.Integral(neurons, "v/mV"),
        bep.Maximum(neurons, "g/nS"), bep.Final(neurons, "v*w/(mV*pA)"),
        duration=40 * ms, namespace=ADEX_VALUES,
    )  # fmt: skip
    assert np.all(np.bincount(model.run().spikes[neurons].i, minlength=8) > 0)
    check(model)


HH = """dv/dt = (120*m**3*h*(50 - v) + 36*n**4*(-77 - v) + 0.3*(-54.4 - v) + I)/ms : 1
        dm/dt = (1/exprel(-(v + 40)/10)*(1 - m) - 4*exp(-(v + 65)/18)*m)/ms : 1
        dh/dt = (0.07*exp(-(v + 65)/20)*(1 - h) - h/(1 + exp(-(v + 35)/10)))/ms : 1
        dn/dt = (0.1/exprel(-(v + 55)/10)*(1 - n) - 0.125*exp(-(v + 65)/80)*n)/ms : 1
        I : 1 (constant)"""


@pytest.mark.slow
def test_hodgkin_huxley_neurons_that_come_to_rest():
    """A long step from the spike or from rest runs into numbers that are infinite."""
    neurons, model = alone(
        HH, options={"threshold": "v > 0", "refractory": 5 * ms}, n=6, v=-65, m=0.05, h=0.6,
        I="5 + 0.5*i", train=["I", "v"],
        readouts=[lambda n: bep.SpikeTimes(n, "t/ms"), lambda n: bep.Final(n, "v")],
    )  # fmt: skip
    check(model, entries=6)
    assert np.abs(model.gradient().raw(("neurons", "I"))).max() < 1e3


@pytest.mark.parametrize("start", [0.3, 0.301])
def test_a_squared_error_that_starts_at_0(start):
    """What is integrated is rounding noise until the neuron leaves its rest."""
    neurons = NeuronGroup(
        2,
        "dv/dt = (0.3 - v + n**4)/(5*ms) : 1\ndn/dt = (1 - n)/(20*ms) : 1",
        method="euler",
        name="neurons",
    )
    neurons.v = start
    model = model_of(
        [neurons], [neurons.v, neurons.n], bep.Integral(neurons, "(v - 0.3)**2"), duration=20 * ms
    )
    expected = {0.3: 2.2559459373e-05, 0.301: 2.2601262828e-05}[start]
    np.testing.assert_allclose(model.run().readout[0], expected, rtol=1e-9)
    check(model)


@pytest.mark.slow
def test_an_adaptation_current_that_starts_at_0():
    """It is driven by a potential at its rest: volts and amperes, and differences of rounding."""
    neurons = NeuronGroup(
        1, ADEX, threshold="v > cut", reset="v = V_r; w += b", method="euler", name="neurons"
    )
    neurons.v, neurons.cut, neurons.D_T, neurons.g = -70 * mV, -30 * mV, 0.5 * mV, 1 * nS
    model = model_of(
        [neurons], ["a", "C", neurons.I, neurons.g], bep.Final(neurons, "w/pA"),
        bep.Integral(neurons, "((v - E_L)/mV)**2"), duration=40 * ms,
        namespace={**ADEX_VALUES, "E_e": -70 * mV},
    )  # fmt: skip
    model.run()
    neurons_at_rest = model.gradient().raw(("neurons", "g"))
    np.testing.assert_allclose(neurons_at_rest, 0, atol=1e-3)


@pytest.mark.parametrize(
    ("equations", "message"),
    [
        pytest.param(  # it takes many steps until then
            "dv/dt = -(1 + sqrt(v))/(5*ms) : 1",
            "neurons: its equations",
            marks=pytest.mark.compiled,
        ),
        ("dv/dt = (1 + v**2)/(2*ms) : 1", "neurons: .*a variable (becomes infinite|grows)"),
    ],
)
def test_states_that_run_out_of_numbers_are_an_error(equations, message):
    neurons = NeuronGroup(1, equations, method="euler", name="neurons")
    neurons.v = 1
    model = model_of([neurons], [neurons.v], bep.Final(neurons, "v"), duration=20 * ms)
    with pytest.raises(FloatingPointError, match=message):
        model.run()


def test_a_derivative_that_does_not_exist_is_an_error():
    """A square root has no derivative at 0."""
    neurons = NeuronGroup(2, "dv/dt = -v/(5*ms) : 1", method="exact", name="neurons")
    neurons.v = [1, 0]
    model = model_of([neurons], [neurons.v], bep.Final(neurons, "sqrt(v)"), duration=5 * ms)
    model.run()
    gradients = model.gradient()
    with pytest.raises(FloatingPointError, match=r"The gradient of neurons\.v is not finite in 1"):
        gradients[neurons.v]


def kept_steps(*arguments):
    """What kernels call, as plain Python."""
    kernel = library_module("brian_eventprop.kernels.event.upstrokes").record_upstroke
    return kernel(*arguments)


def steps_of(slopes):
    """The steps before a crossing, of two states, with these slopes of the guard."""
    path = np.zeros((4, STEP + 2))
    for k, slope in enumerate(slopes):
        path[k % 4] = [0.5**k, 1 - 0.5**k, slope, k, 10 * k]
    return path


@pytest.mark.parametrize(
    ("slopes", "slope", "kept"),
    [
        ([1, 1], 25, []),  # not steep
        ([1, 2, 50], 100, [1, 2]),  # from the last step on that is not steep
        ([5, 20, 50], 100, [0, 1, 2]),  # all there are
        ([1, 4, 9, 20, 50, 90], 200, [2, 3, 4, 5]),  # the ring has forgotten the first
    ],
)
def test_which_steps_before_a_crossing_are_kept(slopes, slope, kept):
    table, used, last = kept_steps(
        np.zeros((2, STEP + 2)), 1, steps_of(slopes), len(slopes), 1.0, float(slope), STEP + 2
    )
    assert used == 1 + len(kept) and last == (used - 1 if kept else -1)
    assert table[1:used, STEP].tolist() == kept
    assert (table[1:used, 0] < 0).tolist() == [k == 0 for k in range(len(kept))]


def test_kept_steps_do_not_begin_where_a_condition_changes():
    path = steps_of([1, 2, 50])
    path[1:, STEP + 1] = 1.0  # a flag that changes after the first step
    _, used, _ = kept_steps(np.zeros((4, STEP + 2)), 0, path, 3, 1.0, 100.0, STEP + 1)
    assert used == 3
