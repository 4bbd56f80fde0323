"""Synapses in dense rows, all of a source's with one delay, have kernels of their own."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms

import brian_eventprop as bep
from brian_eventprop.plan.layouts import DenseRows, choice

LIF = """dv/dt = (I - v)/(10*ms) : 1
         dI/dt = -I/(4*ms) : 1"""


def build(delays, sparse=False):
    """Two layers, the first one recurrent; ``delays`` sets those of each projection."""
    defaultclock.dt = 0.5 * ms
    rng = np.random.default_rng(5)
    spikes = np.sort(rng.uniform(0, 30, 60)), rng.integers(0, 7, 60)
    key = np.unique(np.floor(spikes[0] / 0.5).astype(int) * 7 + spikes[1])
    inputs = SpikeGeneratorGroup(7, key % 7, (key // 7 + 0.5) * 0.5 * ms)
    hidden = NeuronGroup(9, LIF, threshold="v > 1", reset="v = 0", refractory=1 * ms)
    output = NeuronGroup(3, LIF, method="exact")
    parts = []
    for source, target, mean in ((inputs, hidden, 2.0), (hidden, hidden, 0.3), (hidden, output, 1)):
        options = {"delay": 1.5 * ms} if delays == "shared" else {}
        synapses = Synapses(source, target, "w : 1", on_pre="I_post += w", **options)
        synapses.connect(j="N_post - 1 - k for k in range(N_post)")  # not in the order of rows
        synapses.w = rng.normal(mean, 1.0, len(synapses)) if source is inputs else rng.normal(
            mean, 0.6, len(synapses)
        )  # fmt: skip
        if delays == "unequal":
            synapses.delay = rng.uniform(0, 5, len(synapses)) * ms
        if delays in ("rows", "axonal", "synaptic"):
            synapses.delay = rng.uniform(0, 5, len(source))[synapses.i] * ms
        parts.append(synapses)
    trained = [s.w for s in parts] + [s.delay for s in parts if delays in ("shared", "synaptic")]
    trained += [bep.Axonal(s.delay) for s in parts if delays in ("axonal", "unequal")]
    return bep.EventPropModel(
        [inputs, hidden, output, *parts],
        train=trained,
        loss=bep.Sum(bep.Integral(output, "v**2"), bep.SpikeTimes(hidden)),
        duration=40 * ms,
    )


def dense_rows(model) -> set[str]:
    """The pathways with dense rows."""
    return {p.name for p in model.runtime.module.pathways if p.layout == DenseRows()}


@pytest.mark.parametrize("delays", ["shared", "rows", "axonal"])
def test_dense_rows_give_the_same_as_single_synapses(delays, monkeypatch):
    found = []
    for plain in (False, True):
        if plain:
            monkeypatch.setattr(choice, "has_dense_rows", lambda *_: False)
        model = build(delays)
        result, gradients = model.run(), model.gradient()
        assert len(dense_rows(model)) == (0 if plain else 3)
        found.append((model, result, gradients))
    (model, rows, grads), (other, plain, plain_grads) = found
    trains = [next(iter(result.spikes.values())) for result in (rows, plain)]
    assert len(trains[0]) > 20
    np.testing.assert_array_equal(trains[0].t, trains[1].t)
    assert rows.loss == plain.loss
    keys = zip(model.parameters.keys, other.parameters.keys, strict=True)
    pairs = [(grads.raw(one), plain_grads.raw(two)) for one, two in keys]
    pairs.append([np.asarray(gradients.inputs) for gradients in (grads, plain_grads)])
    for one, two in pairs:
        # sums of a few hundred terms in another order
        np.testing.assert_allclose(one, two, rtol=1e-11, atol=1e-11 * np.abs(two).max())


def test_other_connections_are_taken_one_by_one():
    model = build("none")
    assert len(dense_rows(model)) == 3
    inner = next(p for p in model.spec.pathways if p.source == p.target)
    i, j = model.connections(inner.synapses)
    model.run()
    model.reconnect(inner.synapses, i, np.roll(j, 1))
    assert len(dense_rows(model)) == 2 + (len(set(zip(i, np.roll(j, 1), strict=True))) == len(i))
    i[:2], j[:2] = 0, 0  # two synapses between the same neurons
    model.reconnect(inner.synapses, i, j)
    assert inner.name not in dense_rows(model)
    assert np.isfinite(model.run().loss)
    assert all(np.isfinite(model.gradient().raw(key)).all() for key in model.parameters.keys)


def test_the_gradient_of_an_axonal_delay_is_the_sum_over_its_synapses():
    model = build("axonal")
    model.run()
    axonal = model.gradient()
    free = build("synaptic")
    free.run()
    each = free.gradient()
    keys = zip(model.parameters.keys, free.parameters.keys, strict=True)
    for one, two in list(keys)[3:]:
        pathway = next(p for p in free.spec.pathways if p.delay == two)
        total = np.bincount(free.network.pre[pathway.name], each.raw(two))
        scale = np.abs(total).max()
        assert scale > 0
        np.testing.assert_allclose(axonal.raw(one), total, rtol=1e-11, atol=1e-11 * scale)
    owner = model.parameters.keys[3][0]
    synapses = next(o for o in model.objects if f"{o.name}_pre" == owner)
    model.parameters.set_raw((owner, "delay"), 2e-3)
    model.write_back()
    assert np.asarray(synapses.delay) == pytest.approx(2e-3)


def test_axonal_delays_must_be_equal_at_a_neuron():
    with pytest.raises(ValueError, match="neuron 0 of .* different delays"):
        build("unequal")
