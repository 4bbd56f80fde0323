"""Trained delays by dilated convolutions with learnable spacings (DCLS; Hammouamri et al. 2024).

Every synapse is a dense kernel over all possible delays, a Gaussian around the learned one, and a
layer is a convolution over time.  With ``axonal`` there is one delay for each sending neuron: a
convolution for each channel alone, then one over channels.  Kernels come from the package DCLS;
the neurons are a loop in eager PyTorch, as fast as SpikingJelly 2.0.0, and the sequence is padded
on the left only, where the published code pads both sides.

Needs torch and DCLS.
"""

import math
from importlib.metadata import version

import measuring
import torch
from DCLS.construct.modules import Dcls1d
from torch import nn
from torch_common import LeakyIntegrateAndFire, frames, stepper


class DelayedLayer(nn.Module):
    """(batch, channels, time) spikes through delays, weights, normalisation and neurons."""

    def __init__(self, n_in, n_out, kernel, axonal, decay, fires):
        super().__init__()
        self.padding = kernel - 1
        groups = n_in if axonal else 1
        senders = n_in if axonal else n_out
        self.delays = Dcls1d(
            n_in, senders, kernel_count=1, groups=groups, dilated_kernel_size=kernel,
            bias=False, version="gauss",
        )  # fmt: skip
        half = kernel // 2
        with torch.no_grad():
            self.delays.P.uniform_(-half, half)
            self.delays.SIG.fill_(half / 2)
        self.delays.SIG.requires_grad_(False)
        self.delays.weight.requires_grad_(not axonal)
        if axonal:
            nn.init.ones_(self.delays.weight)
        self.weights = nn.Conv1d(n_in, n_out, 1, bias=False) if axonal else nn.Identity()
        self.norm = nn.BatchNorm1d(n_out) if fires else nn.Identity()
        self.neurons = LeakyIntegrateAndFire(decay, fires=fires)

    def forward(self, x):
        x = self.weights(self.delays(nn.functional.pad(x, (self.padding, 0))))
        return self.neurons(self.norm(x).permute(2, 0, 1))


class Network(nn.Module):
    """Layers in a row; the last one does not fire."""

    def __init__(self, sizes, kernel, axonal, decay):
        super().__init__()
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.layers = nn.ModuleList(
            DelayedLayer(*pair, kernel, axonal, decay, fires=pair is not pairs[-1])
            for pair in pairs
        )

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = layer(x).permute(1, 2, 0)
        return self.layers[-1](x)


def build(task):
    """Return how DCLS holds a batch and takes a step."""
    torch.manual_seed(0)
    torch.set_num_threads(task["threads"])
    kernel = task["max_delay"] // 2 * 2 + 1  # odd, as the package asks for
    hidden = task["n_hidden"]
    sizes = task["n_inputs"], hidden, hidden, task["n_outputs"]
    decay = math.exp(-task["dt_ms"] / 20.0)
    network = Network(sizes, kernel, task.get("axonal", False), decay)
    network.to(torch.get_default_device())  # DCLS makes its parameters on the CPU
    positions = [layer.delays.P for layer in network.layers]
    moved = {id(p) for p in positions}
    others = [p for p in network.parameters() if p.requires_grad and id(p) not in moved]
    optimizers = [torch.optim.Adam(others, lr=1e-3), torch.optim.Adam(positions, lr=1e-1)]

    def keep_in_kernel():
        for layer in network.layers:
            layer.delays.clamp_parameters()

    def prepare(events):
        return frames(events, task["n_steps"], task["n_inputs"], "batch channel time")

    facts = {"versions": {name: version(name) for name in ("torch", "DCLS")}, "kernel": kernel}
    return prepare, stepper(network, optimizers, keep_in_kernel), facts


if __name__ == "__main__":
    measuring.main(build)
