"""Spiking Speech Commands: 35 spoken words, layers with learned delays.

    python examples/ssc.py SSC --folder ssc_run

The folder SSC holds ``ssc_train.h5``, ``ssc_valid.h5`` and ``ssc_test.h5``, unpacked from
https://zenkelab.org/datasets (tonic's ``SSC`` class downloads the same files); speakers are not
shared between them.  The validation file chooses the epoch, the test file is looked at once, in the
end.  Every epoch shifts each trial by up to 40 channels.

The paper reaches 76.1 % with two feed-forward layers of 1024 neurons:
``--hidden 1024 --layers 2 --feed-forward``.
"""

import argparse
from pathlib import Path

from speech_recipe import add_options, read, train

import brian_eventprop as bep


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, hidden=512, delay=50, folder=Path("ssc_run"))
    setting = parser.parse_args()
    data = {split: read(setting, split) for split in ("train", "validation", "test")}
    train(data, setting, [bep.ChannelShift(setting.shift)])


if __name__ == "__main__":
    main()
