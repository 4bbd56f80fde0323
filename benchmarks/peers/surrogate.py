"""A surrogate-gradient network without delays in eager PyTorch: what most users would pick.

Layer after layer: one matrix product for all steps, then the loop over time of leaky integrate-and-
fire neurons with exponential synapses, the neuron of the Brian2 network.  This order is the fastest
of those we tried; loops over time on the outside cost half as much again.

Needs torch.
"""

import math

import measuring
import torch
from torch import nn
from torch_common import LeakyIntegrateAndFire, frames, stepper


def build(task):
    """Return how the network holds a batch and takes a step."""
    torch.manual_seed(0)
    torch.set_num_threads(task["threads"])
    decay, current_decay = (math.exp(-task["dt_ms"] / tau) for tau in (20.0, 5.0))
    hidden = task["n_hidden"]
    sizes = task["n_inputs"], hidden, hidden, task["n_outputs"]
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        fires = len(layers) < 4
        layers += [nn.Linear(n_in, n_out, bias=False)]
        layers += [LeakyIntegrateAndFire(decay, current_decay, fires)]
    network = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def prepare(events):
        return frames(events, task["n_steps"], task["n_inputs"], "time batch channel")

    facts = {"versions": {"torch": torch.__version__}}
    return prepare, stepper(network, [optimizer]), facts


if __name__ == "__main__":
    measuring.main(build)
