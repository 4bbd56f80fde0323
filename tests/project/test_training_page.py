"""The scripts of docs/training.md run as they stand, with stand-ins for other people's packages."""

import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import brian2
import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import brian_eventprop as bep

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
LIF = "dv/dt = (I - v)/(20*ms) : 1\ndI/dt = -I/(5*ms) : 1"


class Samples:
    """A dataset of rasters, or of events, as PyTorch and tonic have them."""

    def __init__(self, inputs, **more):
        self.inputs = inputs
        vars(self).update(more)

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return self.inputs[index], index % 3


def loader(dataset, batch_size, shuffle):
    """A list of batches for a torch DataLoader."""
    assert shuffle
    return [(np.stack([x for x, _ in dataset]), np.array([y for _, y in dataset]))]


def network():
    brian2.defaultclock.dt = 1 * ms
    inputs = SpikeGeneratorGroup(5, [], [] * ms, name="inputs")
    hidden = NeuronGroup(4, LIF, threshold="v > 1", reset="v = 0", method="exact", name="hidden")
    output = NeuronGroup(3, LIF, method="exact", name="output")
    s_in = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w", name="s_in")
    s_out = Synapses(hidden, output, "w : 1", on_pre="I_post += w", name="s_out")
    s_in.connect()
    s_out.connect()
    s_in.w, s_out.w = 3, "0.1*i"
    return [inputs, hidden, output, s_in, s_out]


@pytest.fixture
def names():
    """What the page takes for granted."""
    objects = network()
    *_, output, s_in, s_out = objects
    train, loss = [s_in.w, s_in.delay, s_out.w], bep.CrossEntropy(bep.Integral(output, "v"))
    model = bep.EventPropModel(objects, train=train, loss=loss, duration=60 * ms)
    frames = np.zeros((6, 60, 1, 1, 5), np.int8)
    frames[:, 3, 0, 0, :3] = 1
    events = np.array([(5000, 2, 1), (9000, 4, 1)], [("t", int), ("x", int), ("p", int)])
    return {
        "bep": bep, "ms": ms, "model": model, "network": Network(objects),
        "s_in": s_in, "s_out": s_out,
        "frames": Samples(frames), "tonic_dataset": Samples([events] * 6, sensor_size=(5, 1, 1)),
        "torch": SimpleNamespace(
            utils=SimpleNamespace(data=SimpleNamespace(DataLoader=loader))
        ),
        "trainer": bep.Trainer(model, bep.Adam({s_in.w: 0.1, s_in.delay: 1 * ms, s_out.w: 0.1})),
    }  # fmt: skip


def test_the_scripts_run(names, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fit = bep.Trainer.fit

    def quick(trainer, data, epochs, **options):
        return fit(trainer, data, 1, progress=False, **options)

    monkeypatch.setattr(bep.Trainer, "fit", quick)
    scripts = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    run = {re.search(r"\w+", script)[0]: partial(exec, script, names) for script in scripts}

    run.pop("loader")()
    names["loader"] = [(x[:, :6, 0, 0], y) for x, y in names["loader"]]  # steps of 10 ms
    run.pop("trainer")()
    assert len(names["trainer"].history) == 3
    run.pop("optimizer")()
    names["optimizer"].bind(names["model"])

    told, data = [], [(np.zeros((3, 60, 5)), np.arange(3))]
    log = SimpleNamespace(log=lambda numbers, step: told.append(("wandb", step)))
    names["wandb"] = SimpleNamespace(init=lambda project: log)
    names["mlflow"] = SimpleNamespace(
        start_run=lambda: None, log_metrics=lambda numbers, step: told.append(("mlflow", step))
    )
    names["optuna"] = SimpleNamespace(TrialPruned=InterruptedError)
    names["trial"] = SimpleNamespace(report=lambda loss, step: None, should_prune=lambda: True)
    for first in ("run", "mlflow"):
        run.pop(first)()
        names["trainer"].fit(data, 1)
    run.pop("def")()
    with pytest.raises(InterruptedError):
        names["trainer"].fit(data, 1, validation=data)
    assert told == [("wandb", 0), ("mlflow", 0)]

    run.pop("model")()
    assert sorted(names["values"]) == ["s_in.delay", "s_in.w", "s_out.w"]
    np.testing.assert_array_equal(names["s_out"].w[:], names["values"]["s_out.w"])
    assert not run
