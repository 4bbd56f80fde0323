"""Braille letters under a robot's fingertip: 27 classes told from 24 channels of touch events.

    python examples/braille.py data_braille_letters_th10.pkl --delays none fixed learned \\
        --layer forward recurrent --fan-in 0 10 --seeds 0 1 2 3 4

The file is that of Müller-Cleve et al. (2022), https://doi.org/10.5281/zenodo.7050094.  A fifth of
the trials of each letter is the test set, the same for all seeds; a tenth is the validation set,
which chooses the epoch.  The test set is looked at once per run, in the end.
"""

import argparse

from brian2 import ms
from layers import add_options, run_series

import brian_eventprop as bep


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="the published pickle, or an npz with the same events")
    add_options(
        parser, hidden=128, epochs=12, batch_size=32, rate=0.03, delay_rate=0.5, max_delay=200,
        largest_delay=600, dt=5, duration=1300, tau_m=40, tau_s=10, scale=50,
        input_weights=(0.5, 1.5), recurrent_weight=0.05, recurrent_rate=0.001,
        output_weight=0.1, lift=0.1, results="braille.jsonl",
    )  # fmt: skip
    setting = parser.parse_args()
    data = {
        split: bep.datasets.braille(
            setting.path, split, dt=setting.dt * ms, duration=setting.duration * ms
        )
        for split in ("train", "validation", "test")
    }
    run_series(data, setting)


if __name__ == "__main__":
    main()
