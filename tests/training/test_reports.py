"""What a training tells to others: functions, lines of a log."""

import io

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, start_scope
from helpers.cuda.emulator import Emulator
from helpers.fake_model import DELAY, WEIGHT, FakeModel

import brian_eventprop as bep
from brian_eventprop.datasets import yin_yang
from brian_eventprop.runtime.cuda import solver as clock_cuda
from brian_eventprop.training.optimizers import SGD, Adam

DATA = yin_yang(size=30)


def trainer(callbacks, optimizer=None, model=None):
    optimizer = optimizer or Adam({WEIGHT: 0.02, DELAY: 0.1 * ms})
    return bep.Trainer(model or FakeModel(), optimizer, callbacks)


class Told(list):
    """A function that remembers what it was told."""

    def __call__(self, step, numbers):
        assert all(type(value) is float for value in numbers.values())
        self.append((step, numbers))


def test_a_report_of_every_epoch_has_the_history_and_the_means_of_the_steps():
    told, norms = Told(), bep.GradientNorms()
    run = trainer([bep.Report(told), norms, bep.ReduceOnPlateau(0.5, 1, min_delta=100)])
    history = run.fit(DATA, 3, 10, validation=DATA, progress=False)
    assert [step for step, _ in told] == [0, 1, 2]
    for epoch, numbers in told:
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "seconds", "rate_scale"):
            assert numbers[name] == history[name][epoch]
        for name in ("syn.w", "syn.delay"):
            assert numbers[f"gradient/{name}"] == history[f"gradient({name})"][epoch]
        assert set("(),") & set("".join(numbers)) == set()  # MLflow has no such names
    rates = [numbers["learning_rate/syn.delay"] for _, numbers in told]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 5e-5])


def test_a_report_of_every_step():
    told, losses = Told(), []

    class Watch(bep.Callback):
        def on_batch_end(self, trainer, batch, result):
            losses.append((float(result.loss), np.linalg.norm(trainer.gradients[WEIGHT])))

    clip = bep.ClipNorm(1e-3, per={DELAY: 1 * ms})
    rates = {WEIGHT: np.linspace(0.01, 0.03, 15), DELAY: 0.1 * ms}
    run = trainer([bep.Report(told, "step"), Watch()], SGD(rates, clip=clip))
    run.fit(DATA, 2, 10, progress=False)
    assert [step for step, _ in told] == [1, 2, 3, 4, 5, 6]
    for (_, numbers), (loss, norm) in zip(told, losses, strict=True):
        assert numbers["loss"] == loss and numbers["gradient/syn.w"] == norm
        assert numbers["gradient_norm"] > max(1e-3, norm)  # before it was clipped
        assert numbers["learning_rate/syn.w"] == pytest.approx(0.02)
    assert told[-1][1]["gradient_norm"] == run.optimizer.gradient_norm


def test_no_norms_where_they_are_not_wanted():
    told = Told()
    trainer([bep.Report(told, "step", gradients=False)]).fit(DATA, 1, 10, progress=False)
    assert sorted(told[0][1]) == ["learning_rate/syn.delay", "learning_rate/syn.w", "loss"]


def test_what_the_function_raises_ends_the_training():
    """As Optuna prunes a trial."""

    class Pruned(Exception):
        pass

    def prune(step, numbers):
        if step == 2:
            raise Pruned(numbers["loss"])

    stopping = bep.EarlyStopping(9)
    run = trainer([bep.Report(prune), stopping])
    with pytest.raises(Pruned) as found:
        run.fit(DATA, 9, 30, progress=False)
    assert len(run.history) == 3 and found.value.args == (run.history["loss"][-1],)
    # the training ended as it always does: with the best parameters
    np.testing.assert_array_equal(run.model.parameters.raw(WEIGHT), stopping.best_values[WEIGHT])


@pytest.mark.parametrize("solver, backend", [("clock", "cpu"), ("event", "cpu"), ("clock", "cuda")])
def test_grazing_spikes_are_reported(solver, backend, monkeypatch):
    """The potential peaks just above the threshold, at a point of the time grid."""
    monkeypatch.setattr(clock_cuda, "CudaDevice", Emulator)
    start_scope()
    defaultclock.dt = dt = np.log(4) / (1 / 5 - 1 / 20) / 92 * ms
    lif = "dv/dt = (I - v)/(20*ms) : 1\ndI/dt = -I/(5*ms) : 1"
    source = SpikeGeneratorGroup(1, [], [] * ms)
    neuron = NeuronGroup(1, lif, threshold="v > 1", reset="v = 0", method="exact", name="neuron")
    s = Synapses(source, neuron, "w : 1", on_pre="I_post += w")
    s.connect()
    s.w = (1 + 1e-9) / (4 ** (-1 / 3) / 3 - 4 ** (-4 / 3) / 3)
    model = bep.EventPropModel(
        [source, neuron, s], train=[s.w], loss=bep.Sum(bep.SpikeTimes(neuron)),
        duration=25 * ms, solver=solver, backend=backend,
    )  # fmt: skip
    told = Told()
    clip = bep.ClipNorm(1e-9)
    data = bep.SpikeData([10 * dt, 10 * dt], [0, 0], [0, 1], 2, 1)
    trainer([bep.Report(told)], Adam(0.0, clip=clip), model).fit(data, 1, 2, progress=False)
    assert told[0][1]["grazing"] == model.gradient().grazing == 2


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: bep.Report("wandb"), TypeError, r"f\(step, numbers\), not 'wandb'"),
        (lambda: bep.Report(dict), TypeError, "function"),
        (lambda: bep.Report(print, "batch"), ValueError, "'epoch' or 'step', not 'batch'"),
        (
            lambda: trainer([]).fit(DATA, 1, 10, progress="bar"),
            ValueError,
            "True, False or 'lines'",
        ),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_one_line_per_epoch(capsys):
    run = trainer([])
    run.fit(DATA, 2, 10, progress="lines")
    history = run.fit(DATA, 1, 10, validation=DATA, progress="lines")
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert output.err == "" and len(lines) == 3
    for line, start in zip(lines, ("0 (1 of 2)", "1 (2 of 2)", "2 (1 of 1)"), strict=True):
        assert line.startswith(f"epoch {start}: loss ")
    assert f"val_accuracy {history['val_accuracy'][-1]:.4g}, " in lines[-1]
    assert lines[-1].endswith(f"{history['seconds'][-1]:.2f} s")


def test_epochs_are_left_out_evenly_where_there_shall_be_few_lines(monkeypatch):
    file = io.StringIO()
    trainer([bep.LineLog(file, most=3)]).fit(DATA, 8, 30, progress=False)
    lines = file.getvalue().splitlines()
    assert [line.split(":")[0][6:] for line in lines] == [
        "0 (1 of 8)", "3 (4 of 8)", "6 (7 of 8)", "7 (8 of 8)",
    ]  # fmt: skip
    assert [line.endswith("00:00 left") for line in lines] == [False, True, True, False]
    # a notebook keeps all that is written, and so has a limit by default
    for notebook, every in ((True, 2), (False, 1)):
        monkeypatch.setattr("brian_eventprop.training.reports.in_notebook", lambda n=notebook: n)
        log = bep.LineLog(file)
        log.on_train_begin(trainer([]), 100, None)
        assert log.every == every


def test_the_last_line_is_written_though_the_training_stops_early():
    file = io.StringIO()
    training = trainer([bep.LineLog(file, most=1)])
    training.callbacks.append(stop := bep.Callback())
    stop.on_epoch_end = lambda trainer, epoch, row: setattr(trainer, "stop", epoch == 2)
    training.fit(DATA, 8, 30, progress=False)
    assert [line[:7] for line in file.getvalue().splitlines()] == ["epoch 0", "epoch 2"]


def test_lines_to_a_file():
    file = io.StringIO()
    trainer([bep.LineLog(file), bep.GradientNorms()]).fit(DATA, 1, 10, progress=False)
    (line,) = file.getvalue().splitlines()
    assert "gradient(syn.w)" in line
