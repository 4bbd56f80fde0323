"""One training step on a GPU: forward, backward and Adam, beside other tools on the same device.

Two shapes, batches of 256 trials, a trained weight and a trained delay on every synapse:

- paper: 700 inputs, two feed-forward hidden layers of 256 neurons, 20 readouts, 1127 steps, delays
  of up to 512 steps (Mészáros, Knight & Nowotny 2025);
- recurrent: 700 inputs, 512 recurrent neurons, 20 readouts, 1000 steps, delays of up to 62 steps,
  the shape of the Spiking Heidelberg Digits.

Reported are the wall time of a step (forward, backward, update and the copy of the next batch),
the device's own time kernel by kernel, the memory on the device, and the shares of its memory
bandwidth and of the instructions it can issue that the step needs by counting.  DCLS and mlGeNN run
beside if they are installed (paper shape only; see benchmarks/README.md).  What was measured is
printed, one line of JSON each, and written as a table named after the device.

    python benchmarks/gpu.py [--shape paper|recurrent] [--repeats 10] [--results benchmarks/results]
"""

import argparse
import gc
import json
import re
import sys
import time
from pathlib import Path

import memory
import numpy as np
import shd_shape

sys.path.insert(0, str(Path(__file__).parent / "peers"))

SHAPES = {
    "paper": {"n_inputs": 700, "n_hidden": 256, "n_outputs": 20, "n_steps": 1127, "max_delay": 512},
    "recurrent": {
        "n_inputs": 700, "n_hidden": 512, "n_outputs": 20, "n_steps": 1000, "max_delay": 62,
    },
}  # fmt: skip
BATCH = 256
#: Instructions of a thread for one synaptic event, counted in the PTX of the kernels in single
#: precision.  Of an input: 16 in `drive_dense`, each time that a block looks at a spike, and 19 in
#: `collect_dense` for both of its sums; of a group: 36 in `forward`, 34 in `backward`, 19 again.
LOOKING, INPUT, GROUP = 16, 19, 89


def median_step(step, synchronize, repeats):
    """Return the median wall time of a step; the first ones compile and are not counted."""
    for _ in range(2):
        step()
    synchronize()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def ours(name, repeats):
    """Measure brian-eventprop."""
    from brian_eventprop.codegen.cuda.package import cuda

    rng, shape = np.random.default_rng(0), SHAPES[name]
    build = memory.network if name == "paper" else shd_shape.network
    options = {"backend": "cuda", "precision": "float32"}
    model, optimizer, *rest = build(rng, **shape, **options)
    data = shd_shape.spikes(rng, BATCH, shape["n_inputs"], shape["n_steps"], 8000)
    gc.collect()  # what another shape left on the device
    free, _ = cuda.current_context().get_memory_info()
    found = {}

    def step():
        found.clear()  # else its spikes would be copied to the host first
        found["result"] = training_step(model, optimizer, data)

    seconds = median_step(step, cuda.synchronize, repeats)
    used = free - cuda.current_context().get_memory_info()[0]
    n = events(name, data, found.pop("result"))
    share = (cuda.get_current_device(), name, n)
    kernels = device_times(model.runtime.device, step)
    busy = sum(kernels.values())
    return {
        "seconds": seconds,
        "device seconds": busy,
        "device seconds by kernel": kernels,
        "device MiB": used / 2**20,
        "of these our arrays, MiB": model.runtime.memory / 2**20,
        "million synaptic events": sum(n) / 1e6,
        **limits(*share, busy),
    }


def training_step(model, optimizer, data):
    """Run, differentiate and update, as the trainer does, with the same batch as the next one."""
    result = model.run(data)
    gradients = model.gradient_arrays()
    model.look_ahead(data)
    assert not gradients.suspect()
    optimizer.step(gradients)
    return result


def device_times(device, step):
    """Return the seconds that each kernel takes in one step, between marks on the device."""
    launch, marks, found = device.launch, [], {}

    def timed(kernel, *arguments, **more):
        before = device.event()
        launch(kernel, *arguments, **more)
        name = getattr(kernel, "py_func", kernel).__name__
        marks.append((name, before, device.event()))

    device.launch = timed
    try:
        step()
    finally:
        device.launch = launch
    for name, before, after in marks:
        device.finish(after)
        found[name] = found.get(name, 0.0) + before.elapsed_time(after) * 1e-3
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def looks(name):
    """Return how many blocks add inputs up for a neuron, and how many of them look at a spike."""
    from brian_eventprop.codegen.cuda.inputs import drive_cells, drive_shape
    from brian_eventprop.codegen.cuda.target import Target

    shape, most = SHAPES[name], 256
    steps, delay = shape["n_steps"], shape["max_delay"]
    _, length = drive_shape(shape["n_hidden"], steps, delay, most, drive_cells(Target(), 4))
    blocks = -(-steps // length)
    return blocks, min(blocks, 1 + delay / length)


def traffic(name, n):
    """Return the bytes that a step has to move, in single precision, for n synaptic events.

    ``n`` are those of inputs and those of groups.  Forwards a weight and a delay per event of a
    group, or per synapse of an input and block that adds it up, and the sums are written and read;
    the record of what arrivals are worth is written and read once; of it, for each trial, two sums
    per synapse are read with the delay, and written; the optimiser has six numbers in double
    precision for each weight and each delay, and a gradient.
    """
    shape = SHAPES[name]
    inputs, hidden, outputs = shape["n_inputs"], shape["n_hidden"], shape["n_outputs"]
    if name == "paper":
        neurons, synapses = 2 * hidden + outputs, hidden * (inputs + hidden + outputs)
    else:
        neurons, synapses = hidden + outputs, hidden * (inputs + hidden + outputs)
    record = 2 * BATCH * shape["n_steps"] * neurons * 2 * 4
    sums = BATCH * synapses * 2 * (2 + 4 + 4)
    ahead = BATCH * hidden * (inputs * looks(name)[0] * (4 + 2) + 2 * shape["n_steps"] * 4)
    return n[1] * (4 + 2) + ahead + record + sums + 2 * synapses * 7 * 8


def events(name, data, result):
    """Return how many spikes times synapses there were, of inputs and of groups."""
    shape = SHAPES[name]
    sent = [len(trains) for trains in result.spikes.values()]
    hidden, outputs = shape["n_hidden"], shape["n_outputs"]
    onwards = [hidden, outputs] if name == "paper" else [hidden + outputs]
    of_groups = sum(n * fan for n, fan in zip(sent[: len(onwards)], onwards, strict=True))
    return len(data.times) * hidden, of_groups


def limits(device, name, n, seconds):
    """Return the shares of the device's limits that a step takes, by counting."""
    nbytes = traffic(name, n)
    instructions = n[0] * (INPUT + LOOKING * looks(name)[1]) + n[1] * GROUP
    bandwidth = 2 * device.MEMORY_CLOCK_RATE * 1e3 * device.GLOBAL_MEMORY_BUS_WIDTH / 8
    # four warps of 32 threads a cycle
    issue = device.MULTIPROCESSOR_COUNT * device.CLOCK_RATE * 1e3 * 4 * 32
    return {
        "share of memory bandwidth": nbytes / seconds / bandwidth if bandwidth else None,
        "share of issue limit": instructions / seconds / issue,
    }


def task_of(name):
    """Return the task as the programs of the peers know it."""
    return {**SHAPES[name], "dt_ms": 1.0, "threads": 1}


def peer_events(name):
    """Return the same kind of batch for the peers."""
    from measuring import Events

    shape = SHAPES[name]
    data = shd_shape.spikes(
        np.random.default_rng(0), BATCH, shape["n_inputs"], shape["n_steps"], 8000
    )
    return Events((data.times * 1e3).astype(int), data.channels, data.trials, data.targets)


def dcls(name, repeats):
    """Measure DCLS in PyTorch."""
    import torch

    torch.set_default_device("cuda")
    import dcls as program

    prepare, step, _ = program.build(task_of(name))
    batch = prepare(peer_events(name))
    torch.cuda.reset_peak_memory_stats()
    seconds = median_step(lambda: step(batch), torch.cuda.synchronize, repeats)
    return {"seconds": seconds, "device MiB": torch.cuda.max_memory_reserved() / 2**20}


def mlgenn(name, repeats):
    """Measure mlGeNN's EventProp on GeNN's CUDA backend."""
    import mlgenn as program
    from ml_genn.compilers import EventPropCompiler
    from ml_genn.optimisers import Adam

    given, task = peer_events(name), task_of(name)
    most = int(np.bincount(given.trial).max())
    net, source, target, connections = program.network(task, most)
    compiler = EventPropCompiler(
        example_timesteps=task["n_steps"], losses="sparse_categorical_crossentropy",
        max_spikes=1500, dt=1.0, batch_size=BATCH, optimiser=Adam(1e-3),
        delay_optimiser=Adam(1e-2), delay_learn_conns=connections, backend="cuda",
    )  # fmt: skip
    from ml_genn.utils.data import preprocess_spikes

    each = [given.trial == trial for trial in range(BATCH)]
    spikes = [
        preprocess_spikes(given.step[kept] * 1.0, given.channel[kept], task["n_inputs"])
        for kept in each
    ]
    with compiler.compile(net) as compiled:

        def step():
            compiled.train({source: spikes}, {target: given.labels}, num_epochs=1, callbacks=[])

        return {"seconds": median_step(step, lambda: None, repeats)}


def table(rows, device):
    """Return what was measured as a page of Markdown."""
    ours = {row["shape"]: row["seconds"] for row in rows if row.get("device seconds")}
    lines = [f"# A training step on one {device}", ""]
    lines += [f"`python benchmarks/gpu.py`, batches of {BATCH}; see the head of that file.", ""]
    lines += ["| shape | tool | a step, ms | beside ours | MiB on the device |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for row in rows:
        shape, tool = row["shape"], row["tool"]
        if "seconds" in row:
            took, memory = row["seconds"], row.get("device MiB")
            ratio = f"{took / ours[shape]:.1f}" if shape in ours else ""
            memory = "" if memory is None else f"{memory:.0f}"
            lines.append(f"| {shape} | {tool} | {took * 1e3:.1f} | {ratio} | {memory} |")
        else:
            lines.append(f"| {shape} | {tool} | {row.get('failed') or row['not measured']} | | |")
    for row in rows:
        if "device seconds" in row:
            events, kernels = row["million synaptic events"], row["device seconds by kernel"]
            each = row["seconds"] / events * 1e3
            head = f"{events:.0f} million synaptic events, {each:.3f} ns each"
            lines += ["", f"## {row['shape']}: {head}"]
            lines += ["", "| kernel | ms |", "| --- | --- |"]
            lines += [f"| {k} | {t * 1e3:.2f} |" for k, t in kernels.items() if t > 1e-4]
            lines += [""] + [f"{k}: {row[k]:.1%}" for k in row if k.startswith("share") and row[k]]
    return "\n".join(lines) + "\n"


def main(shapes, repeats, results):
    """Measure, print one line of JSON for every tool and shape, and write the table."""
    from brian_eventprop.runtime.cuda.device import CudaDevice

    try:
        CudaDevice()
    except (ImportError, RuntimeError) as error:
        raise SystemExit(f"Nothing was measured: {error}") from None
    tools, rows = {"brian-eventprop": ours, "DCLS": dcls, "mlGeNN": mlgenn}, []
    for shape in shapes:
        for tool, measure in tools.items():
            if shape != "paper" and measure is not ours:
                continue
            try:
                found = measure(shape, repeats)
            except ImportError as error:
                found = {"not measured": f"{error.name or error} is not installed"}
            except Exception as error:  # a peer that fails must not hide the others
                found = {"failed": f"{type(error).__name__}: {error}"}
            rows.append({"shape": shape, "tool": tool} | found)
            print(json.dumps(rows[-1]), flush=True)
    from brian_eventprop.codegen.cuda.package import cuda

    device = cuda.get_current_device().name
    device = device.decode() if isinstance(device, bytes) else device
    name = re.sub(r"\W+", "-", device.lower())
    Path(results, f"gpu_{name}.md").write_text(table(rows, device))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--results", default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    main(chosen.shape or list(SHAPES), chosen.repeats, chosen.results)
