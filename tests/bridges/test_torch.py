"""A model as a layer of PyTorch."""

import copy
import doctest
import pickle

import numpy as np
import pytest
from brian2 import ms, second
from bridges.networks import TIMES, made, stimulated

import brian_eventprop as bep

torch = pytest.importorskip("torch")
layers = pytest.importorskip("brian_eventprop.torch")


def test_gradcheck_in_double_precision():
    """Weights, delays, a time constant and input spike times, to the last bit twice the same."""
    layer = layers.Layer(made())
    names = list(layer.names.values())
    start = [getattr(layer, name).detach().clone().requires_grad_() for name in names]
    times = torch.tensor(TIMES, requires_grad=True)

    def run(times, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (times,))

    assert sum(len(t) for t in made().run(as_data()).spikes.values()) > 5
    assert torch.autograd.gradcheck(run, (times, *start), eps=1e-6, atol=1e-5, nondet_tol=0)


def as_data():
    there = np.isfinite(TIMES)
    trials, channels = np.nonzero(there)[:2]
    return bep.SpikeData(TIMES[there] * 1e-3, channels, trials, 2, 2)


@pytest.mark.parametrize("solver", ["clock", "event"])
def test_the_same_numbers_as_the_model(solver):
    model = made(solver)
    layer = layers.Layer(made(solver))
    result = model.run(as_data())
    found = layer(torch.tensor(TIMES))
    weights = [np.random.default_rng(k).normal(size=r.shape) for k, r in enumerate(result.readout)]
    for one, other in zip(found, result.readout, strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), other)
    gradients = model.gradient(of=weights)
    sum((f * torch.tensor(w)).sum() for f, w in zip(found, weights, strict=True)).backward()
    for name, unit in layer.units.items():
        expected = gradients.raw(name) * float(unit)
        np.testing.assert_allclose(layer[name].grad.numpy(), expected, rtol=1e-14)
    assert layer.units["s.delay"] is ms or layer.units["s.delay"] == ms


def test_all_ways_to_give_spikes_are_the_same_spikes():
    data = as_data()
    layer = layers.Layer(made("clock"))
    expected = layer(data)
    raster = torch.zeros(2, 300, 2)
    steps = np.rint(data.times / 1e-4).astype(int)
    raster[data.trials, steps, data.channels] = 1
    shuffled = np.random.default_rng(0).permutation(len(data.times))
    ragged = layers.Spikes(
        torch.tensor(data.times[shuffled] * 1e3), torch.tensor(data.channels[shuffled]),
        torch.tensor(data.trials[shuffled]), 2,
    )  # fmt: skip
    ways = [
        layer({"source": data}),
        layer(ragged),
        layer(torch.tensor(TIMES)),
        layers.Layer(made("clock"), spikes="BTN")(raster),
        layers.Layer(made("clock"), spikes="TBN")(raster.transpose(0, 1)),
        layers.Layer(made("clock"), time_unit=second)(torch.tensor(TIMES * 1e-3)),
    ]
    for found in ways:
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())


def test_ragged_times_get_gradients_in_their_own_order():
    data, layer = as_data(), layers.Layer(made())
    padded = torch.tensor(TIMES, requires_grad=True)
    layer(padded)[0].sum().backward()
    shuffled = np.random.default_rng(0).permutation(len(data.times))
    times = torch.tensor(data.times[shuffled] * 1e3, requires_grad=True)
    channels, trials = (torch.tensor(a[shuffled]) for a in (data.channels, data.trials))
    layer(layers.Spikes(times, channels, trials, 2))[0].sum().backward()
    for k, (time, b, c) in enumerate(zip(times.tolist(), trials, channels, strict=True)):
        place = np.flatnonzero(np.isclose(TIMES[b, c], time))[0]
        expected = padded.grad[b, c, place].item()
        assert times.grad[k].item() == pytest.approx(expected, rel=1e-9) and expected != 0
    assert padded.grad[1, 1, 0] == 0


def test_a_backward_pass_after_another_call_runs_the_earlier_one_again():
    layer = layers.Layer(made())
    first = layer(torch.tensor(TIMES))[0].sum()
    layer(torch.tensor(TIMES[:1]))
    first.backward()
    expected = layer.s_delay.grad.clone()
    layer.zero_grad()
    layer(torch.tensor(TIMES))[0].sum().backward()
    np.testing.assert_array_equal(layer.s_delay.grad.numpy(), expected.numpy())


def test_spikes_that_the_network_holds_may_change_between_calls():
    layer = layers.Layer(made())
    before = layer()[0]
    source = next(obj for obj in layer.model.objects if obj.name == "source")
    source.set_spikes([0, 1], [2, 9] * ms)
    assert not torch.equal(layer()[0], before)


def test_an_encoder_before_and_a_head_behind_learn():
    torch.manual_seed(0)
    encoder = torch.nn.Linear(3, 2).double()
    layer = layers.Layer(made(readouts=None), bounds={"s.w": (0, 5)})
    head = torch.nn.Linear(2, 2).double()
    everything = torch.nn.ModuleList([encoder, layer, head])
    optimizer = torch.optim.Adam(everything.parameters(), lr=0.05)
    x, labels = torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 0, 1, 0, 1])
    losses = []
    for _ in range(12):
        readout, _ = layer(1 + 5 * torch.sigmoid(encoder(x)))
        loss = torch.nn.functional.cross_entropy(head(readout), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in encoder.parameters())


def test_parameters_come_back_to_their_bounds():
    layer = layers.Layer(made(), bounds={"s.w": (0, 3.2)})
    with torch.no_grad():
        layer.s_delay[0], layer.s_w[1] = -1.0, 7.0
    layer(torch.tensor(TIMES))
    assert layer.s_delay[0] == 0 and layer.s_w[1] == 3.2
    layer.write_back()
    synapses = next(obj for obj in layer.model.objects if obj.name == "s")
    assert synapses.delay[0] == 0 * ms and synapses.w[1] == 3.2


def test_state_copies_and_pickles():
    layer = layers.Layer(made())
    twin = copy.deepcopy(layer)
    with torch.no_grad():
        layer.s_w += 1
    assert twin.model is layer.model and not torch.equal(twin.s_w, layer.s_w)
    assert not torch.equal(twin(torch.tensor(TIMES))[0], layer(torch.tensor(TIMES))[0])
    twin.load_state_dict(layer.state_dict())
    assert torch.equal(twin(torch.tensor(TIMES))[0], layer(torch.tensor(TIMES))[0])
    assert set(layer.state_dict()) == set(layer.names.values())
    with pytest.raises(TypeError, match="state_dict"):
        pickle.dumps(layer)


def test_what_does_not_fit_is_refused():
    layer = layers.Layer(made())
    with pytest.raises(ValueError, match=r"shape \(trials, 2\)"):
        layer(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="not negative"):
        layer(torch.full((2, 2), -1.0))
    with pytest.raises(ValueError, match="finite"):
        layer(torch.full((2, 2), torch.nan))
    with pytest.raises(ValueError, match="BTN"):
        layers.Layer(made(), spikes="NTB")
    with pytest.raises(ValueError, match="not finite"):
        (layer(torch.tensor(TIMES))[0] * torch.nan).sum().backward()
    with pytest.raises(KeyError, match="not in train"):
        layer["o.delay"]
    value = layer(torch.tensor(TIMES))[0].sum()
    (first,) = torch.autograd.grad(value, layer.s_w, create_graph=True)
    with pytest.raises(RuntimeError):
        first.sum().backward()


def test_traces_get_gradients():
    layer = layers.Layer(stimulated(trace_gradients=["stimulus"]))
    trace = torch.tensor(np.random.default_rng(1).uniform(0.5, 1, (2, 6)), requires_grad=True)

    def run(trace):
        return layer(traces={"stimulus": trace})

    assert torch.autograd.gradcheck(run, (trace,), eps=1e-6, atol=1e-5, nondet_tol=0)


def test_traces_without_gradients_say_so():
    layer = layers.Layer(stimulated())
    trace = torch.full((2, 6), 1.0, requires_grad=True)
    with pytest.raises(RuntimeError, match="trace_gradients"):
        layer(traces={"stimulus": trace})[0].sum().backward()


def test_the_docstring_runs():
    assert doctest.testmod(layers).failed == 0
