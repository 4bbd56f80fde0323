"""Spoken digits as cochlear spikes: any data set in the file layout of SHD.

    python examples/digits.py SHD --delays none fixed learned --seeds 0 1 2

The folder holds ``*_train.h5`` and ``*_test.h5``: the Spiking Heidelberg Digits from
https://zenkelab.org/datasets, or recordings of your own through the same chain.  Training
trials are varied (``--shift``, ``--stretch``, ``--blend``); then, as in all trials, neighbouring
channels are joined and spikes put on the time grid.  The validation set, which chooses the epoch,
is a part of the training trials (``--validation 0.1``), or all trials of some speakers
(``--validation-speakers``).  With ``--validation 0`` the network learns from all training trials
and stays as it is after the last epoch.  The test file is looked at once per run, in the end.
"""

import argparse

import numpy as np
from brian2 import ms, second
from layers import add_options, run_series

import brian_eventprop as bep


def read(setting):
    """Return training, validation and test data on the time grid, and the spikes of the file."""
    data = {
        split: bep.datasets.speech(
            setting.path, split, n_channels=setting.channels, duration=setting.duration * ms
        )
        for split in ("train", "test")
    }
    if setting.validation_speakers:
        split = bep.datasets.hold_out(data["train"], setting.validation_speakers)
    elif setting.validation:
        parts = 1 - setting.validation, setting.validation
        split = bep.datasets.stratified_split(data["train"], parts)
    else:
        split = data["train"], None
    data["train"], data["validation"] = split
    join = joined(setting)
    return {
        "varied": data["train"],
        **{name: part and join(part) for name, part in data.items()},
    }


def joined(setting):
    """Return what makes input of spikes: channels are joined, one spike per channel and step."""
    return lambda part, *_: part.pooled(setting.pool).on_grid(setting.dt * ms)


def stretch(most):
    """Return the augmentation that makes each trial faster or slower by up to this part."""

    def change(batch, random, data):
        factors = np.exp(random.uniform(-most, most, len(batch)))
        trials, times = batch.trials, batch.times * factors[batch.trials]
        kept = times < 0.999 * (batch.duration / second)  # no spike in a step after the last
        return bep.SpikeData(
            times[kept], batch.channels[kept], trials[kept], len(batch), batch.n_channels,
            targets=batch.targets, duration=batch.duration,
        )  # fmt: skip

    return change


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="folder with *_train.h5 and *_test.h5")
    parser.add_argument("--channels", type=int, default=700, help="of the files")
    parser.add_argument("--pool", type=int, default=5, help="channels that become one")
    parser.add_argument("--validation", type=float, default=0.1, help="part of the trials")
    parser.add_argument("--validation-speakers", type=int, nargs="+", help="all of their trials")
    parser.add_argument("--shift", type=int, default=12, help="largest shift, in channels")
    parser.add_argument("--stretch", type=float, default=0, help="largest change of the speed")
    parser.add_argument("--blend", type=float, default=0, help="part of the trials to blend")
    add_options(
        parser, hidden=256, epochs=30, batch_size=32, rate=0.005, recurrent_rate=0.001,
        delay_rate=2, max_delay=150, largest_delay=200, dt=2, duration=700, tau_m=20, tau_s=10,
        scale=100, input_weights=(0.03, 0.2), recurrent_weight=0.02, output_weight=0.03, lift=0.01,
        penalty=0.001, spikes=(1, 10), results="digits.jsonl",
    )  # fmt: skip
    setting = parser.parse_args()
    changes = [bep.ChannelShift(setting.shift)] if setting.shift else []
    changes += [stretch(setting.stretch)] if setting.stretch else []
    changes += [bep.Blend(setting.blend)] if setting.blend else []
    data = read(setting)
    if not changes:
        del data["varied"]
    run_series(data, setting, [*changes, joined(setting)] if changes else None)


if __name__ == "__main__":
    main()
