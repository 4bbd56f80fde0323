"""``v`` and ``v_post`` in synaptic code are one variable."""

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms

import brian_eventprop as bep
from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading.synapses import aliases

#: Written and read under the same name or another one, and whether Brian2's targets disagree.
CODES = {
    "read first": ("u = w*v_post; v += u*w", False),
    "a subexpression first": ("u = y_post*w; v += u", False),
    "read after": ("v += w; u = w*v_post**2", True),
    "both written": ("v_post += w; v -= w**2/4; u = v_post", True),
    "assigned": ("v = v + w*x_post; u = v_post*x", True),
}


def network(on_pre: str, single=True):
    """Synapses onto neurons that do not spike; each neuron has one synapse, or two of them."""
    defaultclock.dt = 0.1 * ms
    source = SpikeGeneratorGroup(2, [0, 1, 0, 1], [2, 3, 8, 8] * ms, name="source")
    group = NeuronGroup(
        2, "dv/dt = (x - v)/(10*ms) : 1\nx : 1\ny = 2*v : 1", method="exact", name="group"
    )
    group.v, group.x = [0.1, 0.3], [0.4, 0.7]
    s = Synapses(source, group, "w : 1\nu : 1", on_pre=on_pre, name="s")
    s.connect(**({"j": "i"} if single else {"p": 1}))
    s.w, s.delay = "0.6 - 0.2*i", 0.5 * ms
    return [source, group, s]


def model_of(objects, **options):
    _, group, s = objects
    loss = bep.Sum(bep.Final(s, "u"), bep.Final(group, "v**2"))
    train = [s.w, group.v, group.x]
    return bep.EventPropModel(objects, train=train, loss=loss, duration=15 * ms, **options)


@pytest.mark.parametrize("name", CODES)
def test_both_names_are_one_variable(name, monkeypatch):
    code, disagree = CODES[name]
    warned = []
    monkeypatch.setattr(aliases.logger, "warn", lambda text, *_, **__: warned.append(text))
    objects = network(code)
    result = model_of(objects).run()
    assert len(warned) == disagree
    Network(objects).run(15 * ms)
    np.testing.assert_allclose(result.readout[0][0], np.asarray(objects[2].u), rtol=1e-13)
    np.testing.assert_allclose(result.readout[1][0], np.asarray(objects[1].v) ** 2, rtol=1e-13)


@pytest.mark.parametrize("name", CODES)
def test_gradient_in_exact_time(name):
    model = model_of(network(CODES[name][0]), solver="event")
    bep.check_gradient(model, entries=2, raises=True, show=False)


@pytest.mark.parametrize(
    ("on_pre", "single", "quoted"),
    [
        ("v += w; u = v_post", False, "order of arrivals"),
        ("v_post += w*v", False, "order of arrivals"),
        ("v += w; u = y_post", True, "a subexpression of it"),
        # Brian2 runs it arrival by arrival then, and reads both names before
        ("v += w; u = v_post; v = v*v", True, "Write 'v' everywhere"),
    ],
)
def test_what_is_refused(on_pre, single, quoted):
    with pytest.raises(UnsupportedError, match="Synapses 's'") as error:
        model_of(network(on_pre, single))
    assert quoted in str(error.value)


def test_synapses_with_one_arrival_for_each_neuron_keep_their_ends():
    model = model_of(network("v += w; u = v_post"))
    with pytest.raises(UnsupportedError, match="cannot be rewired"):
        model.reconnect("s", [0, 1], [1, 0])
