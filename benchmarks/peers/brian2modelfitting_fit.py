"""Fits one recording with brian2modelfitting; runs in an environment of its own, see requirements.

python brian2modelfitting_fit.py recording.npz result.json
"""

import json
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
vars(np)["float"] = float  # which its Nevergrad (0.3) expects of an older NumPy
from brian2 import Quantity, amp, ms, prefs, second, siemens, volt  # noqa: E402
from brian2.units import farad  # noqa: E402
from brian2modelfitting import (  # noqa: E402
    GammaFactor,
    MSEMetric,
    NevergradOptimizer,
    SpikeFitter,
    TraceFitter,
)

UNITS = {"siemens": siemens, "farad": farad, "amp": amp, "second": second, "volt": volt}


def main(given, result):
    data = np.load(given, allow_pickle=True)
    task = json.loads(str(data["task"]))
    prefs.codegen.target = task["target"]
    dt = float(data["dt"]) * second
    current = data["input"] * amp
    namespace = {k: Quantity(v, dim=UNITS[u].dim) for k, (v, u) in task["namespace"].items()}
    globals().update(namespace)  # where the fitter looks for names
    bounds = {k: Quantity(v, dim=UNITS[u].dim) for k, (v, u) in task["bounds"].items()}
    common = {"dt": dt, "n_samples": task["n_samples"], "method": task["method"]}
    common["param_init"] = {"v": task["v"] * volt}
    if task["kind"] == "spikes":
        spikes = [train * second for train in data["output"]]
        fitter = SpikeFitter(
            model=task["model"], input=current, output=spikes, reset=task["reset"],
            threshold=task["threshold"], **common,
        )  # fmt: skip
        metric = GammaFactor(delta=4 * ms, time=current.shape[1] * dt)
    else:
        fitter = TraceFitter(
            model=task["model"], input_var="I", input=current, output_var="v",
            output=data["output"] * volt, **common,
        )  # fmt: skip
        metric = MSEMetric(normalization=float(np.std(data["output"])))
    # what is compiled is not measured
    optimizer = NevergradOptimizer(task["nevergrad"])
    fitter.fit(optimizer=optimizer, metric=metric, n_rounds=1, callback=None, **bounds)
    start = time.perf_counter()
    fitter.fit(
        optimizer=optimizer, metric=metric, n_rounds=task["rounds"] - 1, callback=None, **bounds
    )
    found = {"fit": _plain(fitter.best_params), "fit_s": time.perf_counter() - start}
    if task["kind"] == "traces":
        start = time.perf_counter()
        refined, _ = fitter.refine(callback=None, max_nfev=task["refine"])
        found |= {"refine": _plain(refined), "refine_s": time.perf_counter() - start}
    with open(result, "w") as file:
        json.dump(found, file)


def _plain(params):
    return {name: float(value) for name, value in params.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
