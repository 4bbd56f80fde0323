"""Random networks of the grammar: gradients against differences, spikes against Brian2.

They run in a process of their own, in which Numba is switched off: nothing is compiled.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.grammar.differences import differentiate
from helpers.grammar.networks import draw_network
from helpers.grammar.refractoriness import FIRST_SEED

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
    failed, results = failures_of(tmp_path, networks=6)
    assert not failed, "\n".join(failed)
    assert sum(found.get("event") == "agrees" for found in results) > 3
    assert sum(found.get("spikes") == "agrees" for found in results) > 4


def test_random_networks_whose_refractoriness_ends_with_states_agree(tmp_path):
    failed, results = failures_of(tmp_path, networks=3, first=FIRST_SEED)
    assert not failed, "\n".join(failed)
    assert sum(found.get("event") == "agrees" for found in results) > 1
    assert sum(found.get("spikes") == "agrees" for found in results) > 1


@pytest.mark.slow
def test_many_random_networks_whose_refractoriness_ends_with_states_agree(tmp_path):
    failed, _ = failures_of(tmp_path, 100, FIRST_SEED + 100, processes=os.cpu_count() or 1)
    assert not failed, "\n".join(failed)


def test_an_arrival_just_before_a_spike_is_told_apart(tmp_path):
    """They are 0.7 us apart: the gradients agree at a time step of 0.05 us, not at 1.6 us."""
    failed, results = failures_of(tmp_path, networks=1, first=300563)
    assert not failed and results[0]["convergence"].startswith("arrival and spike too close")


@pytest.mark.slow
def test_an_arrival_just_before_the_end_of_a_refractory_period_is_told_apart(tmp_path):
    """They are 0.4 us apart, a fourth of the finest step; the loss has a kink where they meet."""
    failed, results = failures_of(tmp_path, networks=1, first=500037)
    assert not failed and results[0]["convergence"].endswith("the end of a refractory period")


@pytest.mark.slow
def test_a_gradient_of_which_little_is_left_converges_once_the_order_is_right(tmp_path):
    """An arrival comes 70 us after a spike, and before it with time steps of 6 us and more."""
    failed, results = failures_of(tmp_path, networks=1, first=800132)
    assert not failed and results[0]["convergence"].startswith("agrees")


@pytest.mark.slow
def test_many_random_networks_agree(tmp_path):
    failed, _ = failures_of(tmp_path, networks=200, first=1000, processes=os.cpu_count() or 1)
    assert not failed, "\n".join(failed)


#: What some hundred networks must have between them, as tags.
KINDS = (
    "adex", "eif", "izhikevich", "hodgkin-huxley", "conductances", "gating variable", "volts",
    "qif peak 3", "qif peak 1000", "cut-off -40 mV", "cut-off 30 mV", "slope 1 mV", "slope 2 mV",
    "power (power)", "power (hill)", "power (root)", "condition", "kink", "step in time",
    "timed array (1-d)", "timed array (i)", "timed array (channel)", "timed array (i % n)",
    "refractory (constant)", "refractory (string)", "refractory (parameter)", "refractory (flow)",
    "reset (value)", "reset (soft)", "reset (several)", "reset (condition)", "threshold (moving)",
    "threshold (and)", "threshold (sine)", "alpha synapse", "two pathways", "autapses",
    "several synapses of a pair", "parameter of the sender", "state of the sender", "recurrent",
    "synapses to a subgroup", "synapses from a subgroup", "delays (axonal)", "shared delay",
    "recurrent delays (none)", "readout (integral)", "readout (final)", "readout (maximum)",
    "readout (first)", "readout (all)", "readout (each)", "readout (count)", "loss (rossum)",
    "method exact", "method euler", "method rk2", "method rk4", "method heun",
    "method exponential_euler",
)  # fmt: skip


ENDS = (
    "refractory (hold)", "refractory (or)", "refractory (and)", "refractory (lastspike)",
    "refractory (period)", "arrivals at what keeps neurons refractory",
    "stands still until a condition ends", "equations that are others while refractory",
)  # fmt: skip


def test_the_grammar_has_all_kinds():
    drawn = {tag for seed in range(400) for tag in draw_network(seed).tags}
    assert not set(KINDS) - drawn


def test_the_grammar_has_all_ends_of_refractoriness():
    drawn = {tag for seed in range(100) for tag in draw_network(FIRST_SEED + seed).tags}
    assert not set(ENDS) - drawn


def test_a_seed_gives_the_same_network():
    assert draw_network(3) == draw_network(3) != draw_network(4)


@pytest.mark.parametrize("expected", [3.0, 2.9])
def test_differences_do_not_follow_the_expected_value(expected):
    found = differentiate(lambda h: (np.sin(3 * h), 0), (0.0, 0), expected, 3.0)
    assert abs(found.value - 3) < 1e-6 and found.same and not found.kink


def test_differences_see_kinks_and_other_spikes():
    kink = differentiate(lambda h: (2 * h + 0.3 * abs(h), 0), (0.0, 0), 2.3, 2.3)
    assert kink.kink and kink.same
    jump = differentiate(lambda h: (h + (h > 0), int(h > 0)), (0.0, 0), 1.0, 1.0)
    assert not jump.same
