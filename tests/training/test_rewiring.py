"""Synapses get other ends: in the kernels, in the training, in Brian2, and after a checkpoint."""

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    mm,
    ms,
    start_scope,
)
from helpers.derivatives import assert_gradient

import brian_eventprop as bep
from brian_eventprop.training.rewiring import Pairs

LIF = """dv/dt = (I - v)/(10*ms) : 1
         dI/dt = -I/(3*ms) : 1"""
PRE, POST = np.array([0, 1, 2, 3, 4, 0, 1, 2]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
SPIKES = bep.SpikeData(
    np.linspace(0.001, 0.012, 40), np.arange(40) % 5, np.arange(40) % 4, 4, 5, targets=[0, 1, 0, 1]
)


def network(pre=PRE, post=POST, solver="clock", **options):
    start_scope()
    source = SpikeGeneratorGroup(5, [], [] * ms, name="src")
    hidden = NeuronGroup(6, LIF, threshold="v > 1", reset="v = 0", method="exact", name="hid")
    output = NeuronGroup(2, LIF, method="exact", name="out")
    s = Synapses(source, hidden[1:5], "w : 1", on_pre="I_post += w", name="s", **options)
    s.connect(i=pre, j=post)
    s.w, s.delay = np.linspace(3, 6, len(pre)), np.linspace(0, 4, len(pre)) * ms
    s_out = Synapses(hidden, output, "w : 1", on_pre="I_post += w", name="s_out")
    s_out.connect()
    s_out.w = np.linspace(-1, 1, 12)
    objects = [source, hidden, output, s, s_out]
    loss = bep.CrossEntropy(bep.Integral(output, "v"), scale=200)
    model = bep.EventPropModel(
        objects, train=[s.w, s.delay, s_out.w], loss=loss, duration=20 * ms, solver=solver
    )
    return model, s, hidden, objects


OTHER_PRE, OTHER_POST = np.array([4, 3, 2, 1, 0, 0, 2, 3]), np.array([3, 0, 1, 2, 2, 1, 0, 3])


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_a_rewired_model_is_one_that_was_wired_so(solver):
    rewired, s, *_ = network(solver=solver)
    before = rewired.run(SPIKES).loss
    rewired.reconnect(s, OTHER_PRE, OTHER_POST)
    with pytest.raises(RuntimeError, match="call run"):
        rewired.gradient()
    made, *_ = network(OTHER_PRE, OTHER_POST, solver)
    assert rewired.run(SPIKES).loss == made.run(SPIKES).loss != before
    for key in made.parameters.keys:
        np.testing.assert_array_equal(rewired.gradient().raw(key), made.gradient().raw(key))
    np.testing.assert_array_equal(rewired.connections("s")[1], OTHER_POST)
    assert rewired.ends(s) == (5, 4)
    if solver == "event":
        assert_gradient(rewired, SPIKES)


def test_brian2_gets_the_new_connections():
    model, s, hidden, objects = network(multisynaptic_index="copy")
    model.write_back()
    np.testing.assert_array_equal(s.i, PRE)
    post = OTHER_POST.copy()
    pre = OTHER_PRE.copy()
    pre[5], post[5] = pre[4], post[4]  # two synapses of one pair
    model.reconnect("s", pre, post)
    trains = model.run(SPIKES[[2]]).spikes["hid"]
    model.write_back()
    np.testing.assert_array_equal(s.i, pre)
    np.testing.assert_array_equal(s.j, post)
    np.testing.assert_array_equal(s.N_outgoing_pre, np.bincount(pre, minlength=5))
    np.testing.assert_array_equal(s.copy, [0, 0, 0, 0, 0, 1, 0, 0])
    assert list(s.w[4, 2]) == list(np.asarray(s.w)[4:6]) or len(s.w[0, 2]) == 2
    part = SPIKES[[2]]
    objects[0].set_spikes(part.channels, part.times * 1000 * ms)
    monitor = SpikeMonitor(hidden)
    Network(objects, monitor).run(20 * ms)
    found = sorted(zip(np.asarray(monitor.t).round(9), np.array(monitor.i), strict=True))
    assert found == sorted(zip(np.asarray(trains.t).round(9), trains.i, strict=True))
    assert len(found) > 3


def training(path=None, kill=None, more=(), **fit):
    model, s, *_ = network()
    optimizer = bep.Adam(dict(zip(model.parameters.keys, [0.8, 0.1 * ms, 0.1], strict=True)))
    rewiring = bep.DeepR(s.w, s.delay, range=(5 * ms, 6 * ms), l1=0.0625, seed=3)
    callbacks = [rewiring]

    class Killed(Exception):
        pass

    class Kill(bep.Callback):
        def on_batch_end(self, trainer, batch, result):
            if (trainer.epoch, batch) == kill:
                raise Killed

    if path is not None:
        callbacks += [bep.Checkpoint(path), Kill(), *more]
    trainer = bep.Trainer(model, optimizer, callbacks)
    done = callbacks[1].resume(trainer) if path is not None else 0
    try:
        trainer.fit(SPIKES, 12 - done, 2, progress=False, **fit)
    except Killed:
        pass
    return trainer, rewiring


def test_weights_that_cross_zero_move():
    trainer, rewiring = training()
    model = trainer.model
    i, j = model.connections("s")
    moved = trainer.history["rewired(s)"]
    assert moved.sum() > 3
    kept = (i == PRE) & (j == POST)
    assert 0 < np.sum(~kept)
    assert len(np.unique(i * 4 + j)) == 8  # as many as before, all of different pairs
    w = model.parameters.raw(("s", "w"))
    assert np.all(w * rewiring.sign >= 0) and np.all(rewiring.sign == 1)
    delays = model.parameters.raw(("s_pre", "delay"))
    assert np.all(delays[~kept] > 4e-3)  # drawn from 5 to 6 ms, then learned


def test_memory_of_the_optimiser_is_forgotten():
    model, s, *_ = network()
    optimizer = bep.Adam(dict(zip(model.parameters.keys, [0.1, 0.1 * ms, 0.1], strict=True)))
    optimizer.bind(model)
    optimizer.step({key: np.ones_like(model.parameters.raw(key)) for key in model.parameters.keys})
    optimizer.forget(("s", "w"), [2, 5])
    state = optimizer.state()
    np.testing.assert_array_equal(state["mean/s.w"] == 0, np.isin(np.arange(8), [2, 5]))


@pytest.mark.parametrize("kill", [(3, 1), (7, 0)])
def test_rewiring_goes_on_after_a_kill(tmp_path, kill):
    straight, _ = training()
    training(tmp_path / "run.h5", kill)
    resumed, _ = training(tmp_path / "run.h5")
    assert resumed.epoch == 12
    for key in straight.model.parameters.keys:
        one, other = (t.model.parameters.raw(key) for t in (straight, resumed))
        assert one.tobytes() == other.tobytes()
    for one, other in zip(*(t.model.connections("s") for t in (straight, resumed)), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(straight.history["loss"], resumed.history["loss"])


@pytest.mark.parametrize("kill", [None, (5, 0)])
@pytest.mark.parametrize("best", [0, 4])
def test_the_best_epoch_comes_back_with_its_connections(tmp_path, best, kill):
    seen = {}

    class Note(bep.Callback):
        def on_epoch_end(self, trainer, epoch, row):
            row["score_accuracy"] = 1.0 if epoch == best else 0.0
            if epoch == best:
                seen["connections"] = trainer.model.connections("s")
                seen["loss"] = trainer.model.run(SPIKES).loss

    def fit():
        stopping = bep.EarlyStopping(20, "score_accuracy")
        return training(tmp_path / "run.h5", kill, [Note()], early_stopping=stopping)[0]

    if kill is not None:
        fit()
        kill = None
    model = fit().model
    for found, wanted in zip(model.connections("s"), seen["connections"], strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert model.run(SPIKES).loss == seen["loss"]
    assert (
        not np.array_equal(model.connections("s", first=True)[0], seen["connections"][0])
        or not best
    )


def test_only_allowed_pairs_without_a_synapse_are_drawn():
    allowed = np.zeros((5, 4), bool)
    allowed[:, :2] = True
    pairs, random = Pairs((5, 4), allowed), np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        i, j = pairs.draw(3, PRE, POST, random)
        new = set(zip(i.tolist(), j.tolist(), strict=True))
        assert len(new) == 3 and not new & set(zip(PRE.tolist(), POST.tolist(), strict=True))
        seen |= new
    assert seen == {(i, j) for i in range(5) for j in range(2)} - {(0, 0), (1, 0), (2, 1), (3, 1)}
    i, j = pairs.draw(30, PRE, POST, random)
    assert len(i) == 6  # there are no more
    many = Pairs((100, 100), None)
    i, j = many.draw(500, np.arange(100), np.arange(100), random)
    assert len(np.unique(100 * i + j)) == 500 and np.all(i != j)


def test_nonsense_is_refused():
    model, s, *_ = network()
    for wrong in ([0] * 7, [5] + [0] * 7, [0.5] + [0] * 7):
        with pytest.raises(ValueError, match=r"i must be 8 indices in 0\.\.4"):
            model.reconnect(s, wrong, POST)
    with pytest.raises(ValueError, match="no Synapses object of the model; it has: s_out, s"):
        model.connections("t")
    with pytest.raises(ValueError, match="new delays need both"):
        bep.DeepR(s.w, s.delay)
    optimizer = bep.Adam(dict(zip(model.parameters.keys, [0.1, 0.1 * ms, 0.1], strict=True)))
    trainer = bep.Trainer(model, optimizer, [bep.DeepR(s.w, allowed=np.ones((4, 4)))])
    with pytest.raises(ValueError, match="allowed must have the shape"):
        trainer.fit(SPIKES, 1, 2, progress=False)


def test_code_that_reads_an_index_cannot_be_rewired():
    start_scope()
    source = SpikeGeneratorGroup(2, [], [] * ms)
    group = NeuronGroup(2, "dv/dt = -v/ms : 1", method="exact")
    s = Synapses(source, group, "w : 1", on_pre="v_post += w*(i + 1)", name="indexed")
    s.connect()
    loss = bep.Sum(bep.Final(group, "v"))
    model = bep.EventPropModel([source, group, s], train=[s.w], loss=loss, duration=5 * ms)
    with pytest.raises(bep.UnsupportedError, match="uses the index of a neuron"):
        model.reconnect(s, [0, 0, 1, 1], [0, 1, 0, 1])


@pytest.mark.parametrize("solver", ["clock", pytest.param("event", marks=pytest.mark.slow)])
def test_several_synapses_per_pair_and_delays_from_distances(solver):
    start_scope()
    source = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms)
    group = NeuronGroup(
        2, LIF + "\nx : meter (constant)", threshold="v > 1", reset="v = 0", method="exact"
    )
    group.x = [1, 3] * mm
    s = Synapses(source, group, "w : 1", on_pre="I_post += w", multisynaptic_index="k")
    s.connect(n=3)
    s.w, s.delay = "1.5 + 0.2*k", "x_post/(1*mm)*ms + k*2*ms"
    np.testing.assert_allclose(np.asarray(s.delay)[:3] * 1e3, [1, 3, 5])
    loss = bep.Sum(bep.Integral(group, "v"), bep.SpikeTimes(group, "t/second"))
    model = bep.EventPropModel(
        [source, group, s], train=[s.w, s.delay], loss=loss, duration=25 * ms, solver=solver
    )
    monitor = SpikeMonitor(group)
    Network(source, group, s, monitor).run(25 * ms)
    result = model.run()
    assert len(result.spikes[group]) == len(monitor.t) > 1
    if solver == "event":
        assert_gradient(model, entries=12)
    else:
        np.testing.assert_allclose(sorted(result.spikes[group].t), sorted(monitor.t))
