"""Three tasks that only the timing of spikes solves, without, with fixed and with learned delays.

    python -m studies.timing --task interval coincidence polychrony \\
        --delays none fixed learned --seeds 0 1 2 3 4

After Yu, Sun and Goodman (2025, arXiv 2507.16043), who ask what rates cannot tell: in each task all
channels spike equally often in all trials of all classes.

interval
    Each channel spikes twice.  A class gives the same set of intervals to the channels in an order
    of its own; the pairs begin at random moments.
coincidence
    In pairs of channels both spike at the same moments.  A class is a way to pair the channels.
polychrony
    Each channel spikes once; a class is a pattern of 60 ms, which begins at a random moment.

All spikes are jittered.  "reversed" is the accuracy of the same network for test trials that run
backwards in time: an interval and a coincidence stay what they are, a pattern does not.
"""

import argparse

import numpy as np
from brian2 import ms

from studies import RESULTS  # isort: skip  # finds the modules of the examples
from layers import add_options, run_series

import brian_eventprop as bep

#: Milliseconds of a trial, and those at its end without input.
DURATION, QUIET = 120, 20

N_CHANNELS, N_CLASSES = 8, 12


def intervals(random, classes, n):
    """Return spike times (n, channels, 2): pairs whose intervals the class hands out."""
    known = np.linspace(15, 65, N_CHANNELS)
    order = np.array([classes.permutation(N_CHANNELS) for _ in range(N_CLASSES)])
    labels = np.arange(n) % N_CLASSES
    gaps = known[order[labels]]
    first = random.uniform(2, DURATION - QUIET - 2 - gaps)
    return np.stack([first, first + gaps], axis=-1), labels


def coincidences(random, classes, n, moments=3):
    """Return spike times (n, channels, moments): the channels of a pair spike together."""
    pairs = np.array([classes.permutation(N_CHANNELS) for _ in range(N_CLASSES)])
    labels = np.arange(n) % N_CLASSES
    shared = random.uniform(2, DURATION - QUIET - 2, (n, N_CHANNELS // 2, moments))
    times = np.empty((n, N_CHANNELS, moments))
    for half in (pairs[:, : N_CHANNELS // 2], pairs[:, N_CHANNELS // 2 :]):
        times[np.arange(n)[:, None], half[labels]] = shared
    return times, labels


def patterns(random, classes, n):
    """Return spike times (n, channels, 1): one pattern per class, which begins at any moment."""
    known = classes.uniform(0, 60, (N_CLASSES, N_CHANNELS, 1))
    labels = np.arange(n) % N_CLASSES
    begins = random.uniform(2, DURATION - QUIET - 62, (n, 1, 1))
    return known[labels] + begins, labels


#: Spread of each spike's time, ms: a pattern of all channels bears more than a pair of spikes.
JITTER = {"interval": 2.0, "coincidence": 2.0, "polychrony": 6.0}

TASKS = {"interval": intervals, "coincidence": coincidences, "polychrony": patterns}


def trials(task, split, n, jitter, backwards=False):
    """Return trials of a task as spikes; what the classes are is the same for all splits."""
    random = np.random.default_rng([split, len(task)])
    times, labels = TASKS[task](random, np.random.default_rng(7), n)
    times = np.clip(times + random.normal(0, jitter, times.shape), 0.5, DURATION - QUIET - 0.5)
    times = DURATION - QUIET - times if backwards else times
    trial, channel, _ = np.indices(times.shape)
    return bep.SpikeData(
        times.ravel() * ms, channel.ravel(), trial.ravel(), n, N_CHANNELS, labels, DURATION * ms
    )


def read(task, setting):
    """Return training, validation and test data, and test data that run backwards."""
    parts = {"train": setting.trials, "validation": 600, "test": 1200}
    data = {
        name: trials(task, split, n, setting.jitter)
        for split, (name, n) in enumerate(parts.items())
    }
    data["reversed"] = trials(task, 2, 1200, setting.jitter, backwards=True)
    return {name: part.on_grid(setting.dt * ms) for name, part in data.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--trials", type=int, default=3000, help="to learn from")
    add_options(
        parser, hidden=32, epochs=20, batch_size=50, rate=0.01, recurrent_rate=0.005,
        delay_rate=0.5, max_delay=50, largest_delay=80, dt=0.5, tau_m=10, tau_s=2.5, scale=100,
        input_weights=(0.8, 1.6), recurrent_weight=0.1, output_weight=0.3, lift=0.1,
        penalty=0.001, spikes=(0.5, 8), layer=["forward"],
        results=str(RESULTS / "timing.jsonl"),
    )  # fmt: skip
    setting = parser.parse_args()
    for task in setting.task:
        own = argparse.Namespace(**{**vars(setting), "task": task, "jitter": JITTER[task]})
        run_series(read(task, own), own)


if __name__ == "__main__":
    main()
