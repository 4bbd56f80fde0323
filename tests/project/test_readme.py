"""The scripts of the README run as they stand, and do what it says."""

import re
from pathlib import Path

import brian2
import pytest

import brian_eventprop as bep

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def scripts():
    """All scripts that need no other library."""
    return [script for script in all_scripts() if "import torch" not in script]


def all_scripts():
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def run(scripts, capsys):
    """Run the scripts one after the other; return the names they made and what they printed."""
    brian2.seed(0)
    names = {"__name__": "__main__"}
    for script in scripts:
        exec(compile(script, str(README), "exec"), names)
    return names, capsys.readouterr().out


@pytest.mark.compiled
def test_the_scripts_run_and_the_gradient_agrees(scripts, capsys, monkeypatch):
    """With few samples; the whole training is the slow test."""
    fit = bep.Trainer.fit
    monkeypatch.setattr(
        bep.Trainer,
        "fit",
        lambda trainer, data, epochs, **options: fit(trainer, data[:200], 1, **options),
    )
    _, printed = run(scripts, capsys)
    assert printed.count("agrees") == 3 and "DIFFERS" not in printed


@pytest.mark.slow
@pytest.mark.compiled
def test_the_script_with_torch_runs(capsys, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(bep.Trainer, "fit", lambda *given, **options: None)
    names, _ = run(all_scripts(), capsys)
    assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in names["net"].parameters())


@pytest.mark.slow
@pytest.mark.compiled
def test_the_script_learns(scripts, capsys):
    names, printed = run(scripts[:1], capsys)
    assert (
        names["trainer"].evaluate(bep.datasets.yin_yang("test"))["accuracy"] > 0.96
    )  # found: 97.2 to 97.8 %
    # the trained values are in the Brian2 objects
    trained = names["model"].parameters[names["s_in"].delay]
    assert (names["s_in"].delay[:] == trained).all()
