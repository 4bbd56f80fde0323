"""All layouts of synapses give the same: precomputed, spike by spike, or tile by tile."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms

import brian_eventprop as bep
from brian_eventprop.plan.layouts import PerSpike, limits

LIF = """dv/dt = (I - v)/(10*ms) : 1
         dI/dt = -I/(4*ms) : 1"""
KINDS = {
    "linear": (LIF, {"method": "exact"}),
    # a neuron that rests does not take what arrives; states are read in the backward pass, so the
    # trial runs again
    "quadratic": (
        """dv/dt = (v*(v - 0.5) + 2*I)/(10*ms) : 1
           dI/dt = -I/(4*ms) : 1 (unless refractory)""",
        {"method": "euler", "refractory": 2 * ms},
    ),
}


def build(kind, n_hidden, p):
    """A recurrent layer with two inputs, and a readout that one of them reaches, too."""
    defaultclock.dt = 0.5 * ms
    rng = np.random.default_rng(3)
    equations, options = KINDS[kind]
    inputs = [SpikeGeneratorGroup(n, [], [] * ms) for n in (11, 6)]
    hidden = NeuronGroup(n_hidden, equations, threshold="v > 1", reset="v = 0", **options)
    output = NeuronGroup(3, LIF, method="exact")
    parts = []
    ends = [(inputs[0], hidden, 1.6), (inputs[1], hidden, 1.0), (hidden, hidden, 0.1)]
    ends += [(hidden, output, 1.0), (inputs[0], output, 0.3)]
    for source, target, mean in ends:
        synapses = Synapses(source, target, "w : 1", on_pre="I_post += w")
        pre, post = np.nonzero(rng.random((len(source), len(target))) < p)
        mixed = rng.permutation(len(pre))
        synapses.connect(i=pre[mixed], j=post[mixed])
        synapses.w = rng.normal(mean, 0.5, len(synapses)) / p
        synapses.delay = rng.uniform(0, 6, len(synapses)) * ms
        parts.append(synapses)
    model = bep.EventPropModel(
        [*inputs, hidden, output, *parts],
        train=[view for s in parts for view in (s.w, s.delay)],
        loss=bep.Sum(bep.Integral(output, "v**2"), bep.SpikeTimes(hidden)),
        duration=40 * ms,
    )
    data = {}
    for source in inputs:
        n = 5 * 40
        steps, channels, trials = (rng.integers(0, m, n) for m in (85, len(source), 5))
        keep = np.unique((trials * 100 + steps) * 20 + channels)
        trials, steps, channels = keep // 2000, keep // 20 % 100, keep % 20
        late = bep.SpikeData((steps + 0.5) * 5e-4, channels, trials, 5, len(source))
        data[source] = late.until(model.duration)
    return model, hidden, data


def run(monkeypatch, *network):
    """Run the same network in each way: inputs ahead or not, gradients spike by spike or not."""
    found = []
    monkeypatch.setattr(limits, "FAN_IN", 0)
    for least, most in ((0, 0), (10**9, 0), (10**9, 10**9)):
        monkeypatch.setattr(limits, "PRECOMPUTED_SYNAPSES", least)
        monkeypatch.setattr(limits, "PER_SPIKE_SYNAPSES", most)
        model, hidden, data = build(*network)
        result, gradients = model.run(data), model.gradient()
        precomputed = sum(p.precomputed for p in model.runtime.module.pathways)
        assert precomputed == (3 if least == 0 else 0)
        per_spike = [p for p in model.runtime.module.pathways if p.layout == PerSpike()]
        assert len(per_spike) == (5 if most else 0)
        keys = model.parameters.keys
        grads = [np.asarray(gradients.raw(key)) for key in keys]
        grads += [np.asarray(grad) for grad in gradients.inputs.values()]
        found.append((result, result.spikes[hidden], grads))
    return found


@pytest.mark.parametrize("record", [0, 10**12])
def test_long_records_are_not_kept(record, monkeypatch):
    """Where a record of the whole trial would take too much memory, no layout needs one."""
    monkeypatch.setattr(limits, "RECORD", record)
    for name in ("PRECOMPUTED_SYNAPSES", "FAN_IN", "PER_SPIKE_SYNAPSES"):
        monkeypatch.setattr(limits, name, 0)
    model, _, data = build("linear", 40, 1.0)
    model.run(data)
    pathways = model.runtime.module.pathways
    assert any(p.precomputed for p in pathways) == (record > 0)
    assert all(p.layout == PerSpike() for p in pathways) == (record == 0)


@pytest.mark.parametrize(
    ("kind", "n_hidden", "p"),
    [("linear", 40, 0.3), ("quadratic", 21, 1.0)],
)
def test_layouts_give_the_same(kind, n_hidden, p, monkeypatch):
    (plain, spikes, expected), *others = run(monkeypatch, kind, n_hidden, p)
    assert len(spikes) > 50
    for other, found, grads in others:
        np.testing.assert_array_equal(spikes.t, found.t)
        np.testing.assert_array_equal(spikes.i, found.i)
        # the same arrivals, summed in another order
        np.testing.assert_allclose(other.losses, plain.losses, rtol=1e-12)
        for got, wanted in zip(grads, expected, strict=True):
            assert np.abs(wanted).max() > 0
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-10 * np.abs(wanted).max())
