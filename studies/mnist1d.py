"""MNIST-1D as spikes: what fixed and learned delays are worth where the order of events matters.

    pip install mnist1d
    python -m studies.mnist1d --delays none fixed learned --seeds 0 1 2 3 4

The data set (Greydanus and Kobak 2024, arXiv 2011.14439) is made on the spot, from its own seed:
ten shapes, shifted, scaled, sheared and noisy, 40 samples each, 4000 to learn from and 1000 to be
tested with.  A sample lasts 5 ms.  Each of 24 channels spikes when the signal, a straight line from
sample to sample, crosses its level upwards or downwards.  The control ``--order shuffled`` has the
same samples in an order of their own, the same one for all signals.  "reversed" is the accuracy of
the same network for test signals that run backwards in time.
"""

import argparse

import numpy as np
from brian2 import ms

from studies import RESULTS  # isort: skip  # finds the modules of the examples
from layers import add_options, run_series

import brian_eventprop as bep

#: Seconds from one sample to the next.
SAMPLE = 5e-3

#: Levels of the signals, which have a mean of 0 and a spread of 1.
LEVELS = np.linspace(-2.75, 2.75, 12)


def level_crossings(signals, levels, sample):
    """Return times, channels and trials of the crossings of levels by signals (trials, samples).

    Channel ``2*k`` is level ``k`` upwards, ``2*k + 1`` the same level downwards.
    """
    before, after = signals[:, :-1, None], signals[:, 1:, None]
    crossed = (before < levels) != (after < levels)
    trial, step, level = np.nonzero(crossed)
    start, end = before[trial, step, 0], after[trial, step, 0]
    times = (step + (levels[level] - start) / (end - start)) * sample
    return times, 2 * level + (end < start), trial


def as_spikes(signals, labels):
    """Return signals as spikes on a grid of 1 ms, at most one per channel and step."""
    times, channels, trials = level_crossings(signals, LEVELS, SAMPLE)
    duration = signals.shape[1] * SAMPLE + 0.02  # the last spikes take a while to be seen
    data = bep.SpikeData(
        times, channels, trials, len(signals), 2 * len(LEVELS), labels, duration * 1000 * ms
    )
    return data.on_grid(1 * ms)


def read(shuffled):
    """Return training, validation and test data, and test data that run backwards."""
    from mnist1d.data import get_dataset_args, make_dataset

    made = make_dataset(get_dataset_args())
    order = np.random.RandomState(0).permutation(40) if shuffled else np.arange(40)
    train, test = (np.asarray(made[name])[:, order] for name in ("x", "x_test"))
    known = as_spikes(train, made["y"])
    data = {}
    data["train"], data["validation"] = bep.datasets.stratified_split(known, (0.9, 0.1))
    data["test"] = as_spikes(test, made["y_test"])
    data["reversed"] = as_spikes(test[:, ::-1], made["y_test"])
    return data


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--order", nargs="+", choices=["given", "shuffled"], default=["given"])
    add_options(
        parser, hidden=64, epochs=20, batch_size=50, rate=0.005, recurrent_rate=0.002,
        delay_rate=0.3, max_delay=50, largest_delay=80, dt=1, tau_m=20, tau_s=5, scale=100,
        input_weights=(0.4, 0.8), recurrent_weight=0.1, output_weight=0.3, lift=0.1,
        penalty=0.001, spikes=(1, 14), layer=["forward"],
        results=str(RESULTS / "mnist1d.jsonl"),
    )  # fmt: skip
    setting = parser.parse_args()
    for order in setting.order:
        own = argparse.Namespace(**{**vars(setting), "order": order})
        run_series(read(order == "shuffled"), own)


if __name__ == "__main__":
    main()
