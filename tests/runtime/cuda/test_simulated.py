"""Numba's simulator of a GPU runs the CUDA kernels, too: a small network, in its own process."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.backends import trained
from helpers.networks import small as small_networks

from brian_eventprop.plan.layouts import limits

if importlib.util.find_spec("_numba_cuda_redirector") is None:
    pytest.skip("numba-cuda is not installed", allow_module_level=True)

SIZES = {"n_inputs": 4, "n_hidden": 5, "n_steps": 35, "max_delay": 6, "trials": 2}

SCRIPT = f"""
import json
import brian2
brian2.prefs.codegen.target = "numpy"
from helpers.networks import small as small_networks
from helpers.backends import trained
from brian_eventprop.plan.layouts import limits
limits.PRECOMPUTED_SYNAPSES = limits.FAN_IN = 0  # the kernels of inputs, too
model, spikes = small_networks.all_to_all(backend="cuda", **{SIZES})
result = model.run(spikes)
gradients = model.gradient()
found = {{"i": result.spikes["hidden"].i.tolist(), "losses": result.losses.tolist()}}
for key in model.parameters.keys:
    found[".".join(key)] = gradients.raw(key).tolist()
found["inputs"] = [float(grad) for grad in gradients.inputs]
found["trained"] = trained(model, spikes)
print(json.dumps(found))
"""


def test_a_small_network(monkeypatch):
    for least in ("PRECOMPUTED_SYNAPSES", "FAN_IN"):
        monkeypatch.setattr(limits, least, 0)
    root = Path(__file__).parents[3]
    path = os.pathsep.join([str(root), str(root / "tests"), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    model, spikes = small_networks.all_to_all(backend="cpu", **SIZES)
    result, gradients = model.run(spikes), model.gradient()
    assert len(found["i"]) > 5
    np.testing.assert_array_equal(found["i"], result.spikes["hidden"].i)
    np.testing.assert_array_equal(found["losses"], result.losses)
    for key in model.parameters.keys:
        expected = gradients.raw(key)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[".".join(key)], expected, rtol=0, atol=1e-10 * scale)
    expected = np.asarray(gradients.inputs)
    np.testing.assert_allclose(found["inputs"], expected, atol=1e-10 * np.abs(expected).max())
    for name, expected in trained(model, spikes).items():
        np.testing.assert_allclose(found["trained"][name], expected, rtol=1e-9, atol=1e-12)
