"""Training with the parameters on the device: the steps of the CPU, and little that moves."""

import numpy as np
import pytest
from brian2 import Quantity, ms, start_scope
from helpers.backends import model_of
from helpers.cuda.emulator import Emulator
from helpers.networks import random as random_networks
from helpers.networks import small as small_networks

import brian_eventprop as bep
from brian_eventprop.runtime.cuda.values import DeviceValues
from brian_eventprop.training.optimizers import Optimizer

SIZES = {"n_inputs": 6, "n_hidden": 10, "n_steps": 50, "trials": 6}
RATES = {"w": 2e-3, "delay": 0.5e-3}


def network(backend, loss=None, **options):
    """A small network, its training data and a learning rate for each variable."""
    start_scope()
    model, spikes = small_networks.all_to_all(backend=backend, loss=loss, **SIZES | options)
    rates = {key: RATES[key[1]] for key in model.parameters.keys}
    return model, spikes, with_units(model, rates)


def with_units(model, rates):
    """Learning rates in the unit of their variables."""
    return {key: Quantity(r, dim=model.parameters.dimension(key)) for key, r in rates.items()}


def values(model):
    """Copies of all parameters."""
    return {key: model.parameters.raw(key).copy() for key in model.parameters.keys}


def assert_close(found, expected, tolerance):
    """Relative to the largest entry."""
    for key, array in expected.items():
        atol = tolerance * np.abs(array).max()
        np.testing.assert_allclose(found[key], array, rtol=0, atol=atol, err_msg=str(key))


def regularised(hidden, output):
    """A loss whose second term wants other firing rates."""
    rates = bep.FiringRate(hidden, lower=2, upper=2, strength=0.1)
    return bep.Sum(bep.Integral(output, "v**2")) + rates


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_training_is_that_of_the_cpu(optimizer, emulator):
    made, found = emulator(), []
    for backend in ("cuda", "cpu"):
        model, spikes, rates = network(backend, regularised)
        key = next(k for k in rates if k == ("s_in", "w"))
        rates[key] = np.linspace(0, 5e-3, 60)  # a rate for each synapse
        bounds = {("s_rec", "w"): (-0.1, 0.1), ("s_rec_pre", "delay"): (1 * ms, None)}
        kind = bep.Adam if optimizer == "adam" else bep.SGD
        more = {} if optimizer == "adam" else {"momentum": 0.5}
        trainer = bep.Trainer(model, kind(rates, bounds=bounds, **more))
        history = trainer.fit(spikes, epochs=3, batch_size=4, progress=False)
        found.append((values(model), [row["loss"] for row in history.rows]))
    assert optimizer in made[-1].launches and "count" in made[-1].launches
    (device, losses), (host, expected) = found
    # each gradient differs by its order of summation, 1e-14; Adam divides by its size
    assert_close(device, host, 1e-9)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert np.abs(host["s_rec", "w"]).max() == 0.1  # a bound
    start, _, _ = network("cpu", regularised)
    assert all(np.any(host[key] != start.parameters.raw(key)) for key in host)


def test_clipped_gradients_and_decay_are_those_of_the_cpu(emulator):
    made, found = emulator(), []
    for backend in ("cuda", "cpu"):
        model, spikes, rates = network(backend)
        units = {key: 1 * ms for key in rates if key[1] == "delay"}
        cut = bep.Adam(rates, clip=bep.ClipNorm(1e-3, per=units))
        decaying = bep.Adam(rates, weight_decay={("s_in", "w"): 10.0, ("s_rec", "w"): 5.0})
        for optimizer in (cut, decaying):
            trainer = bep.Trainer(model, optimizer)
            trainer.fit(spikes, epochs=2, batch_size=6, progress=False)
        found.append(values(model) | {"norm": np.array(cut.gradient_norm)})
    assert "adam" in made[-1].launches  # of what does not decay
    assert found[1]["norm"] > 1e-3
    assert_close(*found, 1e-9)


@pytest.mark.parametrize("kind", [bep.Adam, bep.SGD])
def test_a_step_has_the_bits_of_the_cpu(kind, emulator):
    emulator(seed=3)
    model, spikes, rates = network("cuda")
    twin, _, _ = network("cpu")
    optimizers = [kind(rates), kind(rates)]
    for optimizer, owner in zip(optimizers, (model, twin), strict=True):
        optimizer.bind(owner)
    for _ in range(3):
        model.run(spikes)
        gradients = model.gradient_arrays()
        same = {key: gradients[key].copy() for key in model.parameters.keys}
        optimizers[0].step(gradients)
        optimizers[1].step(same)
        for key in model.parameters.keys:
            np.testing.assert_array_equal(model.parameters.raw(key), twin.parameters.raw(key))
    device, host = (optimizer.state() for optimizer in optimizers)
    for name, array in host.items():
        np.testing.assert_array_equal(device[name], array, err_msg=name)


def test_only_data_goes_down_and_only_what_the_loss_sees_comes_up(emulator):
    made = emulator()
    sizes = {"n_inputs": 40, "n_hidden": 40, "trials": 2}
    model, spikes, rates = network("cuda", regularised, **sizes)
    moved = []

    class Watch(bep.Callback):
        def on_batch_end(self, trainer, batch, result):
            moved.append((made[-1].down, made[-1].up))

    bep.Trainer(model, bep.Adam(rates), [Watch()]).fit(
        spikes, epochs=4, batch_size=2, shuffle=False, progress=False
    )
    down, up = np.diff(moved[1:], axis=0).max(axis=0)
    synapses = sum(array.nbytes for array in values(model).values())
    data = 12 * len(spikes.times) + 2 * 4 * (40 + SIZES["n_steps"] + 2)
    seen = 2 * (3 + 40) * 8  # readouts and spike counts
    assert synapses > 50_000
    # some numbers beside: lengths, limits of delays, marks of gradients that are not finite
    assert data < down < data + seen + 700
    assert seen < up < seen + 2 * 40 * 8 + 500


def test_what_python_changes_is_what_the_device_uses(emulator):
    emulator()
    (device, spikes, rates), (host, _, _) = network("cuda"), network("cpu")
    key = ("s_in", "w")
    for model in (device, host):
        optimizer = bep.Adam(rates)
        optimizer.bind(model)
        for change in ("whole", "in place", "delay"):
            model.run(spikes)
            optimizer.step(model.gradient_arrays())
            if change == "whole":
                model.parameters.set_raw(key, 1.1 * model.parameters.raw(key))
            elif change == "in place":
                model.parameters.raw(key)[3] = 4.0
            else:
                model.parameters.raw(("s_rec_pre", "delay"))[:] = 0.02
        optimizer.forget(key, [0, 1])
        model.run(spikes)
        optimizer.step(model.gradient_arrays())
    assert_close(values(device), values(host), 1e-9)
    device.write_back()
    np.testing.assert_array_equal(
        next(o for o in device.objects if o.name == "s_in").w[:], device.parameters.raw(key)
    )


def test_results_outlive_the_next_run(emulator):
    emulator()
    model, spikes, _ = network("cuda")
    first = model.run(spikes)
    early = model.gradient()
    lazily = model.gradient_arrays()
    model.parameters.set_raw(("s_in", "w"), 2 * model.parameters.raw(("s_in", "w")))
    second = model.run(spikes)
    model.gradient_arrays()
    host, _, _ = network("cpu")
    expected = host.run(spikes)
    np.testing.assert_array_equal(first.spikes["hidden"].i, expected.spikes["hidden"].i)
    assert len(second.spikes["hidden"]) > len(first.spikes["hidden"]) > 10
    for key in model.parameters.keys:
        np.testing.assert_array_equal(lazily[key], early.raw(key))
    counts = [r.spikes.counts("hidden", 10) for r in (first, expected)]
    np.testing.assert_array_equal(*counts)
    later = second.spikes.counts("hidden", 10)
    np.testing.assert_array_equal(later, np.bincount(second.spikes["hidden"].i, minlength=10))


def test_a_gradient_that_is_not_finite_changes_nothing(emulator):
    emulator()
    model, spikes, rates = network("cuda")
    trainer = bep.Trainer(model, bep.Adam(rates))
    trainer.fit(spikes, epochs=1, batch_size=6, progress=False)
    before = values(model)
    vjp = model.runtime.held.vjp

    def spoiled(*arguments):
        gradients = vjp(*arguments)
        gradients["s_rec", "w"].array[7] = np.nan
        return gradients

    model.runtime.held.vjp = spoiled
    with pytest.raises(FloatingPointError, match=r"gradient of s_rec\.w .*1 of 100 .*\(7,\)"):
        trainer.fit(spikes, epochs=1, batch_size=6, progress=False)
    for key, array in values(model).items():
        np.testing.assert_array_equal(array, before[key])


def test_a_rule_of_ones_own_goes_by_the_host(emulator):
    class Slower(bep.Adam):
        def _change(self, key, gradient):
            return 0.5 * super()._change(key, gradient)

    class Signs(Optimizer):
        def _change(self, key, gradient):
            return np.sign(gradient)

    made = emulator()
    for kind in (Slower, Signs):
        found = []
        for backend in ("cuda", "cpu"):
            model, spikes, rates = network(backend)
            bep.Trainer(model, kind(rates)).fit(spikes, 2, 6, progress=False)
            found.append(values(model))
        assert_close(*found, 1e-9)
        assert "adam" not in made[-1].launches


def test_rewiring_while_training(emulator):
    emulator()
    found = []
    for backend in ("cuda", "cpu"):
        model, spikes, rates = network(backend)
        rec = next(o for o in model.objects if o.name == "s_rec")
        rewiring = bep.DeepR(rec.w, rec.delay, range=(0 * ms, 9 * ms), l1=5.0)
        trainer = bep.Trainer(model, bep.Adam(rates), [rewiring])
        rows = trainer.fit(spikes, epochs=2, batch_size=3, progress=False).rows
        found.append(values(model) | {"ends": np.stack(model.connections("s_rec"))})
        assert rows[-1]["rewired(s_rec)"] >= 0
    np.testing.assert_array_equal(found[0].pop("ends"), found[1].pop("ends"))
    assert_close(*found, 1e-9)


@pytest.mark.parametrize("wiring", ["all", pytest.param("some", marks=pytest.mark.slow)])
def test_axonal_delays(wiring, emulator):
    made, found = emulator(), []
    for backend in ("cuda", "cpu"):
        start_scope()
        some = None if wiring == "all" else 60
        model, spikes = small_networks.all_to_all(
            backend=backend, axonal=True, synapses=some, **SIZES
        )
        rates = with_units(model, {key: RATES[key[1]] for key in model.parameters.keys})
        trainer = bep.Trainer(model, bep.Adam(rates))
        trainer.fit(spikes, epochs=2, batch_size=3, progress=False)
        found.append(values(model))
        if backend == "cuda":
            assert set(model.runtime.held.keys) == set(model.parameters.keys)
    assert "sum_rows" in made[-1].launches
    assert len(found[0]["s_rec_pre", "delay"]) == SIZES["n_hidden"]
    assert_close(*found, 1e-9)


@pytest.mark.parametrize("kind", ["two_populations", "adex", "delta_refractory", "alif"])
def test_weights_within_expressions(kind, emulator):
    """``-w``, ``w*mV`` and ``0.3*w`` are computed on the device; time constants on the host."""
    made, found = emulator(threads=32), []
    for backend in ("cuda", "cpu"):
        start_scope()
        net = random_networks.build(kind, seed=4, size=0.3, trials=2)
        model = model_of(net, backend, 25 * ms)
        spikes = net.batch(25 * ms)
        rates = {key: 1e-3 * (1 + np.abs(array).max()) for key, array in values(model).items()}
        trainer = bep.Trainer(model, bep.Adam(with_units(model, rates)))
        trainer.fit(spikes, epochs=2, batch_size=2, shuffle=False, progress=False)
        found.append(values(model))
    assert_close(*found, 1e-7)
    held = model_of(net, "cuda", 25 * ms).runtime.held
    assert held.keys and "adam" in made[-2].launches
    assert all(key[1] in ("w", "delay") for key in held.keys)


def test_the_next_batch_is_copied_while_this_one_runs(emulator):
    made = emulator()
    model, spikes, rates = network("cuda")
    bep.Trainer(model, bep.Adam(rates)).fit(spikes, epochs=2, batch_size=2, progress=False)
    log = made[-1].launches
    kernels = ("forward", "backward", "not_finite", "adam", "copy", "wait")
    order = [k for k in log if k in kernels]
    order = [k for n, k in enumerate(order) if n == 0 or order[n - 1] != k]
    step = ["wait", "forward", "backward", "copy", "not_finite", "adam"]
    last = [k for k in step if k != "copy"]
    # the first batch of an epoch has nobody to copy it ahead
    assert order == 2 * ["copy", *step, *step, *last]
    for at, name in enumerate(log):
        if name != "copy" or "forward" not in log[:at]:
            continue
        # the buffer is free once the batch before the one at work is through
        what, mark = log[at - 1]
        assert what == "copies wait for"
        assert log[mark] == "wait" and "wait" not in log[mark + 1 : at]


def test_a_batch_that_was_not_the_next_one(emulator):
    emulator()
    model, spikes, _ = network("cuda")
    first, second = spikes[[0, 1]], spikes[[2, 3, 4]]
    expected = [model.run(part).losses for part in (first, second)]
    for _ in range(2):
        model.look_ahead(second)
        np.testing.assert_array_equal(model.run(first).losses, expected[0])
        model.look_ahead(first)
        model.look_ahead(second)
        np.testing.assert_array_equal(model.run(second).losses, expected[1])


def test_no_bit_of_a_training_depends_on_the_order_of_the_threads(emulator):
    found = []
    for seed in (None, 1, 2):
        made = emulator(seed=seed, threads=64)
        model, spikes, rates = network("cuda", regularised)
        bep.Trainer(model, bep.Adam(rates)).fit(spikes, epochs=1, batch_size=3, progress=False)
        found.append(values(model))
    new = {"pack_s_rec_pre", "vjp_s_rec_pre", "pack_steps", "not_finite", "count", "adam"}
    assert new < {k for k in made[-1].launches if isinstance(k, str)}
    for other in found[1:]:
        for key, array in found[0].items():
            np.testing.assert_array_equal(other[key], array, err_msg=str(key))


def test_a_training_that_stops_early_and_one_that_is_resumed(emulator, tmp_path):
    emulator()
    path, ends = tmp_path / "run.h5", []
    for resumed in (False, True):
        model, spikes, rates = network("cuda")
        hooks = [bep.Checkpoint(path)]
        trainer = bep.Trainer(model, bep.Adam(rates), hooks)
        options = {"batch_size": 3, "validation": spikes[[0, 1]], "progress": False}
        if resumed:
            trainer.fit(spikes, epochs=1, **options)
            model, spikes, rates = network("cuda")
            trainer = bep.Trainer(model, bep.Adam(rates), hooks)
            trainer.resume(path)
            trainer.fit(spikes, epochs=2, **options)
        else:
            trainer.fit(spikes, epochs=3, **options)
        ends.append(values(model))
    for key, array in ends[0].items():
        np.testing.assert_array_equal(ends[1][key], array, err_msg=str(key))
    best = bep.EarlyStopping(patience=1, min_delta=1e9)  # the first epoch stays the best
    model, spikes, rates = network("cuda")
    bep.Trainer(model, bep.Adam(rates), [best]).fit(spikes, 3, 3, progress=False)
    assert len(best.best_values) == 6
    host, _, _ = network("cpu")
    for key, array in best.best_values.items():
        host.parameters.set_raw(key, array)
    np.testing.assert_array_equal(model.run(spikes).losses, host.run(spikes).losses)
    for key, array in best.best_values.items():
        np.testing.assert_array_equal(model.parameters.raw(key), array)


def test_values_are_those_of_who_changed_them_last():
    device = Emulator()
    values = DeviceValues(device, {"w": np.arange(3.0)})
    assert device.down == 0
    there = values.there("w")
    values.there("w")
    assert device.down == 24  # once
    values.change("w").array[:] = 7.0
    np.testing.assert_array_equal(values["w"], 7.0)
    values["w"][1] = 8.0
    np.testing.assert_array_equal(values.there("w").array, [7, 8, 7])
    before = values["w"].copy()
    values.change("w").array[:] = 9.0
    values["w"] = before  # what the device had before
    np.testing.assert_array_equal(values.there("w").array, [7, 8, 7])
    assert values.there("w") is there
    assert values.nbytes == 24
