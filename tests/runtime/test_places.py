"""Numbers that become places in arrays are checked before any kernel sees them."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, second
from helpers.networks.small import all_to_all
from helpers.watch import watched

import brian_eventprop as bep
from brian_eventprop.reading import read_network
from brian_eventprop.reading.delays import check_delays

BAD = [np.nan, np.inf, -np.inf, -0.5e-3, -1e-12, 1e7, 1e300]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("shared", [False, True])
def test_delays_are_checked_when_the_model_is_made(bad, shared):
    source = SpikeGeneratorGroup(2, [0], [1] * ms)
    group = NeuronGroup(3, "dv/dt = -v/(10*ms) : 1", method="exact")
    options = {"delay": bad * 1000 * ms} if shared else {}
    S = Synapses(source, group, on_pre="v_post += 1", name="S", **options)
    S.connect()
    if not shared:
        S.delay_ = np.where(np.arange(6) == 4, bad, 1e-3)
    which = "the delay in" if shared else "the delay of synapse 4 in"
    with pytest.raises(ValueError, match=f"'S': {which} pathway 'S_pre'.*S.pre.delay = "):
        read_network([source, group, S], [], {})


def test_delays_within_the_limits():
    for good in ([], [0.0, -0.0, 1e-3], [2e5]):
        check_delays("S", "S_pre", np.array(good), 1e-4, "synapse")


def model_of(solver):
    """Nothing is compiled before values and spikes have been checked."""
    source = SpikeGeneratorGroup(2, [], [] * ms, name="inp")
    group = NeuronGroup(3, "dv/dt = -v/(10*ms) : 1", method="exact", name="G")
    S = Synapses(source, group, "w : 1", on_pre="v_post += w", name="S")
    S.connect()
    S.w, S.delay = 0.5, "(1 + i)*ms"
    data = bep.SpikeData([0.001, 0.002, 0.003], [0, 1, 0], [0, 0, 1], 2, 2)
    loss = bep.Sum(bep.Integral(group, "v"))
    trained = [S.w, S.delay]
    model = bep.EventPropModel(
        [source, group, S], train=trained, loss=loss, duration=9 * ms, solver=solver
    )
    return model, data


@pytest.mark.parametrize("solver", ["clock", "event"])
@pytest.mark.parametrize("how", ["raw", "set_raw", "step"])
def test_delays_are_checked_before_every_run(solver, how):
    model, data = model_of(solver)
    key = "S_pre", "delay"
    before = model.parameters.raw(key).copy()
    for bad in BAD:
        if how == "raw":
            model.parameters.raw(key)[3] = bad
        elif how == "set_raw":
            model.parameters.set_raw(key, np.where(np.arange(before.size) == 3, bad, before))
        else:
            optimizer = bep.SGD({("S", "w"): 0.0, key: 1 * second})
            optimizer.bind(model)
            gradients = {k: np.zeros_like(model.parameters.raw(k)) for k in model.parameters.keys}
            gradients[key][3] = -bad if bad > 0 else np.nan  # bounds keep delays above 0
            optimizer.step(gradients)
        with pytest.raises(ValueError, match="'S': the delay of synapse 3 in pathway 'S_pre'"):
            model.run(data)
        model.parameters.set_raw(key, before)


def test_delays_on_a_gpu(emulator):
    emulator()
    model, data = all_to_all(backend="cuda", n_inputs=3, n_hidden=4, trials=2)
    key = "s_rec_pre", "delay"
    assert key in model.runtime.held.keys
    with watched(model.runtime, "forward") as runs:
        loss = model.run(data).loss
    held, *_ = runs[-1].arguments
    before = model.parameters.raw(key).copy()
    for bad in BAD:
        held.change(key).array[3] = bad  # as a kernel does
        with pytest.raises(ValueError, match="'s_rec': the delay of synapse 3 in pathway 's_rec_"):
            model.run(data)
        model.parameters.set_raw(key, before)
        assert model.run(data).loss == loss
        model.parameters.raw(key)[3] = bad
        with pytest.raises(ValueError, match="synapse 3"):
            model.run(data)
        model.parameters.set_raw(key, before)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_spikes_that_were_changed_in_place(solver):
    model, data = model_of(solver)
    for change, message in (
        (lambda d: d.channels.__setitem__(2, 2), "channels.*'inp'.*0..1"),
        (lambda d: d.channels.__setitem__(2, -1), "channels.*'inp'"),
        (lambda d: d.times.__setitem__(1, np.nan), "times of 'inp' must be finite"),
        (lambda d: d.times.__setitem__(1, -1e-3), "times of 'inp' must be finite"),
        (lambda d: d.trial_ptr.__setitem__(1, 10**6), "trials of the spikes of 'inp'"),
        (lambda d: setattr(d, "times", d.times[:-1]), "trials of the spikes of 'inp'"),
    ):
        changed = data[:]
        changed.times, changed.channels = changed.times.copy(), changed.channels.copy()
        change(changed)
        with pytest.raises(ValueError, match=message):
            model.run(changed)


def test_connections_outside_of_the_groups():
    group = NeuronGroup(3, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0")
    S = Synapses(group, group[:2], on_pre="v_post += 1", name="S")
    S.connect()
    for side, index in (("pre", 3), ("post", -1)):
        variable = S.variables[f"_synaptic_{side}"]
        right = variable.get_value().copy()
        variable.set_value(np.where(np.arange(len(right)) == 1, index, right))
        with pytest.raises(ValueError, match="'S' hold an index outside"):
            read_network([group, S], [], {})
        variable.set_value(right)
