"""Trained values in files: what comes back, where it goes, and what does not fit."""

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    ms,
    mV,
    nS,
    run,
    start_scope,
    volt,
)

import brian_eventprop as bep


def network(size=3, unit="volt", weight="w", delay=None, order=None, names=("s", "neurons")):
    """Some neurons with weights, delays, initial values and an external time constant."""
    start_scope()
    inputs = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="inputs")
    neurons = NeuronGroup(
        size,
        f"dv/dt = -v/tau : {unit}",
        method="exact",
        name=names[1],
    )
    s = Synapses(
        inputs, neurons, f"{weight} : {unit}", on_pre=f"v_post += {weight}", name=names[0],
        delay=delay,
    )  # fmt: skip
    i, j = np.divmod(np.arange(2 * size) if order is None else order, size)
    s.connect(i=i, j=j)
    return [inputs, neurons, s]


def made(objects, more=(), axonal=False, **options):
    """A model that trains the weights, the delays and more of them."""
    _, neurons, s = objects
    weight = next(name for name in ("w", "g") if name in s.equations)
    train = [f"{s.name}.{weight}", bep.Axonal(s.delay) if axonal else s.delay, *more]
    unit = "v" if neurons.v.dim.is_dimensionless else "v/volt"
    loss = bep.Sum(bep.Final(neurons, unit))
    namespace = {"tau": 5 * ms}
    return bep.EventPropModel(
        objects, train=train, loss=loss, duration=9 * ms, namespace=namespace, **options
    )


def filled(model, seed=1):
    """The model with values that no other has."""
    random = np.random.default_rng(seed)
    for key in model.parameters.keys:
        model.parameters.set_raw(key, random.uniform(1e-3, 4e-3, model.parameters.raw(key).shape))
    return model


def values(model):
    return {key: model.parameters.raw(key).copy() for key in model.parameters.keys}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=str(key))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trained.h5"


def test_a_model_gets_back_every_bit(path):
    more = ["tau", "neurons.v"]
    expected = filled(made(network(), more))
    expected.save(path)
    found = made(network(), more)
    returned = bep.load_parameters(path, found)
    assert_same(values(found), values(expected))
    assert list(returned) == ["neurons.v", "s.delay", "s.w", "tau"]
    assert returned["s.delay"].dim is ms.dim and returned["s.w"].dim is volt.dim
    assert expected.run().loss == found.run().loss


def test_the_values_alone(path):
    model = filled(made(network()))
    model.save(path)
    found = bep.load_parameters(str(path))
    np.testing.assert_array_equal(found["s.w"] / volt, model.parameters.raw("s.w"))
    found["s.w"][:] = 0 * mV  # a copy
    assert np.all(bep.load_parameters(path)["s.w"] > 0 * mV)


@pytest.mark.parametrize("kind", ["list", "network"])
def test_objects_get_what_write_back_gives(path, kind):
    trained = network()
    model = filled(made(trained, ["neurons.v"]))
    model.save(path)
    model.write_back()
    objects = network()
    bep.load_parameters(path, objects if kind == "list" else Network(*objects))
    for name in ("w", "delay"):
        assert np.all(getattr(objects[2], name)[:] == getattr(trained[2], name)[:])
    assert np.all(objects[1].v[:] == trained[1].v[:]) and np.all(objects[1].v[:] > 0 * mV)


def test_delays_of_axons(path):
    model = filled(made(network(), axonal=True))
    model.save(path)
    again = made(network(), axonal=True)
    bep.load_parameters(path, again)
    assert_same(values(again), values(model))
    objects = network()
    bep.load_parameters(path, objects)
    np.testing.assert_array_equal(
        objects[2].delay[:] / ms, model.parameters.raw("s.delay")[objects[2].i[:]] * 1e3
    )
    with pytest.raises(ValueError, match="'s.delay' are one for each sending neuron"):
        bep.load_parameters(path, made(network()))


def test_a_delay_that_all_share(path):
    model = filled(made(network(delay=2 * ms)))
    model.save(path)
    objects = network(delay=1 * ms)
    bep.load_parameters(path, objects)
    assert objects[2].delay[:] == model.parameters["s.delay"]
    with pytest.raises(ValueError, match=r"s.delay' has the shape \(6,\) here, and \(1,\)"):
        bep.load_parameters(path, network())


SIZE = r"'s(_pre)?.(w|delay)' has the shape \(8,\) here, and \(6,\) in the file"


@pytest.mark.parametrize(
    "other, message, even_if_not_strict",
    [
        ({"size": 4}, SIZE, True),
        ({"unit": "1"}, "'s.w' is in a plain number here, and in volt in the file", True),
        ({"weight": "g"}, "it holds s.w, and the (model trains|network has)", False),
        ({"names": ("t", "neurons")}, r"it holds s.*name='s_in'", True),
        ({"order": [0, 1, 2, 3, 5, 4]}, r"of 's' connect other neurons here \(6 synapses", True),
    ],
)
def test_what_does_not_fit_is_refused(path, other, message, even_if_not_strict):
    filled(made(network())).save(path)
    model = made(network(**other))
    before = values(model)
    for strict in (True, False) if even_if_not_strict else (True,):
        for into in (model, model.objects):
            with pytest.raises(ValueError, match=message):
                bep.load_parameters(path, into, strict=strict)
    assert_same(values(model), before)
    assert np.all(model.objects[2].delay[:] == 0 * ms)


def test_more_and_fewer_variables(path):
    filled(made(network(), ["neurons.v"])).save(path)
    fewer = made(network())
    with pytest.raises(ValueError, match="it holds neurons.v, and the model trains s.w, s.del"):
        bep.load_parameters(path, fewer)
    bep.load_parameters(path, fewer, strict=False)
    assert np.all(fewer.parameters.raw("s.w") > 0)
    more = made(network(), ["neurons.v", "tau"])
    with pytest.raises(ValueError, match="it lacks tau.*strict=False"):
        bep.load_parameters(path, more)
    bep.load_parameters(path, more, strict=False)
    assert more.parameters.raw("tau") == 5e-3 and np.all(more.parameters.raw("neurons.v") > 0)


def test_a_constant_belongs_to_no_object(path):
    filled(made(network(), ["tau"])).save(path)
    objects = network()
    with pytest.raises(ValueError, match=r"external constant.*load_parameters\(path\)\['tau'\]"):
        bep.load_parameters(path, objects)
    bep.load_parameters(path, objects, strict=False)
    assert np.all(objects[2].w[:] > 0 * mV)


def rewired(order):
    model = filled(made(network()))
    model.reconnect("s", *np.divmod(np.array(order), 3))
    return model


def test_rewired_synapses_come_back(path):
    model = rewired([0, 0, 2, 3, 5, 4])
    model.save(path)
    again, objects = made(network()), network()
    bep.load_parameters(path, again)
    bep.load_parameters(path, objects)
    for found in (again.connections("s"), (objects[2].i[:], objects[2].j[:])):
        np.testing.assert_array_equal(found, model.connections("s"))
    assert again.run().loss == model.run().loss
    assert np.all(objects[2].w[:] / volt == model.parameters.raw("s.w"))
    run(0 * ms)
    filled(made(network()), 2).save(path)  # and back again
    bep.load_parameters(path, model)
    np.testing.assert_array_equal(model.connections("s"), made(network()).connections("s"))


def test_synapses_on_part_of_a_group(path):
    start_scope()
    inputs = NeuronGroup(4, "dv/dt = 1/ms : 1", threshold="v > i", method="euler", name="inputs")
    neurons = NeuronGroup(5, "dv/dt = -v/(5*ms) : 1", method="exact", name="neurons")
    s = Synapses(inputs[2:], neurons[1:4], "w : 1", on_pre="v_post += w", name="s")
    s.connect()
    model = filled(made([inputs, neurons, s]))
    model.reconnect("s", model.connections("s")[0][::-1], model.connections("s")[1])
    model.save(path)
    bep.load_parameters(path, [inputs, neurons, s])
    np.testing.assert_array_equal((s.i[:], s.j[:]), model.connections("s"))
    assert np.all(s.w[:] == model.parameters.raw("s.w"))


def test_synapses_that_get_no_spikes(path):
    start_scope()
    group = NeuronGroup(
        3, "dv/dt = (S - v)/tau : 1\nS : 1", method="euler", name="group",
        namespace={"tau": 5 * ms},
    )  # fmt: skip
    group.v = [1, 2, 3]
    gaps = Synapses(group, group, "w : 1\nS_post = w*(v_pre - v_post) : 1 (summed)", name="gaps")
    gaps.connect(i=[0, 1, 2], j=[1, 2, 0])
    loss = bep.Sum(bep.Final(group, "v"))
    model = bep.EventPropModel([group, gaps], train=[gaps.w, "tau"], loss=loss, duration=1 * ms)
    filled(model).save(path)
    expected = values(model)
    filled(model, 2)
    bep.load_parameters(path, model)
    assert_same(values(model), expected)
    bep.load_parameters(path, [group, gaps])  # the namespace of a group belongs to it
    np.testing.assert_array_equal(gaps.w[:], model.parameters.raw("gaps.w"))
    assert group.namespace["tau"] == model.parameters["tau"][0]


def test_timed_arrays_keep_their_shape(path):
    start_scope()
    current = TimedArray(np.arange(6.0).reshape(3, 2) * mV, dt=1 * ms)
    group = NeuronGroup(2, "dv/dt = (I(t, i) - v)/(5*ms) : volt", method="exact", name="group")
    namespace, loss = {"I": current}, bep.Sum(bep.Final(group, "v/mV"))
    options = {"loss": loss, "duration": 3 * ms, "namespace": namespace}
    model = bep.EventPropModel([group], train=[current], **options)
    filled(model).save(path)
    assert bep.load_parameters(path)["I"].shape == (3, 2)
    expected = values(model)
    filled(model, 2)
    bep.load_parameters(path, model)
    assert_same(values(model), expected)
    namespace["I"] = TimedArray(np.arange(6.0).reshape(2, 3) * mV, dt=1 * ms)
    other = bep.EventPropModel([group], train=["I"], **options)
    with pytest.raises(ValueError, match=r"'I' has the shape \(2, 3\) here, and \(3, 2\)"):
        bep.load_parameters(path, other)


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign", "missing", "spikes"])
def test_damaged_files(path, damage):
    model = filled(made(network()))
    model.save(path)
    content = path.read_bytes()
    before = values(model)
    if damage == "cut":
        path.write_bytes(content[:-100])
    elif damage == "changed":
        path.write_bytes(content[:2000] + b"?" + content[2001:])
    elif damage == "foreign":
        path.write_text("w = 3")
    elif damage == "missing":
        path.unlink()
    else:
        bep.SpikeData([], [], [], 1, 1).save(path)
    messages = {
        "cut": "cut off", "changed": "damaged", "foreign": "not a parameters",
        "missing": "no file", "spikes": "it holds spikes",
    }  # fmt: skip
    with pytest.raises((ValueError, FileNotFoundError), match=messages[damage]):
        bep.load_parameters(path, model)
    assert_same(values(model), before)


def test_a_save_that_fails_leaves_the_old_file(path, monkeypatch):
    model = filled(made(network()))
    model.save(path)
    old = path.read_bytes()
    monkeypatch.setattr(type(model), "wiring", lambda self: {"s": None})
    monkeypatch.setattr(type(model), "connections", lambda self, name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.save(path)
    assert path.read_bytes() == old
    with pytest.raises(FileNotFoundError, match="no folder"):
        model.save(path.parent / "none" / "x.h5")


def test_units_that_have_no_name(path):
    start_scope()
    group = NeuronGroup(
        2, "dv/dt = (g*a - v)/(5*ms) : 1\ng : siemens**0.5\na = 1*siemens**-0.5 : siemens**-0.5",
        method="exact", name="group",
    )  # fmt: skip
    group.g = 2 * nS**0.5
    model = bep.EventPropModel(
        [group], train=[group.g], loss=bep.Sum(bep.Final(group, "v")), duration=1 * ms
    )
    model.save(path)
    assert bep.load_parameters(path, model)["group.g"].dim is (nS**0.5).dim
