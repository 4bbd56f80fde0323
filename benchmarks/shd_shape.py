"""One training batch of the shape of the Spiking Heidelberg Digits, in CPU time per synaptic event.

700 inputs with about 6400 spikes a trial, 256 recurrent LIF neurons, 20 readouts, 1000 steps of
1 ms, a trained weight and a trained delay of up to 62 steps on every synapse, batches of 32.
A synaptic event is one spike times one of its synapses, counted once for forward, backward and Adam
together.

    python benchmarks/shd_shape.py --threads 1
    python benchmarks/shd_shape.py --threads 1 --solver both
    python benchmarks/shd_shape.py --threads 1 2
"""

import argparse
import sys
import time

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms

import brian_eventprop as bep

LIF = """dv/dt = (I - v)/tau_m : 1
         dI/dt = -I/tau_s : 1"""


def spikes(rng, n_trials, n_inputs, n_steps, per_trial):
    """Input spikes as cochlear data have them: few busy channels, many silent ones, in a burst."""
    trials, channels, steps = [], [], []
    for trial in range(n_trials):
        rate = rng.lognormal(0, 1.2, n_inputs) * (rng.random(n_inputs) < 0.75)
        n = int(per_trial * rng.uniform(0.7, 1.3))
        channel = rng.choice(n_inputs, n, p=rate / rate.sum())
        step = np.clip(rng.normal(0.4, 0.18, n), 0, 0.93) * n_steps
        key = np.unique(step.astype(int) * n_inputs + channel)
        trials.append(np.full(len(key), trial))
        steps.append(key // n_inputs)
        channels.append(key % n_inputs)
    data = (np.concatenate(x) for x in (steps, channels, trials))
    step, channel, trial = data
    labels = rng.integers(0, 20, n_trials)
    return bep.SpikeData((step + 0.5) * 1e-3, channel, trial, n_trials, n_inputs, targets=labels)


def project(rng, source, target, weights, max_delay, p=1.0):
    """Connect with given weights and random delays."""
    synapses = Synapses(source, target, "w : 1", on_pre="I_post += w")
    pre, post = np.nonzero(rng.random(weights.shape) < p)
    synapses.connect(i=pre, j=post)
    synapses.w = weights[pre, post]
    synapses.delay = rng.integers(1, max_delay + 1, len(pre)) * ms
    return synapses


def network(
    rng, n_inputs=700, n_hidden=256, n_outputs=20, n_steps=1000, max_delay=62, p=1.0, **options
):
    """The network as an `EventPropModel` that trains all weights and delays."""
    defaultclock.dt = 1 * ms
    inputs = SpikeGeneratorGroup(n_inputs, [], [] * ms)
    hidden = NeuronGroup(n_hidden, LIF, threshold="v > 1", reset="v = 0", method="exact")
    output = NeuronGroup(n_outputs, LIF, method="exact")
    scale = 0.06 / p
    sizes = (n_inputs, n_hidden), (n_hidden, n_hidden), (n_hidden, n_outputs)
    w_in = rng.normal(0.35, 1.0, sizes[0]) * scale
    w_rec, w_out = (rng.normal(0, 0.6, s) / np.sqrt(n_hidden) for s in sizes[1:])
    parts = [
        project(rng, inputs, hidden, w_in, max_delay, p),
        project(rng, hidden, hidden, w_rec, max_delay, p),
        project(rng, hidden, output, w_out, max_delay, p),
    ]
    model = bep.EventPropModel(
        [inputs, hidden, output, *parts],
        train=[view for s in parts for view in (s.w, s.delay)],
        loss=bep.CrossEntropy(bep.Integral(output, "v*exp(-t/T)")),
        duration=n_steps * ms,
        namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
        **options,
    )
    rates = {s.w: 1e-3 for s in parts} | {s.delay: 0.01 * ms for s in parts}
    optimizer = bep.Adam(rates)
    optimizer.bind(model)
    return model, optimizer, hidden, parts


def events(data, result, hidden, parts):
    """Number of synaptic events of a batch."""
    fan_in, fan_rec, fan_out = (np.bincount(s.i, minlength=s.N_pre) for s in parts)
    sent = result.spikes[hidden].i
    return int(fan_in[data.channels].sum() + (fan_rec + fan_out)[sent].sum())


def without_synapses(
    sent, data, n_hidden=256, n_outputs=20, n_steps=1000, max_delay=62, p=1.0, **options
):
    """Return the same neurons without their projections, and inputs that make them spike alike.

    Each input lifts one hidden neuron over the threshold, a step before the spike it ``sent``.
    """
    del max_delay, p
    defaultclock.dt = 1 * ms
    inputs = SpikeGeneratorGroup(n_hidden, [], [] * ms)
    # what lifts a neuron in the step of a spike must outlive the reset
    hidden = NeuronGroup(n_hidden, LIF, threshold="v > 1", reset="v -= 3", method="exact")
    output = NeuronGroup(n_outputs, LIF, method="exact")
    lift = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w")
    lift.connect(j="i")
    lift.w = 3
    model = bep.EventPropModel(
        [inputs, hidden, output, lift],
        train=[lift.w],
        loss=bep.CrossEntropy(bep.Integral(output, "v*exp(-t/T)")),
        duration=n_steps * ms,
        namespace={"tau_m": 20 * ms, "tau_s": 5 * ms},
        **options,
    )
    optimizer = bep.Adam({lift.w: 0.0})
    optimizer.bind(model)
    times = sent.t / ms * 1e-3 - 0.5e-3  # in the middle of the step before
    trials = np.asarray(sent.sample)
    lifts = bep.SpikeData(times, sent.i, trials, data.n_trials, n_hidden, targets=data.targets)
    return model, optimizer, hidden, lifts


def fastest(model, optimizer, data, repeats):
    """Return CPU and wall seconds of a batch, each the least of several, and the last result."""
    best = (np.inf, np.inf)
    for _ in range(repeats + 1):  # the first one compiles
        cpu, wall = time.process_time(), time.perf_counter()
        result = model.run(data)
        optimizer.step(model.gradient_arrays())
        took = time.process_time() - cpu, time.perf_counter() - wall
        best = min(best[0], took[0]), min(best[1], took[1])
    return *best, result


def measure(n_trials=32, repeats=5, seed=0, per_step=7, bare=False, **shape):
    """Return (CPU seconds, wall seconds, events, hidden spikes), the least of several batches.

    ``per_step`` is the mean number of input spikes in a time step.  With `bare` the CPU seconds of
    the same neurons with the same spikes, but without synapses, come last.
    """
    rng = np.random.default_rng(seed)
    model, optimizer, hidden, parts = network(rng, **shape)
    n_inputs, n_steps = shape.pop("n_inputs", 700), shape.get("n_steps", 1000)
    data = spikes(rng, n_trials, n_inputs, n_steps, per_step * n_steps)
    cpu, wall, result = fastest(model, optimizer, data, repeats)
    sent = result.spikes[hidden]
    found = cpu, wall, events(data, result, hidden, parts), len(sent)
    if not bare:
        return found
    model, optimizer, hidden, lifts = without_synapses(sent, data, **shape)
    cpu, _, result = fastest(model, optimizer, lifts, repeats)
    if len(result.spikes[hidden]) != len(sent):
        raise RuntimeError("without synapses there are other spikes")
    return *found, cpu


def in_turn(threads, n_trials=32, repeats=30, seed=0, **shape):
    """Return wall seconds (repeats, numbers of threads) of batches with each number in turn.

    What else the machine has to do then slows all of them down alike.
    """
    models = []
    for number in threads:
        rng = np.random.default_rng(seed)
        model, _, _, parts = network(rng, threads=number, **shape)
        # the same spikes in every step
        optimizer = bep.Adam({s.w: 0.0 for s in parts} | {s.delay: 0 * ms for s in parts})
        optimizer.bind(model)
        data = spikes(rng, n_trials, 700, shape.get("n_steps", 1000), 7000)
        fastest(model, optimizer, data, 1)
        models.append((model, optimizer, data))
    return np.array([[fastest(*each, 0)[1] for each in models] for _ in range(repeats)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--max-delay", type=int, default=62)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--solver", default="clock", choices=("clock", "event", "both"))
    chosen = parser.parse_args()

    def options(solver):
        """Return what the programs here and the model need to know."""
        precision = "float64" if solver == "event" else chosen.precision
        shape = {"n_hidden": chosen.hidden, "max_delay": chosen.max_delay}
        return {**shape, "precision": precision, "solver": solver}

    if len(chosen.threads) > 1:
        if chosen.solver == "both":
            parser.error("with several numbers of threads, choose one solver")
        walls = in_turn(chosen.threads, chosen.batch, **options(chosen.solver))
        for number, wall in zip(chosen.threads, walls.T, strict=True):
            print(
                f"{number} threads: {np.median(wall):.4f} s wall, the median of {len(wall)}; "
                f"{np.median(walls[:, 0] / wall):.2f} times as fast as {chosen.threads[0]}"
            )
        sys.exit()
    costs = {}
    for solver in ("clock", "event") if chosen.solver == "both" else (chosen.solver,):
        cpu, wall, n, n_spikes = measure(chosen.batch, threads=chosen.threads[0], **options(solver))
        costs[solver] = cpu / n * 1e9
        print(
            f"{solver}: {n / 1e6:.1f} M synaptic events, "
            f"{n_spikes / chosen.batch / chosen.hidden:.1f} spikes per hidden neuron: "
            f"{cpu:.3f} s CPU, {wall:.3f} s wall, {costs[solver]:.2f} ns CPU per event"
        )
    if len(costs) == 2:
        print(f"event / clock: {costs['event'] / costs['clock']:.2f}")
