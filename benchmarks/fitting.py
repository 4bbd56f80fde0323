"""Neurons fitted to recordings whose truth is known, beside brian2modelfitting on the same budget.

An AdEx neuron to the spikes of four noisy currents (five parameters), a Hodgkin-Huxley neuron to
the traces of three current steps (three parameters).  Every seed draws other true parameters within
the bounds, Brian2 makes the recordings, and every tool may simulate as many neurons: ``rounds``
batches of ``samples``.  Recovered is a parameter within 2 % of the truth.

    python benchmarks/fitting.py --seeds 20 --peer env/bin/python

``--peer`` is the Python of an environment with brian2modelfitting 0.4, which needs older packages:
"numpy<2" "brian2<2.8" "setuptools<70" "bayesian-optimization<1.5" "scikit-learn<1.5" "cython<3.1".
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from brian2 import (
    Equations,
    NeuronGroup,
    Quantity,
    SpikeMonitor,
    StateMonitor,
    TimedArray,
    amp,
    farad,
    prefs,
    second,
    siemens,
    volt,
)
from brian2 import Network as BrianNetwork

import brian_eventprop as bep

UNITS = {"siemens": siemens, "farad": farad, "amp": amp, "second": second, "volt": volt}
ADEX = {
    "kind": "spikes",
    "model": """dv/dt = (g_L*(E_L - v) + g_L*D_T*exp((v - V_T)/D_T) - w + I)/C : volt
                dw/dt = (a*(v - E_L) - w)/tau_w : amp
                g_L : siemens (constant)
                C : farad (constant)
                a : siemens (constant)
                b : amp (constant)
                tau_w : second (constant)""",
    "threshold": "v > -0.04*volt",
    "reset": "v = V_r; w += b",
    "namespace": {
        "E_L": [-0.070, "volt"], "D_T": [0.002, "volt"], "V_T": [-0.050, "volt"],
        "V_r": [-0.058, "volt"],
    },
    "bounds": {
        "g_L": [[3e-9, 30e-9], "siemens"], "C": [[60e-12, 600e-12], "farad"],
        "a": [[0.0, 10e-9], "siemens"], "b": [[0.0, 150e-12], "amp"],
        "tau_w": [[0.02, 0.3], "second"],
    },
    "v": -0.070,
    "dt": 1e-4,
}  # fmt: skip
HODGKIN_HUXLEY = {
    "kind": "traces",
    "model": """dv/dt = (g_l*(E_l - v) - g_na*m**3*h*(v - E_na) - g_k*n**4*(v - E_k) + I)/C : volt
        dm/dt = 0.32*(13*mV - v + V_T)/mV/(exp((13*mV - v + V_T)/(4*mV)) - 1)/ms*(1 - m)
            - 0.28*(v - V_T - 40*mV)/mV/(exp((v - V_T - 40*mV)/(5*mV)) - 1)/ms*m : 1
        dn/dt = 0.032*(15*mV - v + V_T)/mV/(exp((15*mV - v + V_T)/(5*mV)) - 1)/ms*(1 - n)
            - 0.5*exp((10*mV - v + V_T)/(40*mV))/ms*n : 1
        dh/dt = 0.128*exp((17*mV - v + V_T)/(18*mV))/ms*(1 - h)
            - 4/(1 + exp((40*mV - v + V_T)/(5*mV)))/ms*h : 1
        g_na : siemens (constant)
        g_k : siemens (constant)
        g_l : siemens (constant)""",
    "threshold": None,
    "reset": None,
    "namespace": {
        "E_l": [-0.065, "volt"], "E_k": [-0.090, "volt"], "E_na": [0.050, "volt"],
        "V_T": [-0.063, "volt"], "C": [200e-12, "farad"],
    },
    "bounds": {
        "g_l": [[1e-9, 1e-7], "siemens"], "g_na": [[2e-6, 2e-4], "siemens"],
        "g_k": [[6e-7, 6e-5], "siemens"],
    },
    "v": -0.065,
    "dt": 2e-5,
}  # fmt: skip
for task in (ADEX, HODGKIN_HUXLEY):
    task["method"] = "exponential_euler"
TASKS = {"AdEx": ADEX, "Hodgkin-Huxley": HODGKIN_HUXLEY}
#: The optimiser of the search; all but the last is this package.
TOOLS = {
    "exact gradients": None,
    "SciPy's differential evolution": "differential_evolution",
    "brian2modelfitting": "DE",
}


def inputs(task, rng):
    """Return currents (recordings, steps) in ampere."""
    if task["kind"] == "spikes":
        noise, rho = np.zeros((4, 5000)), np.exp(-0.1 / 5)
        for k in range(1, noise.shape[1]):
            noise[:, k] = rho * noise[:, k - 1] + np.sqrt(1 - rho**2) * rng.normal(size=4)
        current = (np.array([[250.0], [400.0], [550.0], [700.0]]) + 120 * noise) * 1e-12
        current[:, :200] = 0
        return current
    current = np.zeros((3, 2500))
    current[:, 250:2250] = np.array([[0.1], [0.5], [1.0]]) * 1e-9
    return current


def draw_truth(task, rng):
    """Return true parameters in the middle half of the bounds, of wide ones in logarithms."""
    truth = {}
    for name, ((low, high), _) in task["bounds"].items():
        part = rng.uniform(0.25, 0.75)
        wide = low > 0 and high >= 10 * low
        truth[name] = low * (high / low) ** part if wide else low + part * (high - low)
    return truth


def quantities(named):
    """Return numbers with units by name."""
    return {name: Quantity(value, dim=UNITS[unit].dim) for name, (value, unit) in named.items()}


def record(task, current, truth):
    """Return what Brian2 records: spike times, or traces."""
    dt = task["dt"] * second
    namespace = quantities(task["namespace"])
    namespace["injected"] = TimedArray(current.T * amp, dt=dt)
    equations = Equations(task["model"]) + Equations("I = injected(t, i) : amp")
    group = NeuronGroup(
        len(current), equations, threshold=task["threshold"], reset=task["reset"],
        method=task["method"], dt=dt, namespace=namespace,
    )  # fmt: skip
    group.v = task["v"] * volt
    for name, value in truth.items():
        setattr(group, name, Quantity(value, dim=UNITS[task["bounds"][name][1]].dim))
    spikes = task["kind"] == "spikes"
    monitor = SpikeMonitor(group) if spikes else StateMonitor(group, "v", record=True, dt=dt)
    BrianNetwork(group, monitor).run(current.shape[1] * dt)
    if spikes:
        return [np.asarray(monitor.spike_trains()[k]) for k in range(len(current))]
    return np.asarray(monitor.v)


def fit_here(task, current, output, options, optimizer, seed):
    """Fit with this package; return parameters and seconds of the search and of least squares."""
    dt, bounds = task["dt"] * second, quantities(task["bounds"])
    common = {
        "n_samples": options.samples, "method": task["method"],
        "param_init": {"v": task["v"] * volt}, "namespace": quantities(task["namespace"]),
    }  # fmt: skip
    if task["kind"] == "spikes":
        fitter = bep.fit.SpikeFitter(
            task["model"], current * amp, [t * second for t in output], dt,
            threshold=task["threshold"], reset=task["reset"], **common,
        )  # fmt: skip
    else:
        fitter = bep.fit.TraceFitter(
            task["model"], "I", current * amp, "v", output * volt, dt, **common
        )
    chosen = {} if optimizer is None else {"optimizer": optimizer}
    start = time.perf_counter()
    params, _ = fitter.fit(options.rounds, seed=seed, bounds=bounds, **chosen)
    between = time.perf_counter()
    refined, _ = fitter.refine(max_nfev=options.refine)
    seconds = between - start, time.perf_counter() - between
    plain = [{name: float(value) for name, value in found.items()} for found in (params, refined)]
    return {"fit": plain[0], "refine": plain[1], "fit_s": seconds[0], "refine_s": seconds[1]}


def fit_peer(task, current, output, options, optimizer):
    """Fit with brian2modelfitting, in its own environment."""
    told = {**task, "n_samples": options.samples, "rounds": options.rounds,
            "nevergrad": optimizer, "refine": options.refine * 4, "target": "cython"}  # fmt: skip
    if task["kind"] == "spikes":
        rows = np.empty(len(output), dtype=object)
        rows[:] = output
        output = rows
    script = Path(__file__).parent / "peers" / "brian2modelfitting_fit.py"
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "recording.npz", Path(folder) / "result.json"
        np.savez(given, input=current, output=output, dt=task["dt"], task=json.dumps(told))
        command = [options.peer, str(script), str(given), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if done.returncode:
            raise RuntimeError(done.stderr[-4000:])
        return json.loads(result.read_text())


def recovered(found, truth):
    """Return which parameters are within 2 % of the truth."""
    return [abs(found[name] / value - 1) < 0.02 for name, value in truth.items()]


def main():
    """Run all tools on all recordings and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--samples", type=int, default=30)
    parser.add_argument("--refine", type=int, default=30, help="steps of least squares at most")
    parser.add_argument("--peer", help="Python of an environment with brian2modelfitting")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    options = parser.parse_args()
    prefs.codegen.target = "numpy"
    tools = [tool for tool in TOOLS if options.peer or tool != "brian2modelfitting"]
    shares = {}
    for name in options.tasks:
        task = TASKS[name]
        for seed in range(options.seeds):
            rng = np.random.default_rng(seed)
            current, truth = inputs(task, rng), draw_truth(task, rng)
            output = record(task, current, truth)
            if not seed:  # compile
                few = argparse.Namespace(**{**vars(options), "rounds": 5, "refine": 1})
                fit_here(task, current, output, few, None, seed)
            for tool in tools:
                if tool == "brian2modelfitting":
                    found = fit_peer(task, current, output, options, TOOLS[tool])
                else:
                    found = fit_here(task, current, output, options, TOOLS[tool], seed)
                for stage in ("fit", "refine"):
                    if stage in found:
                        own = recovered(found[stage], truth), found[f"{stage}_s"]
                        shares.setdefault((name, tool, stage), []).append(own)
                        print(name, seed, tool, stage, own[0], f"{own[1]:.1f} s", flush=True)
    print(f"\n{options.seeds} seeds, {options.rounds} rounds of {options.samples} neurons\n")
    print("| neuron | tool | stage | parameters within 2 % | seeds with all | seconds |")
    print("|---|---|---|---|---|---|")
    for (name, tool, stage), rows in shares.items():
        right = np.array([row[0] for row in rows])
        seconds = np.median([row[1] for row in rows])
        stage = {"fit": "search", "refine": "then least squares"}[stage]
        print(
            f"| {name} | {tool} | {stage} | {right.mean():.0%} | {right.all(axis=1).mean():.0%} "
            f"| {seconds:.1f} |"
        )


if __name__ == "__main__":
    main()
