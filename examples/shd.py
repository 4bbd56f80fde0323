"""Spiking Heidelberg Digits: twenty spoken digits, a recurrent layer with learned delays.

    python examples/shd.py SHD --folder shd_run

The folder SHD holds ``shd_train.h5`` and ``shd_test.h5``, unpacked from
https://zenkelab.org/datasets (tonic's ``SHD`` class downloads the same files).  The published set
has no validation trials: those of one speaker (``--validation-speaker``) choose the epoch, so the
test set, with speakers of its own, is looked at once, in the end.  Every epoch shifts each trial
by up to 40 channels and replaces half of the trials by blends of two of the same digit.

The paper reaches 93.2 % with 512 hidden neurons (``--hidden 512``).
"""

import argparse
from pathlib import Path

import numpy as np
from brian2 import ms
from speech_recipe import add_options, read, train

import brian_eventprop as bep


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--validation-speaker", type=int, help="by default the last one")
    parser.add_argument("--blend", type=float, default=0.5, help="part of the trials to blend")
    add_options(parser, hidden=256, delay=150, folder=Path("shd_run"))
    setting = parser.parse_args()
    training, test = read(setting, "train"), read(setting, "test")
    speaker = setting.validation_speaker
    speaker = int(np.max(training.extra["speaker"])) if speaker is None else speaker
    training, validation = bep.datasets.hold_out(training, [speaker])
    data = {"train": training, "validation": validation, "test": test}

    def on_grid(batch, random, data):
        return batch.on_grid(setting.dt * ms)

    train(data, setting, [bep.Blend(setting.blend), bep.ChannelShift(setting.shift), on_grid])


if __name__ == "__main__":
    main()
