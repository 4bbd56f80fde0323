"""What the PyTorch programs share: dense frames, surrogate spikes, leaky integrate-and-fire."""

import math

import torch
from torch import nn


class Spike(torch.autograd.Function):
    """A step in the forward pass, the derivative of an arctangent in the backward pass."""

    sharpness = 5.0

    @staticmethod
    def forward(ctx, above):
        ctx.save_for_backward(above)
        return (above > 0).to(above.dtype)

    @staticmethod
    def backward(ctx, bar):
        (above,) = ctx.saved_tensors
        scaled = (math.pi / 2 * Spike.sharpness) * above
        return bar * (Spike.sharpness / 2) / (1 + scaled * scaled)


class LeakyIntegrateAndFire(nn.Module):
    """Input (time, batch, neurons) to spikes of that shape; optionally with a synaptic current."""

    def __init__(self, decay, current_decay=None, fires=True):
        super().__init__()
        self.decay, self.current_decay, self.fires = decay, current_decay, fires

    def forward(self, drive):
        v = current = torch.zeros_like(drive[0])
        out = []
        for x in drive.unbind(
            0
        ):  # indexing drive[t] would make the backward pass quadratic in time
            if self.current_decay is not None:
                x = current = self.current_decay * current + x
            v = self.decay * v + x
            if self.fires:
                spikes = Spike.apply(v - 1)
                v = v * (1 - spikes.detach())
                out.append(spikes)
            else:
                out.append(v)
        return torch.stack(out)


def frames(events, n_steps, n_inputs, layout):
    """Return events as dense counts in a layout, and the labels."""
    order = {"time batch channel": (0, 1, 2), "batch channel time": (1, 2, 0)}[layout]
    axes = [torch.as_tensor(x) for x in (events.step, events.trial, events.channel)]
    sizes = n_steps, events.n_trials, n_inputs
    dense = torch.zeros([sizes[k] for k in order])
    dense.index_put_(tuple(axes[k].long() for k in order), torch.ones(1), accumulate=True)
    return dense, torch.as_tensor(events.labels).long()


def stepper(network, optimizers, afterwards=lambda: None):
    """Return a training step; the score of a class is its softmax, summed over time."""

    def step(batch):
        inputs, labels = batch
        for optimizer in optimizers:
            optimizer.zero_grad()
        score = torch.softmax(network(inputs), dim=2).sum(0)
        loss = nn.functional.cross_entropy(score, labels)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        afterwards()
        return float(loss.detach())

    return step
