"""Yin-Yang by brian-eventprop's event solver: weights, and with ``delays`` the delays as well.

Needs brian-eventprop.
"""

import sys
from pathlib import Path

import brian2
import measuring
import numpy as np
from brian2 import second

import brian_eventprop as bep

sys.path.append(str(Path(__file__).parents[1]))
from event_yin_yang import network


def build(task):
    """Return how brian-eventprop holds a batch and takes a step."""
    with np.load(task["data"]) as file:
        weights, times = (file["w_in"], file["w_out"]), file["times"]
    model, optimizer, hidden, output = network(delays=task["delays"], weights=weights)
    optimizer.bind(model)
    facts = {"versions": {"brian2": brian2.__version__}, "solver": model.solver}

    def prepare(events):
        n_trials, n_inputs = events.n_trials, times.shape[1]
        return bep.SpikeData(
            times[:n_trials].ravel() * second,
            np.tile(np.arange(n_inputs), n_trials),
            np.repeat(np.arange(n_trials), n_inputs),
            n_trials,
            n_inputs,
            targets=events.labels,
        )

    def step(data):
        result = model.run(data)
        optimizer.step(model.gradient_arrays())
        if len(data) > 1 and "loss" not in facts:
            spikes = [len(result.spikes[group]) / len(data) for group in (hidden, output)]
            facts.update({"spikes per trial": spikes, "loss": result.loss})
        return result.loss

    return prepare, step, facts


if __name__ == "__main__":
    measuring.main(build)
