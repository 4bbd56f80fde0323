"""The scripts of the README run as they stand, and do what it says."""

import re
from pathlib import Path

import brian2
import pytest

import brian_eventprop as bep

README = Path(__file__).parents[2] / "README.md"

#: The sections whose script needs nothing of the scripts before it.
ALONE = ("Fit a neuron", "My own neuron")


def scripts() -> dict[str, list[str]]:
    """The scripts of each section."""
    sections = re.split(r"^## (.*)$", README.read_text(), flags=re.MULTILINE)
    found = zip(sections[1::2], sections[2::2], strict=True)
    return {title: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for title, text in found}


def run(chosen, names=None):
    """Run scripts one after the other; return the names they made."""
    brian2.seed(0)
    names = {"__name__": "__main__"} if names is None else names
    for script in chosen:
        exec(compile(script, str(README), "exec"), names)
    return names


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Have the files that scripts write in a folder of their own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def few(monkeypatch):
    """Train with few samples for one epoch; the whole training is the slow test."""
    fit, evaluate = bep.Trainer.fit, bep.Trainer.evaluate

    def short(trainer, data, epochs, validation=None, **options):
        validation = None if validation is None else validation[:40]
        return fit(trainer, data[:40], 1, validation=validation, **options)

    monkeypatch.setattr(bep.Trainer, "fit", short)
    monkeypatch.setattr(bep.Trainer, "evaluate", lambda trainer, data: evaluate(trainer, data[:40]))


def test_the_first_script_fits_on_a_screen():
    assert len(scripts()["A script"][0].splitlines()) <= 25


@pytest.mark.compiled
def test_the_scripts_run_and_the_gradient_agrees(few, capsys):
    pytest.importorskip("nir")
    together = [s for title, own in scripts().items() if title not in ALONE for s in own]
    names = run([script for script in together if "import torch" not in script])
    printed = capsys.readouterr().out
    assert printed.count("agrees") == 3 and "DIFFERS" not in printed
    assert set(Path().iterdir()) == {Path("log.csv"), Path("trained.h5")}
    assert names["graph"].nodes


@pytest.mark.parametrize("title", ALONE)
def test_a_script_runs_alone(title):
    pytest.importorskip("scipy")
    (script,) = scripts()[title]
    names = run(["from brian2 import *\nimport brian_eventprop as bep\n" + script])
    if title == "Fit a neuron":
        assert abs(names["params"]["g_L"] / (10 * brian2.nS) - 1) < 0.1, names["params"]
    else:
        assert names["model"].gradient()[names["neuron"].I] < 0  # more current, an earlier spike


@pytest.mark.slow
@pytest.mark.compiled
def test_the_script_with_torch_runs(few):
    torch = pytest.importorskip("torch")
    names = run(scripts()["A script"] + scripts()["Train a classifier"])
    run(scripts()["My own loop, PyTorch, JAX"], names)
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in names["net"].parameters())


@pytest.mark.slow
@pytest.mark.compiled
def test_the_script_learns():
    names = run(scripts()["A script"])
    accuracy = names["trainer"].evaluate(bep.datasets.yin_yang("test"))["accuracy"]
    assert accuracy > 0.965  # found: 97.8 and 97.4 % of two other seeds
    # the trained values are in the Brian2 objects
    trained = names["model"].parameters[names["s_in"].delay]
    assert (names["s_in"].delay[:] == trained).all()
