"""Conditions within the equations on the time grid: what moves with the time of their change."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, mV

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError


def run(model):
    """The spikes of the neurons and the gradients, one array after the other."""
    counts = [len(train) for train in model.run().spikes.values()]
    gradients = model.gradient()
    return counts, gradients.grazing, [gradients.raw(k).copy() for k in model.parameters.keys]


def errors(build, steps):
    """Largest error of each gradient by time step in ms, relative to that of exact time."""
    exact, found = run(build("event", steps[-1])), []
    for step in steps:
        counts, grazing, gradients = run(build("clock", step))
        assert (counts, grazing) == (exact[0], 0)
        found.append(
            [
                np.abs(a - b).max() / np.abs(b).max()
                for a, b in zip(gradients, exact[2], strict=True)
            ]
        )
    return np.array(found)


def test_a_speed_that_jumps():
    """Below k the speed is 1/tau, above it (1 + jump)/tau: where it jumps moves with k and tau."""
    defaultclock.dt = 0.01 * ms
    neuron = NeuronGroup(
        1,
        """dv/dt = (1 + jump*int(v > k or v > 2))/tau : 1
           k : 1 (constant)
           jump : 1 (constant)
           tau : second (constant)""",
        threshold="v > 1", reset="v = 0", method="rk4", name="neuron",
    )  # fmt: skip
    neuron.k, neuron.jump, neuron.tau = 0.4, 1, 10 * ms
    model = bep.EventPropModel(
        [neuron], train=[neuron.k, neuron.tau, neuron.v],
        loss=bep.Sum(bep.SpikeTimes(neuron, which="first")), duration=10 * ms,
    )  # fmt: skip
    model.run()
    gradients = model.gradient()
    assert gradients.grazing == 0
    assert gradients.raw(("neuron", "k"))[0] == pytest.approx(0.005, rel=2e-3)
    assert gradients.raw(("neuron", "tau"))[0] == pytest.approx(0.7, rel=2e-3)
    assert gradients.raw(("neuron", "v"))[0] == pytest.approx(-0.01, rel=2e-3)


def test_a_state_that_slides_along_a_condition():
    """Both sides lead to v = k: there v stays, whatever it was before, and drives u.

    In exact time such a run stops with an error; on the grid v goes to and fro around k.
    """
    start, rest = np.log(2 / 1.6), np.exp(-2) * 2 / 1.6  # in units of tau: when v meets k
    exact = {"k": 1 - rest, "u": np.exp(-2), "v": start * np.exp(-2)}
    for method in ("euler", "rk4"):
        defaultclock.dt = 0.01 * ms
        neuron = NeuronGroup(
            1,
            """dv/dt = (2 - 2.5*int(v > k) - v)/tau : 1
               du/dt = (v - u)/tau : 1
               k : 1 (constant)
               tau : second (constant)""",
            method=method, name="neuron",
        )  # fmt: skip
        neuron.k, neuron.tau = 0.4, 5 * ms
        model = bep.EventPropModel(
            [neuron], train=[neuron.k, neuron.u, neuron.v], loss=bep.Sum(bep.Final(neuron, "u")),
            duration=10 * ms,
        )  # fmt: skip
        model.run()
        gradients = model.gradient()
        for name, value in exact.items():
            assert gradients.raw(("neuron", name))[0] == pytest.approx(value, rel=5e-3), name


def build_maximum(solver, step=0.1):
    """v rises until u meets k, then it falls: its maximum moves with the condition."""
    defaultclock.dt = step * ms
    neuron = NeuronGroup(
        1,
        """dv/dt = (1.6*int(u < k) - v)/tau : 1
           du/dt = (1 - u)/(8*ms) : 1
           k : 1 (constant)
           tau : second (constant)""",
        method="rk4", name="neuron",
    )  # fmt: skip
    neuron.k, neuron.tau = 0.4, 6 * ms
    return bep.EventPropModel(
        [neuron], train=[neuron.k, neuron.tau, neuron.u], loss=bep.Sum(bep.Maximum(neuron, "v")),
        duration=10 * ms, solver=solver,
    )  # fmt: skip


@pytest.mark.parametrize("step", [0.0101, 0.0037])  # the maximum is before or after its sample
def test_a_maximum_that_a_condition_makes_moves_with_it(step):
    model = build_maximum("clock", step)
    model.run()
    gradients = model.gradient()
    # at t = 8*log((1 - u)/(1 - k)) in ms, v = 1.6*(1 - exp(-t/tau))
    time = 8 * np.log(1 / 0.6)
    rise = 1.6 * np.exp(-time / 6) / 6
    exact = {"k": rise * 8 / 0.6, "u": -rise * 8, "tau": -rise * time / 6e-3}
    for name, value in exact.items():
        assert gradients.raw(("neuron", name))[0] == pytest.approx(value, rel=1e-2), name


def test_such_a_maximum_is_refused_in_exact_time():
    with pytest.raises(UnsupportedError, match="'neuron': the Maximum of 'v'.*clock"):
        build_maximum("event")


#: Every form of a condition, in units; where they jump moves with inputs, states and parameters.
FORMS = """dv/dt = (E - v + 9*mV*int(v > k or u > -60.5*mV) - s
                    + 2*mV*int(t > t_on)*int(t < 11.3*ms and v > -64.5*mV)
                    - 3*mV*int(not (v > -58*mV) and u > -63*mV and I > 1*mV) + I)/tau : volt{}
           du/dt = (v - u)/(8*ms) : volt
           dI/dt = -I/(4*ms) - 0.1*I*int(v > -57*mV)/ms : volt
           s = (u - E)*int(int(v > -59*mV) + int(u > -61*mV) > 1) + clip(I, 0*mV, 2*mV) : volt
           k : volt (constant)
           t_on : second (constant)
           tau : second (constant, shared)"""


@pytest.mark.slow
@pytest.mark.parametrize("refractory", [False, True])
def test_every_form_has_the_gradient_of_exact_time(refractory):
    def build(solver, step):
        defaultclock.dt = step * ms
        source = SpikeGeneratorGroup(2, [0, 1, 0, 1], [0.7, 2.1, 6.3, 9.2] * ms, name="source")
        cells = NeuronGroup(
            2, FORMS.format(" (unless refractory)" if refractory else ""),
            threshold="v > -55*mV", reset="v = -64*mV; u += 1*mV", method="rk2", name="cells",
            refractory=1.7 * ms if refractory else False,
        )  # fmt: skip
        cells.v, cells.u, cells.k, cells.tau = -65 * mV, -64.7 * mV, "(-61.3 + 0.4*i)*mV", 6 * ms
        cells.t_on = "(4.1 + 0.7*i)*ms"
        s = Synapses(source, cells, "w : volt", on_pre="I_post += w", name="s")
        s.connect()
        s.w, s.delay = "(6.3 + 1.1*i + 0.6*j)*mV", "(0.43 + 0.31*i + 0.17*j)*ms"
        return bep.EventPropModel(
            [source, cells, s],
            train=[s.w, s.delay, cells.k, cells.t_on, cells.tau, cells.v],
            loss=bep.Sum(
                bep.SpikeTimes(cells, "t/T"),
                bep.Integral(cells, "100*Hz*(int(v > k + 1*mV) + (u - E)/mV*int(u > -62*mV))"),
            ),
            duration=15 * ms, solver=solver, namespace={"E": -65 * mV},
        )  # fmt: skip

    found = errors(build, (0.02, 0.004, 0.0008))
    assert np.all(found[1] < 0.05) and np.all(found[2] < 0.01), found
    assert np.all(found[2] < 0.5 * found[0]), found


@pytest.mark.slow
def test_trained_periods_and_steps_of_states_have_the_gradient_of_exact_time():
    def build(solver, step):
        defaultclock.dt = step * ms
        source = SpikeGeneratorGroup(2, [0, 1, 0], [1, 3.3, 8] * ms, name="source")
        cells = NeuronGroup(
            2,
            """dv/dt = (0.7 + 0.5*int(t % T < width) + 0.2*floor((t - phase)/T) - 0.2*(u % 0.1)/0.1
                        - 0.3*int(4*v) + 0.1*ceil(3*u) - v)/(6*ms) : 1
               du/dt = (0.5*v - u)/(9*ms) : 1
               T : second (constant)
               width : second (constant)
               phase : second (constant)""",
            threshold="v > 0.8", reset="v = 0; u += 0.07", method="rk4", name="cells",
        )  # fmt: skip
        cells.v, cells.u, cells.T = 0.05, 0.013, "(3.37 + 0.21*i)*ms"
        cells.width, cells.phase = 1.53 * ms, 0.71 * ms
        s = Synapses(source, cells, "w : 1", on_pre="v_post += w", name="s")
        s.connect()
        s.w, s.delay = "0.2 + 0.03*i", "(0.23 + 0.4*i + 0.11*j)*ms"
        return bep.EventPropModel(
            [source, cells, s],
            train=[s.w, s.delay, cells.T, cells.width, cells.phase, cells.v],
            loss=bep.Sum(bep.SpikeTimes(cells, "t/T"), bep.Integral(cells, "50*Hz*v*u")),
            duration=14 * ms, solver=solver,
        )  # fmt: skip

    found = errors(build, (0.02, 0.004, 0.0008))
    assert np.all(found[2] < 0.01), found
    assert np.all(found[2] < 0.5 * found[0]), found
