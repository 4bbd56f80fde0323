"""Spikes that arrive at their own neuron at once on the time grid: right as the time step falls."""

import numpy as np
import pytest
from brian2 import NeuronGroup, Synapses, defaultclock, ms
from brian2.utils.logger import catch_logs
from helpers.backends import arrays_of, check_equal

import brian_eventprop as bep

#: Arrivals at I that do not commute with a change of the drive.
SATURATING = "I_post += w*(1 - I_post/4)"


def autapses(
    reset, on_pre, delay=0.0, senders=(0, 1), drive="I", flag="", refractory=False, dt=0.01
):
    defaultclock.dt = dt * ms
    neurons = NeuronGroup(
        2,
        f"""dv/dt = (1.4 + 0.1*i + {drive} - v)/(10*ms) : 1 {flag}
        dI/dt = -I/(5*ms) : 1
        low : 1 (constant)""",
        threshold="v > 1", reset=reset, refractory=refractory, method="euler", name="neurons",
    )  # fmt: skip
    s = Synapses(neurons, neurons, "w : 1", on_pre=on_pre, name="s")
    s.connect(i=list(senders), j=[k % 2 for k in range(len(senders))])
    s.w, s.delay = 0.5, delay * ms
    return neurons, s


def is_carried(model) -> bool:
    """Whether the kernels follow the states of a spike through its own arrivals."""
    return "carried" in model.source


@pytest.mark.parametrize(
    "reset, on_pre, delay, senders, expected",
    [
        ("v = 0", "I_post += w", 0, (0, 1), False),
        ("v = 0", "v_post += 0.1*w", 0, (0, 1), False),
        ("v = 0; I *= 0.8", "I_post += w", 0, (0, 1), True),
        ("v = 0", SATURATING, 0, (0, 1), True),
        ("v = 0", SATURATING, 0.1, (0, 1), False),
        ("v = 0", SATURATING, 0, (1, 0), False),
    ],
)
def test_kernels_of_other_networks_know_nothing_of_it(reset, on_pre, delay, senders, expected):
    """They stay as quick as they are; building a model compiles nothing."""
    neurons, s = autapses(reset, on_pre, delay, senders)
    loss = bep.Sum(bep.SpikeTimes(neurons))
    model = bep.EventPropModel([neurons, s], train=[s.w], loss=loss, duration=30 * ms)
    assert is_carried(model) == expected


def test_a_delay_that_is_trained_may_become_0():
    neurons, s = autapses("v = 0", SATURATING, delay=0.1)
    loss = bep.Sum(bep.SpikeTimes(neurons))
    model = bep.EventPropModel([neurons, s], train=[s.delay], loss=loss, duration=30 * ms)
    assert is_carried(model)


@pytest.mark.parametrize("drive", ["0.2*sqrt(clip(I, 0, inf))", "exprel(-I)"])
def test_equations_that_sympy_has_no_number_for(drive):
    """Powers that are cut off, functions of our own: then rather carried than not."""
    neurons, s = autapses("v = 0", SATURATING, drive=drive)
    loss = bep.Sum(bep.SpikeTimes(neurons))
    model = bep.EventPropModel([neurons, s], train=[s.w], loss=loss, duration=30 * ms)
    assert is_carried(model)


@pytest.mark.parametrize("delays", [[1, 1, 0], [0, 0, 1]])
def test_delays_of_axons_are_looked_up_by_the_sender(delays):
    neurons, _ = autapses("v = 0", "I_post += w")
    s = Synapses(neurons, neurons, "w : 1", on_pre=SATURATING, name="axons")
    s.connect(i=[0, 0, 1], j=[0, 1, 1])
    s.w, s.delay = 0.5, delays * ms
    loss = bep.Sum(bep.SpikeTimes(neurons))
    model = bep.EventPropModel([neurons, s], train=[s.w], loss=loss, duration=30 * ms)
    assert is_carried(model)


def test_new_ends_of_synapses_may_be_autapses():
    neurons, s = autapses("v = 0", SATURATING, senders=(1, 0))
    loss = bep.Sum(bep.SpikeTimes(neurons))
    model = bep.EventPropModel([neurons, s], train=[s.w], loss=loss, duration=30 * ms)
    model.runtime.reconnect("s_pre", np.array([0, 1]), np.array([0, 1]))
    assert is_carried(model)


#: Networks in which the order of arrival and reset matters, and what their loss is.
NETWORKS = {
    "reset of what arrives": (
        {"reset": "v = low; I *= 0.8", "on_pre": "I_post += w"},
        lambda neurons: bep.SpikeTimes(neurons, "t/(10*ms)"),
    ),
    "refractory": (
        {
            "reset": "v -= 1 - low; I *= 0.7",
            "on_pre": f"{SATURATING}; v_post -= 0.2*w",
            "flag": "(unless refractory)",
            "refractory": 1.03 * ms,
        },
        lambda neurons: bep.SpikeTimes(neurons, "t/(10*ms)"),
    ),
    "arrivals that may come after the reset": (
        {"reset": "v = low", "on_pre": SATURATING, "senders": (0, 1, 1)},
        lambda neurons: bep.Maximum(neurons, "I + 0.3*v"),
    ),
    "arrivals that raise the drive": (
        {
            "reset": "v = low + 0.7*(v - 0.9)",
            "on_pre": "v_post += 2*w; I_post = 0.8*I_post + w/4",
            "refractory": 0.5 * ms,
            "drive": "I*(3 - v)",
        },
        lambda neurons: bep.Integral(neurons, "v**2 + I"),
    ),
}


def model_of(name, dt, **options):
    """The model of one of the networks."""
    given, readout = NETWORKS[name]
    neurons, s = autapses(**given, dt=dt)
    neurons.low, s.w = 0.03, [0.5, 0.55, 0.6][: len(s)]
    s.delay = [0, 0, 2.3][: len(s)] * ms
    train = [s.w, s.delay, neurons.v, neurons.low]
    loss = bep.Sum(readout(neurons))
    return bep.EventPropModel([neurons, s], train=train, loss=loss, duration=25 * ms, **options)


def gradients_of(model) -> dict:
    """The gradients of a run."""
    model.run()
    gradients = model.gradient()
    return {key: np.array(gradients.raw(key)) for key in model.parameters.keys}


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_converge_to_those_in_exact_time(name):
    """They do so at first order: the step is five times shorter, the error has room to scatter."""
    exact = gradients_of(model_of(name, 0.1, solver="event"))
    errors = []
    for dt in (0.05, 0.01, 0.002):
        found = gradients_of(model_of(name, dt))
        scales = {key: np.abs(array).max() for key, array in exact.items()}
        errors.append([np.abs(found[k] - exact[k]).max() / max(scales[k], 1e-3) for k in exact])
    coarse, _, fine = np.array(errors)
    assert np.all(fine < np.maximum(0.15 * coarse, 2e-4)) and np.all(fine < 5e-3), errors


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_on_a_gpu(name, emulator):
    expected = model_of(name, 0.1)
    expected = arrays_of(expected.run(), expected.gradient(), expected)
    emulator(seed=1)
    found = model_of(name, 0.1, backend="cuda")
    check_equal(arrays_of(found.run(), found.gradient(), found), expected)


def test_autapses_that_only_add_have_the_exact_gradient():
    """All spikes of a neuron move alike: after the first, its trials differ in the time alone.

    The first comes at 10 ms * log((d - v0)/(d - 1)) with the drive d.
    """
    neurons, s = autapses("v = 0", "I_post += w")
    model = bep.EventPropModel(
        [neurons, s], train=[neurons.v], loss=bep.Sum(bep.SpikeTimes(neurons, "t/(10*ms)")),
        duration=30 * ms,
    )  # fmt: skip
    spikes = model.run().spikes[neurons]
    counts = np.bincount(spikes.i)
    assert list(counts) == [2, 3]
    expected = -counts / np.array([1.4, 1.5])
    np.testing.assert_allclose(np.asarray(model.gradient()[neurons.v]), expected, rtol=0.005)


#: Code of on_pre and on_post, and whether what on_post reads has another slope by then.
PLASTICITY = [
    ("v_post += w", "u += 0.3*v_post", True),
    ("I_post += w", "u += 0.3*v_post", True),
    ("v_post += w*v_post", "u += 0.3*v_post; I_post += 0.05*u", True),
    ("v_post += w", "u += 0.3*v_pre", True),
    ("v_post += w; u += 0.1*v_pre", "u += 0.1", True),
    ("u += 0.1*v_post", "I_post += w*u; u += 0.1*I_post", False),
    ("low_post += w", "u += 0.3*v_post", False),  # which nothing else reads
    ("v_post += w", "u += 0.3*low_post", False),
]


@pytest.mark.parametrize("on_pre, on_post, refused", PLASTICITY)
def test_the_slope_of_what_on_post_reads_is_that_of_the_crossing(on_pre, on_post, refused):
    """Its value is that after on_pre, its slope is not: refused, but without autapses."""
    model_of_plasticity(on_pre, on_post, senders=(1, 0))
    if not refused:
        model_of_plasticity(on_pre, on_post)
        return
    with pytest.raises(bep.UnsupportedError, match=r"wrong side of that jump.*i != j"):
        model_of_plasticity(on_pre, on_post)


def test_a_trained_delay_that_is_not_0_yet_is_warned_of():
    neurons, s = autapses("v = 0", "I_post += w")
    s = Synapses(
        neurons, neurons, "w : 1\nu : 1", on_pre="I_post += w", on_post="u += v_post", name="s"
    )
    s.connect()
    s.delay = 1 * ms
    loss = bep.Sum(bep.Final(s, "u"))
    options = {"loss": loss, "duration": 30 * ms, "backend": "interpreter"}
    with catch_logs(only_from=("brian_eventprop", "brian2.brian_eventprop")) as logs:
        bep.EventPropModel([neurons, s], train=[s.delay], **options)
    assert any("from the wrong side of a jump" in text for _, _, text in logs)


def test_gpus_refuse_it_too(emulator):
    emulator(seed=1)
    with pytest.raises(bep.UnsupportedError, match="wrong side of that jump"):
        model_of_plasticity("v_post += w", "u += 0.3*v_post", "cuda")


def test_one_synapse_may_change_what_the_next_one_reads():
    on_post = "u += 0.3*v_post; I_post += 0.05*u"
    with pytest.raises(bep.UnsupportedError, match="pathway of its own with a later order"):
        model_of_plasticity("u += w", on_post, senders=(1, 0, 1))
    on_post = {"first": "u += 0.3*v_post", "second": "I_post += 0.05*u"}
    model_of_plasticity("u += w", on_post, senders=(1, 0, 1))


def model_of_plasticity(on_pre, on_post, backend="cpu", senders=(0, 1)):
    neurons, s = autapses("v = 0.2*v - 0.1", on_pre, senders=senders)
    s = Synapses(neurons, neurons, "w : 1\nu : 1", on_pre=on_pre, on_post=on_post, name="s")
    s.connect(i=list(senders), j=[k % 2 for k in range(len(senders))])
    s.w = 0.2
    loss = bep.Sum(bep.Final(s, "u"))
    options = {"loss": loss, "duration": 30 * ms, "backend": backend}
    return bep.EventPropModel([neurons, s], train=[neurons.I, s.u], **options)


@pytest.mark.parametrize("on_pre, on_post", [pair[:2] for pair in PLASTICITY[-3:-1]])
def test_plasticity_of_autapses_converges_to_exact_time(on_pre, on_post):
    def gradient(solver, dt):
        neurons, _ = autapses("v = 0.2*v - 0.1", on_pre, dt=dt)
        neurons.I, neurons.low = 1.5, 0.3
        s = Synapses(neurons, neurons, "w : 1\nu : 1", on_pre=on_pre, on_post=on_post, name="s")
        s.connect(j="i")
        s.w = 0.2
        model = bep.EventPropModel(
            [neurons, s], train=[neurons.I], loss=bep.Sum(bep.Final(s, "u")), duration=30 * ms,
            solver=solver, backend="interpreter",
        )  # fmt: skip
        model.run()
        return np.asarray(model.gradient()[neurons.I])

    exact = gradient("event", 0.1)
    errors = [np.abs(gradient("clock", dt) - exact).max() for dt in (0.1, 0.025)]
    assert errors[1] < 0.4 * errors[0] + 1e-9 * np.abs(exact).max()  # first order in dt
