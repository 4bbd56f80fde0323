"""Gradients that are cut before the step, and values that decay: by number, unit and variable."""

import numpy as np
import pytest
from brian2 import DimensionMismatchError, ms, second
from helpers.fake_model import DELAY, WEIGHT, FakeModel

import brian_eventprop as bep
from brian_eventprop.datasets import yin_yang
from brian_eventprop.runtime.optimizer_steps import LONG, HostGradients
from brian_eventprop.runtime.trial_pool import TrialPool
from brian_eventprop.training.optimizers import SGD, Adam, ClipNorm, ClipValue

RATES = {WEIGHT: 1.0, DELAY: 1 * second}  # a step of SGD is the gradient as it was cut


def gradients(seed=0):
    random = np.random.default_rng(seed)
    return {WEIGHT: random.normal(size=15), DELAY: 100 * random.normal(size=5)}


def cut(clip, given):
    """What an optimiser subtracts of both variables, and the optimiser."""
    model = FakeModel()
    model.parameters.set_raw(DELAY, np.full(5, 1e6))  # far from zero, where the bound is
    start = {key: model.parameters.raw(key).copy() for key in (WEIGHT, DELAY)}
    optimizer = SGD(RATES, clip=clip)
    optimizer.bind(model)
    optimizer.step(given)
    return {key: start[key] - model.parameters.raw(key) for key in start}, optimizer


def per_millisecond(given):
    return np.concatenate([given[WEIGHT], given[DELAY] * 1e-3])


def test_the_norm_is_that_of_all_variables_in_their_unit():
    given = gradients()
    norm = np.linalg.norm(per_millisecond(given))
    found, optimizer = cut(ClipNorm(0.5, per={DELAY: 1 * ms}), given)
    assert optimizer.gradient_norm == pytest.approx(norm, rel=1e-14)
    assert np.linalg.norm(per_millisecond(found)) == pytest.approx(0.5, rel=1e-6)
    for key, gradient in given.items():
        np.testing.assert_allclose(found[key], gradient * 0.5 / norm, rtol=1e-5, atol=1e-6)


def test_a_gradient_below_the_limit_stays_as_it_is():
    given = gradients()
    norm = np.linalg.norm(per_millisecond(given))
    for clip in (ClipNorm(1.001 * norm, per={DELAY: ms}), ClipValue(100.0, per={DELAY: ms})):
        found, _ = cut(clip, given)
        expected, _ = cut(None, given)
        for key in given:
            np.testing.assert_array_equal(found[key], expected[key])


def test_the_amounts_set_the_weight_of_a_variable():
    given = gradients()
    one, half = (cut(ClipNorm(0.5, per={DELAY: u}), given)[1] for u in (1 * ms, 0.5 * ms))
    square = np.sum(given[DELAY] ** 2) * 1e-6
    assert one.gradient_norm**2 - half.gradient_norm**2 == pytest.approx(0.75 * square)
    weights = ClipNorm(0.5, per={WEIGHT: 2.0, DELAY: 1 * ms})
    more = cut(weights, given)[1].gradient_norm ** 2 - one.gradient_norm**2
    assert more == pytest.approx(3 * np.sum(given[WEIGHT] ** 2))


def test_values_are_cut_one_by_one():
    given = gradients()
    found, optimizer = cut(ClipValue(0.05, per={DELAY: 1 * ms}), given)
    assert optimizer.gradient_norm is None
    np.testing.assert_allclose(found[WEIGHT], np.clip(given[WEIGHT], -0.05, 0.05), atol=1e-12)
    np.testing.assert_allclose(found[DELAY], np.clip(given[DELAY], -50, 50), atol=1e-8)
    assert np.max(np.abs(given[DELAY])) > 50


def test_several_act_one_after_the_other():
    given = gradients()
    clips = ClipValue(0.05, per={DELAY: 1 * ms}), ClipNorm(0.1, per={DELAY: 1 * ms})
    found, optimizer = cut(clips, given)
    by_value, _ = cut(clips[0], given)
    norm = np.linalg.norm(per_millisecond(by_value))
    assert optimizer.gradient_norm == pytest.approx(norm, rel=1e-6)
    np.testing.assert_allclose(found[WEIGHT], by_value[WEIGHT] * 0.1 / norm, atol=1e-9)


def test_the_gradients_of_the_caller_are_not_changed():
    given = gradients()
    cut([ClipValue(0.01, per={DELAY: ms}), ClipNorm(0.001, per={DELAY: ms})], given)
    for key, gradient in gradients().items():
        np.testing.assert_array_equal(given[key], gradient)


def adamw(x, gradient, memory, step, rate, decay):
    """Algorithm 2 of Loshchilov and Hutter as PyTorch computes it, in the unit of the variable."""
    m, v = memory
    x = x - rate * decay * x
    m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
    mean, square = m / (1 - 0.9**step), v / (1 - 0.999**step)
    return x - rate * mean / (np.sqrt(square) + 1e-8), (m, v)


def test_weight_decay_is_adamw_in_the_unit_of_the_variable():
    model, random = FakeModel(), np.random.default_rng(1)
    model.parameters.set_raw(DELAY, random.uniform(5e-3, 9e-3, 5))
    w, d = model.parameters.raw(WEIGHT).copy(), model.parameters.raw(DELAY) / 1e-3
    optimizer = Adam(
        {WEIGHT: 0.01, DELAY: 0.1 * ms}, weight_decay={WEIGHT: 0.3, DELAY: 0.2 / ms}, eps=1e-12
    )
    optimizer.bind(model)
    of_w = of_d = (0, 0)
    for t in range(1, 6):
        g = gradients(t)
        optimizer.step(g)
        w, of_w = adamw(w, g[WEIGHT], of_w, t, 0.01, 0.3)
        d, of_d = adamw(d, g[DELAY] * 1e-3, of_d, t, 0.1, 0.2)  # per ms
        np.testing.assert_allclose(model.parameters.raw(WEIGHT), w, rtol=1e-6)
        np.testing.assert_allclose(model.parameters.raw(DELAY), d * 1e-3, rtol=1e-6)


def test_decay_follows_the_rate_and_leaves_others_alone():
    model = FakeModel()
    start = {key: model.parameters.raw(key).copy() for key in (WEIGHT, DELAY)}
    falling = {WEIGHT: bep.schedules.exponential(0.1, 0.5), DELAY: 1 * ms}
    optimizer = SGD(falling, weight_decay={WEIGHT: 2.0})
    optimizer.bind(model)
    zero = {key: np.zeros_like(value) for key, value in start.items()}
    for epoch in range(2):
        optimizer.start_epoch(epoch)
        optimizer.step(zero)
    np.testing.assert_allclose(model.parameters.raw(WEIGHT), start[WEIGHT] * 0.8 * 0.9)
    np.testing.assert_array_equal(model.parameters.raw(DELAY), start[DELAY])


def test_a_decay_that_overshoots_is_refused_before_anything_changes():
    model = FakeModel()
    optimizer = Adam({WEIGHT: 2.0, DELAY: 1 * ms}, weight_decay={WEIGHT: 1.0})
    optimizer.bind(model)
    state, before = optimizer.state(), model.parameters.raw(WEIGHT).copy()
    with pytest.raises(ValueError, match=r"syn\.w times its weight_decay is 2"):
        optimizer.step(gradients())
    np.testing.assert_array_equal(model.parameters.raw(WEIGHT), before)
    for name, array in optimizer.state().items():
        np.testing.assert_array_equal(array, state[name])


@pytest.mark.parametrize("threads", [1, 3])
def test_one_pass_gives_the_bits_of_numpy(threads):
    size, found = LONG + 5, []
    for whole in (True, False):
        model = FakeModel(channels=size, classes=1)
        optimizer = Adam(
            {WEIGHT: 0.01, DELAY: 0.1 * ms},
            clip=ClipNorm(1.0, per={DELAY: 1 * ms}),
            weight_decay={WEIGHT: 0.1},
        )
        optimizer.bind(model)
        for seed in range(2):
            random = np.random.default_rng(seed)
            given = {WEIGHT: random.normal(size=size), DELAY: 100 * random.normal(size=size)}
            optimizer.step(HostGradients(given, TrialPool(threads)) if whole else given)
        found.append({key: model.parameters.raw(key) for key in (WEIGHT, DELAY)})
        found[-1] |= optimizer.state() | {"norm": optimizer.gradient_norm}
    assert found[0]["norm"] > 100
    for key, expected in found[1].items():
        np.testing.assert_array_equal(found[0][key], expected)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"clip": ClipNorm(1.0)}, ValueError, "how much of syn.delay, which is in second"),
        ({"clip": ClipValue(1.0)}, ValueError, "ClipValue.* how much of syn.delay"),
        ({"clip": ClipNorm(1, per={DELAY: 1.0})}, DimensionMismatchError, "per of syn.delay"),
        ({"clip": ClipNorm(1, per=1 * ms)}, DimensionMismatchError, "one for all.*syn.w needs"),
        ({"clip": ClipNorm(1, per={DELAY: 0 * ms})}, ValueError, "more than 0"),
        ({"clip": ClipNorm(1, per={("a", "b"): 1})}, ValueError, "a.b has a per but is not"),
        ({"weight_decay": {DELAY: 0.1}}, DimensionMismatchError, "weight_decay of syn.delay"),
        ({"weight_decay": 0.1}, DimensionMismatchError, "one for all.*syn.delay needs"),
        ({"weight_decay": {WEIGHT: -1}}, ValueError, "weight_decay of syn.w .* not negative"),
        ({"weight_decay": {("a", "b"): 1}}, ValueError, "a.b has a weight_decay but is not"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        Adam({WEIGHT: 0.01, DELAY: 0.1 * ms}, **options).bind(FakeModel())


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: ClipNorm(0), ValueError, "most"),
        (lambda: ClipNorm(1 * ms), DimensionMismatchError, "most"),
        (lambda: ClipValue(1, per="ms"), TypeError, "per must be a dict"),
        (lambda: Adam({WEIGHT: 0.1}, clip=1.0), TypeError, r"clip must be such as ClipNorm\(1.0\)"),
        (lambda: Adam({WEIGHT: 0.1}, weight_decay="x"), TypeError, "weight_decay must be a dict"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_checkpoint_knows_both(tmp_path):
    data, path = yin_yang(size=20), tmp_path / "run.h5"
    rates = {WEIGHT: 0.01, DELAY: 0.1 * ms}

    def trainer(per, decay):
        options = {"clip": ClipNorm(1, per={DELAY: per}), "weight_decay": {WEIGHT: decay}}
        return bep.Trainer(FakeModel(), Adam(rates, **options), [bep.Checkpoint(path)])

    trainer(1 * ms, 0.1).fit(data, 1, 10, progress=False)
    assert trainer(1 * ms, 0.1).resume(path) == 1
    with pytest.raises(ValueError, match="weight_decay.*0.2 here and 0.1 in the file"):
        trainer(1 * ms, 0.2).resume(path)
    with pytest.raises(ValueError, match=r"ClipNorm\(1\).*0.002 here and 0.001 in the file"):
        trainer(2 * ms, 0.1).resume(path)


def test_clipped_steps_are_counted():
    data = yin_yang(size=60)
    model = FakeModel()
    for clip, expected in (
        (ClipNorm(1e-6, per={DELAY: ms}), 3),
        (ClipNorm(1e6, per={DELAY: ms}), 0),
    ):
        trainer = bep.Trainer(model, Adam({WEIGHT: 0.1, DELAY: 1 * ms}, clip=clip))
        history = trainer.fit(data, epochs=2, batch_size=20, progress=False)
        np.testing.assert_array_equal(history["clipped_steps"], [expected, expected])
