"""From Brian2 to NIR and back: the same spikes, readouts and gradients."""

import numpy as np
import pytest
from brian2 import ms
from nir_graph.networks import currents, delta, model, raster, steps_of
from nir_graph.simulator import simulate

import brian_eventprop as bep

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.filterwarnings("ignore")

MADE = {"delta": delta, "currents": currents}


def again(network, train, **options):
    """Return the model of imported objects."""
    cells, out = network["cells"], network["out"]
    readouts = [bep.Integral(out, "100*v"), bep.SpikeTimes(cells, "100*t/second")]
    return model(network.objects, train, readouts, **options)


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
@pytest.mark.parametrize(("method", "r"), [("exact", None), ("euler", 1)])
def test_the_same_spikes_and_readouts(made, method, r, tmp_path):
    first, data = made(method)
    nir.write(tmp_path / "graph.nir", bep.nir.export(first, r=r, dt=0.3 * ms))
    network = bep.nir.read(tmp_path / "graph.nir")
    second = again(network, [network["a"].w])
    results = [m.run(data) for m in (first, second)]
    fired = [steps_of(r, g) for r, g in zip(results, cells(first, network), strict=True)]
    assert fired[0].sum() > 10
    np.testing.assert_array_equal(*fired)
    for one, other in zip(*(r.readout for r in results), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-10)


def cells(first, network):
    return next(g for g in first.objects if g.name == "cells"), network["cells"]


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_the_definitions_of_nir_give_the_same_spikes_and_potentials(made):
    """A simulator of NIR's equations, which knows nothing of Brian2."""
    first, data = made("euler")
    result = first.run(data)
    found, trace = simulate(bep.nir.export(first), {"source": raster(data)}, 1e-4)
    name = next(n for n in found if n.endswith("cells"))
    expected = steps_of(result, next(g for g in first.objects if g.name == "cells"))
    assert expected.sum() > 10
    np.testing.assert_array_equal(found[name], expected)
    integral = trace["out"][:-1].sum(0) * 0.01  # of the values at which steps begin
    np.testing.assert_allclose(integral, result.readout[0][0], rtol=1e-9)


def test_gradients_of_weights_and_delays_are_the_same():
    first, data = currents()
    network = bep.nir.read(bep.nir.export(first))
    second = again(network, [network["a"].w, network["a"].delay])
    cotangents = [np.ones((1, 2)), np.ones((1, 4))]
    found = []
    for m, name in ((first, "a"), (second, network["a"].name)):
        m.run(data)
        found.append(m.gradient(of=cotangents))
        synapses = next(obj for obj in m.objects if obj.name == name)
        order = np.lexsort((synapses.i[:], synapses.j[:]))
        found[-1] = [found[-1].raw(k)[order] for k in (f"{name}.w", f"{name}.delay")]
    (weights, delays), (weights_again, delays_again) = found
    # w of the first is in units of 10*Mohm*nA = 10*mV
    np.testing.assert_allclose(weights_again * 0.01, weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(delays_again, delays, rtol=1e-9, atol=1e-9)
    assert np.abs(weights).max() > 0.01 and np.abs(delays).max() > 0.01
