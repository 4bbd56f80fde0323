"""Time and peak memory of large networks and long trials, forward and backward.

- ``neurons``: 100,000 recurrent LIF neurons with 100 synapses each, 10 million in all, every weight
  and every delay trained; one trial of 200 ms.
- ``middle``: 10,000 of them with 100 synapses each, one trial of 1 s.
- ``long``: 200 of them, one trial of 60 s: 600,000 time steps.
- ``conductances``: the same 200 for 60 s as conductances, whose states the backward pass reads.

Each runs in a process of its own.  Reported are the seconds of building the model, of the first run
and gradient (compilation with it), of the next ones, and the peak of resident memory, Brian2's own
arrays with it; a run that passes 4 GiB is marked.

    python benchmarks/large.py
    python benchmarks/large.py --only long
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, prefs

import brian_eventprop as bep

LIMIT = 4096  # MiB
RATE = 10.0  # Hz, of the input channels

#: Neurons, synapses of each, channels of input, synapses of each channel, duration in ms, kind.
NETWORKS = {
    "neurons": (100_000, 100, 1000, 1000, 200, "currents"),
    "middle": (10_000, 100, 1000, 100, 1000, "currents"),
    "long": (200, 40, 100, 20, 60_000, "currents"),
    "conductances": (200, 40, 100, 20, 60_000, "conductances"),
}
EQUATIONS = {
    "currents": """dv/dt = (I - v)/(20*ms) : 1 (unless refractory)
                   dI/dt = -I/(5*ms) : 1""",
    "conductances": """dv/dt = (I*(3 - v) - v)/(20*ms) : 1 (unless refractory)
                       dI/dt = -I/(5*ms) : 1""",
}


def connect(rng, source, target, each, scale, name):
    """Synapses from every source onto `each` targets, with delays of 1 to 10 ms."""
    synapses = Synapses(source, target, "w : 1", on_pre="I_post += w", name=name)
    i = np.repeat(np.arange(len(source)), each)
    synapses.connect(i=i, j=rng.integers(0, len(target), len(i)))
    synapses.w = scale * rng.normal(1.0, 1.0, len(i))
    synapses.delay = rng.uniform(1, 10, len(i)) * ms
    return synapses


def build(n, each, channels, fan_out, duration, kind):
    """The model and its input spikes."""
    rng = np.random.default_rng(0)
    defaultclock.dt = 0.1 * ms
    inputs = SpikeGeneratorGroup(channels, [], [] * ms, name="inputs")
    method = "exact" if kind == "currents" else "exponential_euler"
    cells = NeuronGroup(
        n, EQUATIONS[kind], threshold="v > 1", reset="v = 0", refractory=2 * ms, method=method,
        name="cells",
    )  # fmt: skip
    per_cell = channels * fan_out / n
    driving = connect(rng, inputs, cells, fan_out, 1.2 / (per_cell * RATE * 5e-3), "driving")
    recurrent = connect(rng, cells, cells, each, 0.1 / each**0.5, "recurrent")
    model = bep.EventPropModel(
        [inputs, cells, driving, recurrent],
        train=[driving.w, recurrent.w, recurrent.delay],
        loss=bep.Sum(bep.Integral(cells, "v/ms")),
        duration=duration * ms,
    )
    steps = 10 * duration
    spikes = np.unique(rng.integers(0, steps * channels, int(channels * RATE * duration * 1e-3)))
    step, channel = np.divmod(spikes, channels)  # one spike of a channel at most in a time step
    data = bep.SpikeData(step * 1e-4, channel, np.zeros(len(spikes), int), 1, channels)
    return model, data


def measure(name):
    """Build, run and differentiate one network; print a line of JSON."""
    prefs.codegen.target = "numpy"
    start = time.perf_counter()
    model, data = build(*NETWORKS[name])
    found = {"build": time.perf_counter() - start}
    for when in ("first", "next"):
        start = time.perf_counter()
        result = model.run(data)
        middle = time.perf_counter()
        model.gradient()
        found |= {f"{when} forward": middle - start}
        found |= {f"{when} backward": time.perf_counter() - middle}
    found["spikes"] = len(result.spikes["cells"].t)
    found["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--measure", choices=NETWORKS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measure(chosen.measure)
        return
    print("| network | spikes | build | first forward, backward | next forward, backward | peak |")
    print("|---|---|---|---|---|---|")
    for name in [chosen.only] if chosen.only else NETWORKS:
        command = [sys.executable, __file__, "--measure", name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"| {name} | failed: {done.stderr.strip().splitlines()[-1:]} |")
            continue
        found = json.loads(done.stdout.strip().splitlines()[-1])
        times = ["{:.1f} s, {:.1f} s".format(*(found[f"{when} {way}"] for way in
                 ("forward", "backward"))) for when in ("first", "next")]  # fmt: skip
        mark = "" if found["MiB"] <= LIMIT else " (over 4 GiB)"
        peak = f"{found['MiB']:.0f} MiB{mark}"
        row = name, found["spikes"], f"{found['build']:.1f} s", *times, peak
        print("|", " | ".join(map(str, row)), "|")


if __name__ == "__main__":
    main()
