"""Random networks of the grammar: gradients against differences, spikes against Brian2.

They run in a process of their own, in which Numba is switched off: nothing is compiled.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def failures_of(tmp_path, networks, first=0, processes=1):
    """Judge some networks; return the verdicts that are failures, and all of them."""
    output = tmp_path / "results.jsonl"
    command = [sys.executable, "-m", "helpers.grammar", "--output", str(output)]
    command += ["--networks", str(networks), "--first", str(first)]
    command += ["--processes", str(processes)]
    paths = [str(FOLDER), str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    results = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(results) == networks, run.stderr[-2000:]
    failed = [
        f"{found['seed']} {stage}: {verdict}"
        for found in results
        for stage, verdict in found.items()
        if isinstance(verdict, str) and verdict.startswith("FAILED")
    ]
    return failed, results


def test_random_networks_agree(tmp_path):
    failed, results = failures_of(tmp_path, networks=25)
    assert not failed, "\n".join(failed)
    assert sum(found.get("event") == "agrees" for found in results) > 12
    assert sum(found.get("spikes") == "agrees" for found in results) > 18


@pytest.mark.slow
def test_many_random_networks_agree(tmp_path):
    failed, _ = failures_of(tmp_path, networks=200, first=1000, processes=os.cpu_count() or 1)
    assert not failed, "\n".join(failed)
