"""Variables that are computed from trained quantities, and gradients by the chain rule."""

import copy

import numpy as np
import pytest
from brian2 import (
    DimensionMismatchError,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    metre,
    ms,
    mV,
    second,
    start_scope,
    um,
)
from helpers.cuda.emulator import Emulator

import brian_eventprop as bep
from brian_eventprop.runtime.cuda import solver as clock_cuda


class Parts:
    """Six inputs with positions, four recurrent neurons, all connected with delays."""

    def __init__(self):
        start_scope()
        random = np.random.default_rng(7)
        self.source = SpikeGeneratorGroup(6, [], [] * ms, name="source")
        self.hidden = NeuronGroup(
            4, """dv/dt = (I - v)/(10*ms) : 1
                  dI/dt = -I/(5*ms) : 1
                  x : metre (constant)
                  y : metre (constant)
                  late : second (constant)""",
            threshold="v > 1", reset="v = 0", method="exact", name="hidden",
        )  # fmt: skip
        model = "w : 1\noffset : integer (constant)\ndale : 1 (constant)"
        self.s = Synapses(self.source, self.hidden, model, on_pre="I_post += w", name="s")
        self.r = Synapses(self.hidden, self.hidden, "w : 1", on_pre="I_post += w", name="r")
        self.s.connect()
        self.r.connect("i != j")
        self.s.w, self.s.delay = 2.0, random.uniform(1, 4, len(self.s)) * ms
        self.r.w, self.r.delay = random.normal(0, 0.4, len(self.r)), 1.5 * ms
        self.s.offset = (self.s.i - self.s.j) % 3
        self.s.dale = np.where(self.s.i % 3 == 0, -0.2, 1.0)
        self.hidden.x, self.hidden.y = random.uniform(0, 2, (2, 4)) * um * 1000
        self.hidden.late = random.uniform(0.5, 2, 4) * ms

    def model(self, *train, solver="event", **options):
        namespace = options.pop("namespace", {})
        loss = bep.Sum(bep.SpikeTimes(self.hidden, "t/second")) + bep.Sum(
            bep.Integral(self.hidden, "v**2")
        )
        options = {"backend": "interpreter"} | options
        return bep.EventPropModel(
            [self.source, self.hidden, self.s, self.r], train=list(train), loss=loss,
            duration=40 * ms, solver=solver, namespace=namespace, **options,
        )  # fmt: skip


def spikes():
    random = np.random.default_rng(1)
    n = 40
    given = random.uniform(0, 0.03, n), random.integers(0, 6, n), random.integers(0, 2, n)
    return bep.SpikeData(*given, 2, 6)


def expressions(p):
    """A kind of expression by its name: what is trained."""
    kernel = np.array([1.5, 2.5, 3.0])
    plane = np.arange(6).reshape(2, 3) / 3 + 1.5
    ends = np.random.default_rng(2).uniform(0.2, 1, (2, 6)) * ms
    place = np.random.default_rng(3).uniform(0, 1, 6) * metre / 1000
    return {
        "tied weights": [bep.Expression(p.s.w, "k[offset]", k=kernel)],
        "tied weights and delays": [
            bep.Expression(p.s.w, "k[offset]", k=kernel),
            bep.Expression(p.s.delay, "d[offset]", d=[1.0, 2.0, 3.5] * ms),
        ],
        "two axes": [bep.Expression(p.s.w, "k[i % 2, offset]", k=plane)],
        "positive": [bep.Expression(p.s.w, "exp(u)", u=np.full(24, 0.8))],
        "softplus and a sign": [
            bep.Expression(p.s.w, "gain*dale*log(1 + exp(u[i]))", u=np.ones(6), gain=2.0)
        ],
        "rank one": [bep.Expression(p.s.w, "a[i]*b[j]", a=np.linspace(1, 3, 6), b=[1, 2, 1, 2])],
        "dendritic": [p.hidden.late, bep.Expression(p.s.delay, "late_post")],
        "axon, dendrite and synapse": [
            p.hidden.late,
            bep.Expression(
                p.s.delay, "axon[i] + late_post + own", axon=ends[0], own=np.ones(24) * ms
            ),
        ],
        "positions": [
            p.hidden.x, p.hidden.y,
            bep.Expression(
                p.s.delay, "sqrt((x_in[i] - x_post)**2 + (y_in[i] - y_post)**2)/speed",
                x_in=place, y_in=place[::-1], speed=0.5 * metre / second,
            ),
            bep.Expression(
                p.r.delay, "0.5*ms + sqrt((x_pre - x_post)**2 + (y_pre - y_post)**2)/speed",
                speed=0.5 * metre / second,
            ),
        ],
        "a limit": [
            bep.Expression(p.s.delay, "clip(d[i], 0*ms, 2*ms)", d=np.linspace(0.6, 3, 6) * ms)
        ],
        "shared by two": [
            bep.Expression(p.s.w, "2*k[0] + u", k=[0.5, 0.3], u=np.ones(24)),
            bep.Expression(p.r.w, "k[(i + j) % 2]", k=[0.5, 0.3]),
        ],
    }  # fmt: skip


KINDS = (
    "tied weights", "tied weights and delays", "two axes", "positive", "softplus and a sign",
    "rank one", "dendritic", "axon, dendrite and synapse", "positions", "a limit", "shared by two",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_agree_with_differences(kind):
    """Along a random direction of each quantity, in exact time."""
    parts = Parts()
    model = parts.model(*expressions(parts)[kind])
    result = model.run(spikes())
    gradients = model.gradient()
    assert sum(map(len, result.spikes.values())) > 10
    for name in gradients:
        start = model.parameters.raw(name).copy()
        direction = np.random.default_rng(0).choice([-1.0, 1.0], start.shape)
        step, losses = 1e-6 * max(np.max(np.abs(start)), 1e-6), []
        for side in (1, -1):
            model.parameters.set_raw(name, start + side * step * direction)
            losses.append(model.run(spikes()).loss)
        model.parameters.set_raw(name, start)
        found, slope = direction @ gradients.raw(name), (losses[0] - losses[1]) / (2 * step)
        # the difference has an error of rounding, 1e-16*loss/step, and of the step squared
        scale = np.linalg.norm(gradients.raw(name))
        assert abs(found - slope) < 2e-7 * scale + 1e-15 * abs(result.loss) / step, name
        assert scale > 0


def test_a_convolution_is_that_of_explicit_synapses():
    """The gradient of a kernel is the sum over the synapses that share it, on both solvers."""
    for solver in ("clock", "event"):
        shared, each = Parts(), Parts()
        one = shared.model(
            bep.Expression(shared.s.w, "k[offset]", k=[1.5, 2.5, 3.0]), solver=solver
        )
        each.s.w = np.array([1.5, 2.5, 3.0])[each.s.offset[:]]
        other = each.model(each.s.w, solver=solver)
        assert one.run(spikes()).loss == other.run(spikes()).loss
        expected = np.bincount(shared.s.offset[:], other.gradient().raw("s.w"))
        np.testing.assert_allclose(one.gradient()["k"], expected, rtol=1e-12)
        each_trial = one.gradient(per_trial=True).raw("k")
        np.testing.assert_allclose(each_trial.mean(axis=0), expected, rtol=1e-9)


def test_training_moves_the_quantities_and_write_back_the_variable():
    parts = Parts()
    x, y = parts.hidden.x, parts.hidden.y
    train = expressions(parts)["positions"]
    model = parts.model(*train)
    rates = {x: 20 * um, y: 20 * um, "x_in": 20 * um, "y_in": 20 * um}
    trainer = bep.Trainer(model, bep.Adam({**rates, "speed": 0.01 * metre / second}))
    before = model.run(spikes()).loss
    trainer.fit(spikes(), 4, 2, progress=False)
    after = model.run(spikes()).loss
    assert after < before
    model.write_back()
    x_in, y_in = (np.asarray(model.parameters[name]) for name in ("x_in", "y_in"))
    here = np.stack([x_in[parts.s.i], y_in[parts.s.i]])
    there = np.stack([np.asarray(parts.hidden.x[:]), np.asarray(parts.hidden.y[:])])[:, parts.s.j]
    expected = np.hypot(*(here - there)) / float(np.asarray(model.parameters["speed"])[0])
    np.testing.assert_allclose(np.asarray(parts.s.delay), expected, rtol=1e-12)
    np.testing.assert_array_equal(np.asarray(parts.hidden.x[:]), model.parameters.raw("hidden.x"))


def test_copies_files_and_vectors(tmp_path):
    parts = Parts()
    model = parts.model(*expressions(parts)["tied weights and delays"])
    assert model.expressions == {("s", "w"): "k[offset]", ("s_pre", "delay"): "d[offset]"}
    np.testing.assert_allclose(model.parameters.flatten(), [1.5, 2.5, 3, 1, 2, 3.5])
    twin = copy.deepcopy(model)
    twin.parameters["k"] = [3.0, 2.0, 1.0]
    first, second = model.run(spikes()).loss, twin.run(spikes()).loss
    assert first != second
    twin.save(tmp_path / "values.h5")
    bep.load_parameters(tmp_path / "values.h5", model)
    assert model.run(spikes()).loss == second
    checkpoint = bep.Checkpoint(tmp_path / "run.h5")
    rates = {"k": 0.01, "d": 0.1 * ms}
    trainer = bep.Trainer(model, bep.Adam(rates), [checkpoint])
    trainer.fit(spikes(), 2, 2, progress=False)
    other = Parts()
    again = other.model(*expressions(other)["tied weights and delays"])
    assert bep.Checkpoint(tmp_path / "run.h5").resume(bep.Trainer(again, bep.Adam(rates))) == 2
    np.testing.assert_array_equal(again.parameters.raw("k"), model.parameters.raw("k"))


def test_on_a_graphics_card(monkeypatch):
    monkeypatch.setattr(clock_cuda, "CudaDevice", Emulator)

    def model(parts, **options):
        return parts.model(*expressions(parts)["tied weights"], solver="clock", **options)

    on_cpu, on_gpu = model(Parts()), model(Parts(), backend="cuda")
    on_gpu.parameters["k"] = on_cpu.parameters["k"] = [1.6, 2.4, 3.1]
    assert on_gpu.run(spikes()).loss == pytest.approx(on_cpu.run(spikes()).loss, rel=1e-12)
    np.testing.assert_allclose(on_gpu.gradient()["k"], on_cpu.gradient()["k"], rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: bep.Expression(p.s.w, "k[i]", k=[1.0, 2.0]), ValueError, "reaches from 0 to 5"),
        (lambda p: bep.Expression(p.s.w, "k[i/2]", k=np.ones(6)), ValueError, "not a whole number"),
        (lambda p: bep.Expression(p.s.w, "k[i, j]", k=np.ones(6)), ValueError, "has the shape"),
        (lambda p: bep.Expression(p.s.w, "k", k=np.ones(6)), ValueError, "say which one is meant"),
        (lambda p: bep.Expression(p.s.w, "z*k", k=1.0), ValueError, "'z' is not known"),
        (lambda p: bep.Expression(p.s.w, "w_in[i]"), ValueError, "is no quantity"),
        (lambda p: bep.Expression(p.s.w, "k*", k=1.0), ValueError, "is no expression"),
        (lambda p: bep.Expression(p.s.delay, "k", k=1.0), DimensionMismatchError, "gives a value"),
        (
            lambda p: bep.Expression(p.s.w, "k + v", k=1.0, v=1 * mV),
            DimensionMismatchError,
            "do not",
        ),
        (lambda p: bep.Expression(p.s.delay, "d", d=-1 * ms), ValueError, "is negative"),
        (lambda p: bep.Expression(p.s.w, "log(k)", k=0.0), FloatingPointError, "is -inf"),
        (lambda p: bep.Expression(3, "k", k=1.0), TypeError, "needs a variable"),
        (lambda p: bep.Expression(p.s.w, "k", k=np.nan), ValueError, "finite"),
    ],
)
def test_what_cannot_be_is_refused(make, error, message):
    parts = Parts()
    with pytest.raises(error, match=message):
        parts.model(make(parts)).run(spikes())


def test_a_variable_is_trained_or_computed_and_quantities_are_one():
    p = Parts()
    with pytest.raises(ValueError, match="twice"):
        p.model(p.s.w, bep.Expression(p.s.w, "k", k=1.0))
    with pytest.raises(ValueError, match="different values"):
        p.model(bep.Expression(p.s.w, "k", k=1.0), bep.Expression(p.r.w, "k", k=2.0))
    with pytest.raises(ValueError, match="influences nothing"):
        p.model(p.s.w, p.hidden.late)
    model = p.model(bep.Expression(p.s.w, "k[offset]", k=np.ones(3)))
    with pytest.raises(bep.UnsupportedError, match="cannot be rewired"):
        model.reconnect(p.s, p.s.i, p.s.j)
