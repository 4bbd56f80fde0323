"""`(summed)` and linked variables in exact time: coupled neurons are one system of equations."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, TimedArray, linked_var, ms, us
from brian2.utils.logger import catch_logs
from helpers.derivatives import assert_gradient
from helpers.networks import reference

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError


@pytest.mark.parametrize("name", reference.COUPLED)
def test_event_solver_is_exact(name):
    case, result, errors = reference.run(name, 100 * us, solver="event")
    assert max(errors.values()) < 1e-7, errors
    assert result.loss == pytest.approx(case.loss_value, rel=1e-10)
    for group, expected in case.spikes.items():
        times = np.sort(np.asarray(result.spikes[case.groups[group]].t))
        np.testing.assert_allclose(times, np.sort(expected["t"]), rtol=1e-11)


def check(model, spikes):
    result = model.run()
    assert sum(map(len, result.spikes.values())) >= spikes
    assert_gradient(model)


def test_couplings_in_many_ways():
    """Terms and equations that are not linear in what jumps, traces, values, linked variables."""
    current = TimedArray(np.array([[1.5, 1.2, 2], [2.5, 0.2, 1], [1, 3, 1.5]]), dt=4 * ms)
    spiking = NeuronGroup(
        3,
        """dv/dt = (current(t, i) - v + tanh(S))/(10*ms) : 1
        S : 1
        peak : 1 (shared)""",
        threshold="v > peak",
        reset="v = 0.1",
        method="euler",
    )
    spiking.v, spiking.peak = [0.2, 0.8, 0.9], 1
    constants = NeuronGroup(2, "k : 1")
    constants.k = [0.7, 1.3]
    follow = NeuronGroup(
        2,
        """du/dt = (y*k - u)/(8*ms) : 1
        y : 1 (linked)
        k : 1 (linked)
        back : 1""",
        method="euler",
    )
    follow.y = linked_var(spiking, "v", index=[2, 0])
    follow.k = linked_var(constants, "k", index=[1, 0])
    model = "w : 1\na : 1 (shared)\nS_post = w*v_pre**2 + a*v_post*v_pre : 1 (summed)"
    within = Synapses(spiking, spiking, model)
    within.connect()
    within.w, within.a = np.linspace(-0.5, 0.5, 9), 0.3
    deltas = Synapses(spiking, spiking, "w : 1", on_pre="v_post += w")
    deltas.connect(condition="i != j")
    deltas.w, deltas.delay = np.linspace(0.05, 0.4, 6), np.linspace(0.5, 2, 6) * ms
    between = Synapses(spiking[:2], follow, "q : 1\nback_post = q*v_pre : 1 (summed)")
    between.connect()
    between.q = [0.1, 0.2, 0.3, 0.4]
    loss = bep.losses.Sum(
        bep.Integral(follow, "u**2 + back*u"),
        bep.Value(spiking, "v*S", at=3.3 * ms),
        bep.Final(follow, "u"),
        bep.SpikeTimes(spiking),
    )
    train = [within.w, deltas.delay, between.q, constants.k, spiking.peak]
    objects = [spiking, constants, follow, within, deltas, between]
    options = dict(loss=loss, duration=4 * ms, solver="event")
    namespace = {"current": current}
    model = bep.EventPropModel(objects, train=train, namespace=namespace, **options)
    check(model, 1)


@pytest.mark.parametrize("reset, refractory", [("v -= 1", False), ("v = 0.1*v", True)])
def test_spikes_that_events_fire(reset, refractory):
    """Arrivals lift neurons over the threshold, also while they are refractory."""
    rng = np.random.default_rng(1)
    inputs = SpikeGeneratorGroup(2, [0, 1, 0, 1], [1, 2.3, 3.7, 5.2] * ms)
    neurons = NeuronGroup(
        3,
        f"""dv/dt = (1.1 - v + S)/(10*ms) : 1{" (unless refractory)" * refractory}
        S : 1
        period : second""",
        threshold="v > 1",
        reset=reset,
        refractory="period" if refractory else False,
        method="euler",
    )
    neurons.period, neurons.v = [0.7, 1.9, 1.2] * ms, [0.8, 0.3, 0.6]
    gap = Synapses(neurons, neurons, "w : 1\nS_post = w*(v_pre - v_post) : 1 (summed)")
    gap.connect(condition="i != j")
    feed, recur = (
        Synapses(source, neurons, "w : 1", on_pre="v_post += w") for source in (inputs, neurons)
    )
    feed.connect()
    recur.connect(condition="i != j")
    gap.w, feed.w = rng.uniform(0.05, 0.3, 6), rng.uniform(0.3, 0.9, 6)
    recur.w, recur.delay = rng.uniform(-0.3, 0.4, 6), rng.uniform(0.5, 3, 6) * ms
    train = [gap.w, feed.w, recur.w, recur.delay, neurons.v, *[neurons.period] * refractory]
    loss = bep.losses.Sum(bep.Integral(neurons, "v**2"), bep.SpikeTimes(neurons))
    options = dict(loss=loss, duration=7 * ms, solver="event")
    check(bep.EventPropModel([inputs, neurons, gap, feed, recur], train=train, **options), 5)


def test_a_batch_is_the_mean_of_its_trials():
    model = reference.model_of(reference.build("coupled/refractory"), solver="event")
    rng = np.random.default_rng(0)
    trials = np.repeat(np.arange(3), 6)
    times, channels = rng.uniform(0, 0.015, 18), rng.integers(0, 3, 18)
    spikes = bep.SpikeData(times, channels, trials, 3, 3)
    losses, gradients = [], []
    for part in (spikes, *(spikes[[k]] for k in range(3))):
        losses.append(model.run(part).losses)
        gradients.append(model.gradient())
    np.testing.assert_array_equal(losses[0], np.concatenate(losses[1:]))
    for key in model.parameters.keys:
        mean = np.mean([g.raw(key) for g in gradients[1:]], axis=0)
        np.testing.assert_allclose(gradients[0].raw(key), mean, rtol=1e-12, atol=1e-14)


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize("name", ["coupled/qif", "coupled/saturating"])
def test_machine_code_gives_what_the_interpreter_gives(name):
    found = []
    for backend in ("cpu", "interpreter"):
        model = reference.model_of(reference.build(name), solver="event", backend=backend)
        model.run()
        gradients = model.gradient()
        found.append([gradients.raw(key) for key in model.parameters.keys])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


# ---- what is refused ----
LIF = "dv/dt = (S + 1.5 - v)/(10*ms) : 1\nS : 1"


def coupled(model=LIF, term="w*(v_pre - v_post)", readout=bep.Integral, **options):
    group = NeuronGroup(2, model, threshold="v > 1", reset="v = 0", method="euler")
    couple = Synapses(group, group, f"w : 1\nS_post = {term} : 1 (summed)", **options)
    couple.connect()
    loss = bep.losses.Sum(readout(group, "v"))
    options = dict(loss=loss, duration=20 * ms, solver="event")
    return bep.EventPropModel([group, couple], train=[couple.w], **options)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(term="w*abs(v_pre)"), "it has a condition, a step or a kink"),
        (dict(model=LIF.replace("- v", "- v + clip(v, 0, 0.5)")), "have a condition, a step"),
        (dict(readout=bep.Maximum), "would need the slopes of all neurons"),
        (dict(term="w*S_pre + v_pre"), "depend on each other in a circle"),
    ],
)
def test_refusal(arguments, message):
    with pytest.raises(UnsupportedError, match=f"{message}.*solver='clock'"):
        coupled(**arguments)


# ---- what happens at once, before the resets ----
FAST = """dv/dt = (drive - v + S)/(10*ms) : 1
du/dt = (0.3 - u)/(20*ms) : 1
S : 1
drive : 1"""


def at_once(on_pre, reset, to_itself=False, duration=7 * ms, same=False, **options):
    """Neurons with gap junctions that also send spikes without delay, and their synapses."""
    neurons = NeuronGroup(3, FAST, threshold="v > 1", reset=reset, method="rk4", **options)
    neurons.drive, neurons.u = 3 if same else [2.5, 3.5, 4.5], 0.4
    synapses = Synapses(
        neurons,
        neurons,
        """S_post = 0.1*(v_pre - v_post) + 0.1*u_pre : 1 (summed)
        w : 1
        da/dt = -a/(20*ms) : 1 (event-driven)""",
        on_pre=on_pre["pre"],
        on_post=on_pre.get("post"),
    )
    synapses.connect(condition="True" if to_itself else "i != j")
    synapses.w = "0.1 + 0.02*i + 0.01*j"
    readouts = [bep.Final(neurons, "v*u"), bep.Final(synapses, "w"), bep.SpikeTimes(neurons)]
    options = dict(loss=bep.losses.Sum(*readouts), duration=duration, solver="event")
    train = [neurons.drive, synapses.w, neurons.u]
    return bep.EventPropModel([neurons, synapses], train=train, **options)


AT_ONCE = [
    # the learning rule reads the potential at the spike, not that after the reset
    (
        dict(pre="a += 1\nv_post += w", post="w += 0.02*a*v_post*v_pre + 0.05*u_post*v_post"),
        "v = 0",
        {},
    ),
    # spikes that arrive at their own neuron
    (dict(pre="v_post += w"), "v -= 1", dict(to_itself=True)),
    (dict(pre="u_post += w"), "v = 0", dict(to_itself=True)),
    (dict(pre="u_post += w*v_post"), "v = 0.1*u", dict(to_itself=True)),
    (dict(pre="a += 1\nv_post += w", post="u += a*w\nw += 0.02*v_post"), "v = 0.1*u", {}),
    # the sender's own variable, which its reset changes
    (dict(pre="u_post += w*u_pre"), "v = 0; u += 0.3", dict(refractory=1 * ms)),
    (dict(pre="u_pre += w"), "v = 0; u *= 1.1", {}),
]


@pytest.mark.parametrize(
    "code, reset, options",
    [pytest.param(*c, marks=[pytest.mark.slow] * (k > 1)) for k, c in enumerate(AT_ONCE)],
)
def test_arrivals_without_delay_come_before_the_reset(code, reset, options):
    model = at_once(code, reset.replace("; ", "\n"), **options)
    result = model.run()
    assert sum(map(len, result.spikes.values())) >= 4
    # forward mode has no part in the solver: the same slope along a direction in all parameters
    rng = np.random.default_rng(3)
    along = {v: rng.normal(size=np.shape(v)) for v in model.parameters}
    gradients = model.gradient()
    slope = sum(np.sum(np.asarray(gradients[v]) * d) for v, d in along.items())
    assert float(model.jvp(along).loss) == pytest.approx(slope, rel=1e-9)


def test_a_trained_delay_of_0_is_refused_where_resets_matter():
    model = at_once(AT_ONCE[0][0], "v = 0")
    neurons, synapses = model.objects
    options = dict(loss=model.loss, duration=7 * ms, solver="event", backend="interpreter")
    with pytest.raises(UnsupportedError, match="a trained delay of 0 .* in the coupled group"):
        bep.EventPropModel([neurons, synapses], train=[synapses.pre.delay], **options)
    synapses.pre.delay = 0.5 * ms
    with catch_logs(only_from=("brian_eventprop", "brian2.brian_eventprop")) as messages:
        bep.EventPropModel([neurons, synapses], train=[synapses.pre.delay], **options)
    assert any("falls to 0" in text for _, _, text in messages)


def test_neurons_that_cross_together_all_spike():
    """Brian2 delivers what each of them sends before it resets any, so that nothing remains."""
    model = at_once(dict(pre="v_post += w"), "v = 0", same=True)
    result = model.run()
    (spikes,) = result.spikes.values()
    counts = np.bincount(spikes.i, minlength=3)
    assert counts[0] >= 1 and np.all(counts == counts[0]), counts
    np.testing.assert_allclose(np.diff(np.reshape(spikes.t / ms, (-1, 3))), 0, atol=1e-12)
