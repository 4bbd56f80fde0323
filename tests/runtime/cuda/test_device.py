"""The CUDA kernels on a real GPU: run with `pytest -m gpu`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from brian2 import Quantity, ms, start_scope
from helpers.backends import arrays_of, check_equal, results, run_small
from helpers.networks import random as random_networks
from helpers.networks import reference
from helpers.networks import small as small_networks
from helpers.networks.synapses import RULES, plastic
from helpers.networks.synapses import trials as plastic_trials
from helpers.networks.touching import KINDS, touching
from helpers.networks.touching import trials as touching_trials

import brian_eventprop as bep
from brian_eventprop.plan.layouts import limits
from brian_eventprop.runtime.cuda.device import CudaDevice

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("error:.*Host array used in CUDA kernel"),
]

#: A GPU rounds exp, sin and their like in its own way, in the last bits.
READOUTS = 1e-10
SPOKEN = {"n_inputs": 700, "n_hidden": 256, "n_steps": 1000, "max_delay": 62, "trials": 8}


@pytest.fixture(autouse=True, scope="module")
def device():
    """Skip without a GPU."""
    try:
        return CudaDevice()
    except (ImportError, RuntimeError) as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("seed", [4, 5])
@pytest.mark.parametrize("size", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("kind", random_networks.KINDS)
def test_the_same_as_on_the_cpu(kind, size, seed):
    options = {"seed": seed, "size": size, "duration": 100 * ms}
    check_equal(results(kind, "cuda", **options), results(kind, "cpu", **options), READOUTS)


@pytest.mark.parametrize("kind", random_networks.KINDS)
def test_single_precision_is_close(kind):
    single = results(kind, "cuda", precision="float32")
    check_equal(single, results(kind, "cpu"), readouts=1e-4, gradients=1e-3)


@pytest.mark.parametrize("kind", ["lif", "lif_refractory", "two_populations", "adex"])
def test_precomputed_inputs(kind, monkeypatch):
    """Of few and of many synapses."""
    monkeypatch.setattr(limits, "PRECOMPUTED_SYNAPSES", 0)
    monkeypatch.setattr(limits, "FAN_IN", 0)
    options = {"size": 3.0, "duration": 100 * ms}
    check_equal(results(kind, "cuda", **options), results(kind, "cpu", **options), READOUTS)


@pytest.mark.parametrize("kind", KINDS)
def test_arrivals_that_touch_two_groups(kind):
    check_both(lambda backend: touching(kind, True, backend=backend), touching_trials(n=20))


@pytest.mark.parametrize("name", reference.COUPLED)
def test_coupled_neurons(name):
    check_both(lambda backend: reference.model_of(reference.build(name), backend=backend))


@pytest.mark.parametrize(
    "rule, at_once", [*((rule, False) for rule in RULES), ("depression", True), ("bounded", True)]
)
def test_synapses_with_states(rule, at_once):
    check_both(
        lambda backend: plastic(rule, True, at_once=at_once, backend=backend)[0],
        plastic_trials(n=20),
    )


def check_both(build, spikes=None):
    found = []
    for backend in ("cuda", "cpu"):
        start_scope()
        model = build(backend)
        found.append(arrays_of(model.run(spikes), model.gradient(), model))
    check_equal(*found, READOUTS)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_batch_of_the_size_of_spoken_words(precision):
    expected, _ = run_small("cpu", **SPOKEN)
    found, _ = run_small("cuda", precision=precision, **SPOKEN)
    double = precision == "float64"
    check_equal(found, expected, READOUTS if double else 1e-4, 1e-10 if double else 1e-4)


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_hidden": 512, "max_delay": 62, "n_steps": 300},  # a ring of 248 or 124 KiB
        {"n_hidden": 3000, "synapses": 30_000, "n_steps": 100},  # several blocks for a trial
        {"n_hidden": 3000, "synapses": 30_000, "n_steps": 100, "trials": 80},  # states in memory
        {"n_hidden": 200, "axonal": True},
    ],
)
def test_large_networks(sizes):
    expected, _ = run_small("cpu", **sizes)
    check_equal(run_small("cuda", **sizes)[0], expected, READOUTS)
    single, other = (run_small(b, precision="float32", **sizes)[0] for b in ("cuda", "cpu"))
    for key, array in expected.items():
        if key[1] in ("sample", "i", "t"):
            continue  # within rounding of the threshold a spike comes a step earlier or later
        rounding = max(np.abs(other[key] - array).max(), 1e-4 * np.abs(array).max())
        np.testing.assert_allclose(single[key], array, rtol=0, atol=4 * rounding, err_msg=str(key))


def train(backend, kind=bep.Adam, **options):
    """The parameters after some epochs of batches that are copied ahead."""
    start_scope()
    model, spikes = small_networks.all_to_all(backend=backend, trials=40, n_hidden=100, **options)
    rates = {
        key: Quantity(1e-3, dim=model.parameters.dimension(key)) for key in model.parameters.keys
    }
    trainer = bep.Trainer(model, kind(rates))
    trainer.fit(spikes, epochs=3, batch_size=8, validation=spikes[np.arange(9)], progress=False)
    return {key: model.parameters.raw(key).copy() for key in model.parameters.keys}


@pytest.mark.parametrize("kind", [bep.Adam, bep.SGD])
def test_training_is_that_of_the_cpu(kind):
    found, expected = train("cuda", kind), train("cpu", kind)
    for key, array in expected.items():
        # gradients differ by the order of summation, 1e-14; Adam divides by their size
        atol = 1e-9 * np.abs(array).max()
        np.testing.assert_allclose(found[key], array, rtol=0, atol=atol, err_msg=str(key))


def test_two_trainings_give_the_same_bits():
    first, second = (train("cuda", precision="float32") for _ in range(2))
    for key, array in first.items():
        np.testing.assert_array_equal(second[key], array, err_msg=str(key))


def test_two_runs_give_the_same_bits():
    model, spikes = small_networks.all_to_all(backend="cuda", **SPOKEN)
    runs = [arrays_of(model.run(spikes), model.gradient(), model) for _ in range(2)]
    for key, array in runs[0].items():
        np.testing.assert_array_equal(runs[1][key], array, err_msg=str(key))


@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
@pytest.mark.parametrize("kind", ["lif", "adex", "training", "touching", "coupled"])
def test_the_sanitizer_finds_nothing(kind, tool):
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer, which comes with the CUDA toolkit, is not on the path")
    root = Path(__file__).parents[3]
    script = (
        "import brian2; brian2.prefs.codegen.target = 'numpy'\n"
        "import sys; sys.path.append('tests')\n"
        "from helpers.backends import results\n"
        "from runtime.cuda.test_device import train\n"
        "from brian_eventprop.plan.layouts import limits\n"
        "limits.PRECOMPUTED_SYNAPSES = limits.FAN_IN = 0\n"
    )
    if kind == "training":
        script += "train('cuda', n_steps=20)"
    elif kind == "touching":
        script += (
            "from helpers.networks.touching import touching, trials\n"
            "model = touching('all at once', True, backend='cuda')\n"
            "model.run(trials())\nmodel.gradient().inputs"
        )
    elif kind == "coupled":
        script += (
            "from helpers.networks import reference\n"
            "case = reference.build('coupled/conductance', 200 * brian2.us)\n"
            "model = reference.model_of(case, backend='cuda')\n"
            "model.run()\nmodel.gradient().inputs"
        )
    else:
        script += f"results({kind!r}, 'cuda', duration=20 * brian2.ms)"
    path = os.pathsep.join([str(root), str(root / "tests")])
    run = subprocess.run(
        [sanitizer, "--tool", tool, "--error-exitcode", "9", sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert run.returncode == 0, run.stdout + run.stderr
