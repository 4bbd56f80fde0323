"""The examples run as they are and reach what they promise."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *options, folder):
    command = [sys.executable, EXAMPLES / name, *options]
    environment = {"PYTHONPATH": str(EXAMPLES.parent), "PATH": "", "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_sequence_detection(tmp_path):
    printed = run("sequence_detection.py", folder=tmp_path)
    assert "accuracy at the start: 0%" in printed
    assert "accuracy at the end: 100%" in printed
    assert (tmp_path / "sequence_detection.png").exists()


@pytest.mark.slow
def test_yin_yang(tmp_path):
    printed = run("yin_yang.py", folder=tmp_path)
    assert float(re.search(r"test accuracy: ([\d.]+)%", printed)[1]) >= 97.0
    assert int(re.search(r"agree: (\d+) of 1000", printed)[1]) >= 995
    assert (tmp_path / "yin_yang.png").exists()


@pytest.mark.slow
def test_custom_neuron(tmp_path):
    printed = run("custom_neuron.py", folder=tmp_path)
    assert "DIFFERS" not in printed
    start, end = map(float, re.search(r"loss: ([\d.]+) .* ([\d.]+) at the end", printed).groups())
    assert end < 0.01 * start
    assert (tmp_path / "custom_neuron.png").exists()
