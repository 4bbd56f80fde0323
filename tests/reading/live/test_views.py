"""Which key a view, a name or a key stands for, and values written back under it."""

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV, second

from brian_eventprop.reading import key_of, read_network, write_values


@pytest.fixture
def net():
    """Objects by name, and the network as read."""
    inp = SpikeGeneratorGroup(3, [0, 2, 1], [2, 1, 1] * ms, name="inp")
    G = NeuronGroup(
        4,
        """dv/dt = (b + k - v)/tau : volt
           k = 2*b : volt
           b : volt
           u : volt (shared)
           n : integer
           twice = 2*v : volt""",
        threshold="v > vt*(1 + i)",
        reset="v = 0*mV",
        method="euler",
        name="G",
        namespace={"vt": 10 * mV},
    )
    G.v, G.b = "i*mV", "1*mV"
    s = Synapses(inp, G, "w : volt", on_pre={"pre": "v += w", "late": "v += w*c"}, name="s",
                 delay={"late": 2 * ms})  # fmt: skip
    s.connect()
    s.w = "i*mV + j*mV"
    s.delay = "j*ms"
    objects = {"inp": inp, "G": G, "s": s}
    names = {"tau": 10 * ms, "c": 0.5}
    return objects, names, *read_network(list(objects.values()), [], names)


def test_keys(net):
    objects, _, spec, values = net
    G, s = objects["G"], objects["s"]
    expected = {
        ("G", "v"): (G.v, G.v_, ("G", "v"), "G.v"),
        ("G", "b"): (G.b, G.b_),
        ("G", "u"): (G.u,),
        ("s", "w"): (s.w, s.w_, s.pre.w),
        ("s_pre", "delay"): (s.delay, s.delay_, s.pre.delay),
        ("s_late", "delay"): (s.late.delay,),
        ("", "tau"): ("tau",),
        ("G", "vt"): ("vt", "G.vt"),
        ("", "c"): ("c",),
    }
    for key, items in expected.items():
        for item in items:
            assert key_of(item, spec, values) == key


def test_no_keys(net):
    objects, _, spec, values = net
    G, s = objects["G"], objects["s"]
    wrong = {
        "subexpression": G.k,
        "index and cannot": G.i,
        "G.v": G[1:3].v,
        "Name it there, G.v": s.v_post,
        "integers": G.n,
        "No external constant 'nonsense'": "nonsense",
        "no variable of the network": ("G", "nonsense"),
        "exists in: G": ("H", "v"),
    }
    for message, item in wrong.items():
        with pytest.raises(ValueError, match=message):
            key_of(item, spec, values)
    with pytest.raises(TypeError, match="names no variable"):
        key_of(G.v[:], spec, values)
    other = NeuronGroup(1, "v : 1", name="other")
    with pytest.raises(ValueError, match=r"other\.v"):
        key_of(other.v, spec, values)


def test_values(net):
    _, _, spec, values = net
    np.testing.assert_array_equal(values.values["G", "v"], np.arange(4) * 1e-3)
    np.testing.assert_array_equal(values.values["G", "i"], np.arange(4))
    assert values.values["s_pre", "delay"].shape == (12,)
    assert values.values["s_late", "delay"] == 0.002
    assert values.values["", "tau"] == 0.01
    assert values.dimensions["s_pre", "delay"] is second.dim
    assert values.dimensions["s", "w"] is mV.dim
    indices, times = values.spikes["inp"]
    assert indices.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(times, [1e-3, 1e-3, 2e-3])
    assert all(v.dtype == np.float64 and v.ndim == 1 for v in values.values.values())
    late, pre = spec.pathways
    assert (late.name, pre.name) == ("s_late", "s_pre")


def test_round_trip(net):
    objects, names, spec, values = net
    G, s = objects["G"], objects["s"]
    new = {
        key_of(item, spec, values): None
        for item in (G.v, G.b, G.u, s.w, s.delay, s.late.delay, "tau", "vt", "c")
    }
    rng = np.random.default_rng(0)
    new = {key: rng.random(len(values.values[key])) for key in new}
    write_values(new, spec, list(objects.values()))
    np.testing.assert_array_equal(s.w[:] / mV, new["s", "w"] / 1e-3)
    np.testing.assert_array_equal(s.delay_[:], new["s_pre", "delay"])
    assert G.namespace["tau"] == new["", "tau"][0] * second
    assert s.namespace["c"] == new["", "c"][0]
    assert "tau" not in s.namespace
    _, again = read_network(list(objects.values()), [], names)
    moved = {("", "tau"): ("G", "tau"), ("", "c"): ("s", "c")}
    for key, array in new.items():
        np.testing.assert_array_equal(again.values[moved.get(key, key)], array)


def test_wrong_writes(net):
    objects, _, spec, _ = net
    objects = list(objects.values())
    wrong = {
        "one value, not 2": {("", "tau"): [1, 2]},
        "has 4 value": {("G", "v"): [1.0]},
        "given to Synapses with delay": {("s_late", "delay"): np.ones(12)},
        "negative": {("s_pre", "delay"): -np.ones(12)},
        "not in the network": {("H", "v"): [1.0]},
        "No object of the network uses": {("", "nonsense"): [1.0]},
        "read-only": {("G", "i"): np.ones(4)},
    }
    for message, values in wrong.items():
        with pytest.raises(ValueError, match=message):
            write_values(values, spec, objects)


def test_one_namespace_for_two_groups():
    shared = {"tau": 10 * ms}
    groups = [
        NeuronGroup(1, "dv/dt = -v/tau : 1", method="euler", namespace=shared, name=name)
        for name in "AB"
    ]
    spec, values = read_network(groups, [], {})
    assert {("A", "tau"), ("B", "tau")} <= set(values.values)
    with pytest.raises(ValueError, match=r"'A\.tau', 'B\.tau'"):
        key_of("tau", spec, values)
    write_values({("A", "tau"): [0.02]}, spec, groups)
    assert groups[1].namespace["tau"] == 10 * ms == shared["tau"]
