"""Update rules: what an optimiser makes of a gradient before the learning rate."""

from __future__ import annotations

import numpy as np

from brian_eventprop._checks import number
from brian_eventprop._units import to_si
from brian_eventprop.training.optimizers.base import Optimizer
from brian_eventprop.training.optimizers.clipping import ClipNorm  # noqa: F401, for the example

__all__ = ["SGD", "Adam"]


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): every entry moves by about its learning rate in each step.

    Parameters
    ----------
    rates, bounds, clip, weight_decay
        See `Optimizer`.
    beta1, beta2, eps : float
        Memory of the mean and of the mean square of the gradient; ``eps`` is in units of the
        gradient.

    Examples
    --------
    >>> optimizer = Adam({("s_in", "w"): lambda epoch: 0.01 * 0.95**epoch})

    What others call AdamW, with all gradients scaled down to a norm of 1:

    >>> key = "s_in", "w"
    >>> optimizer = Adam({key: 1e-3}, weight_decay={key: 0.01}, clip=ClipNorm(1.0))
    """

    slots = ("mean", "square")
    kernel = "adam"

    def __init__(
        self, rates, beta1=0.9, beta2=0.999, eps=1e-8, *, bounds=None, clip=None, weight_decay=None
    ):
        super().__init__(rates, bounds, clip=clip, weight_decay=weight_decay)
        beta1, beta2, eps = (
            number(value, what)
            for value, what in ((beta1, "beta1"), (beta2, "beta2"), (eps, "eps"))
        )
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1 and eps > 0):
            raise ValueError("beta1 and beta2 must lie in [0, 1) and eps above 0")
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def _numbers(self):
        unbiased = 1 - self.beta1**self.steps, 1 - self.beta2**self.steps
        return (1 - self.beta1, 1 - self.beta2, self.eps, *unbiased)

    def _change(self, key, gradient):
        mean, square = self._memory["mean", key], self._memory["square", key]
        mean += (1 - self.beta1) * (gradient - mean)
        square += (1 - self.beta2) * (gradient * gradient - square)
        unbiased = mean / (1 - self.beta1**self.steps)
        return unbiased / (np.sqrt(square / (1 - self.beta2**self.steps)) + self.eps)


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    A step is the rate times the gradient per SI unit of the variable, so a rate may be given in the
    unit of the variable (the step for a gradient of 1) or, as dimensions would have it, in its
    square.

    Parameters
    ----------
    rates, bounds, clip, weight_decay
        See `Optimizer`.
    momentum : float
        Part of the last step that is kept.

    Examples
    --------
    >>> optimizer = SGD({("s_in", "w"): 0.1}, momentum=0.9)
    """

    slots = ("velocity",)
    kernel = "sgd"

    def __init__(self, rates, momentum=0.0, *, bounds=None, clip=None, weight_decay=None):
        super().__init__(rates, bounds, clip=clip, weight_decay=weight_decay)
        momentum = number(momentum, "momentum")
        if not 0 <= momentum < 1:
            raise ValueError("momentum must lie in [0, 1)")
        self.momentum = momentum

    def _rate_in_si(self, key, value, what):
        dimension = self._dimensions[key]
        squared = getattr(value, "dim", None) == dimension**2
        return to_si(value, dimension**2 if squared else dimension, what)

    def _numbers(self):
        return (self.momentum,)

    def _change(self, key, gradient):
        velocity = self._memory["velocity", key]
        velocity *= self.momentum
        velocity += gradient
        return velocity
