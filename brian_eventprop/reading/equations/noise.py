"""White noise `xi` in the equations of a group, whose values are data: one for each time step.

Brian2 draws a number of the standard normal distribution for every neuron and time step and
multiplies it by the square root of dt.  Here it is a `TimedArray` ``noise_GROUP`` (of a variable
``xi_x``: ``noise_x_GROUP``) of the group's own time step: the number divided by that root, given
with the batch and the same in every run.  What it may drive is in `reading.refused.noise`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import inline, names
from brian_eventprop.reading.unsupported import line_with, unsupported

_METHOD = "euler"


class GivenNoise(brian.TimedArray):
    """Noise that a batch brings; it holds no values of its own."""


class NoisyGroup:
    """A `NeuronGroup` in whose equations noise is a timed array."""

    def __init__(self, group, calls: Mapping[str, str]):
        self._group = group
        self.equations = group.equations.substitute(**calls)
        self.user_equations = group.user_equations.substitute(**calls)
        self.state_updater = _ByEuler(group.state_updater)

    def __getattr__(self, name: str):
        return getattr(self._group, name)

    def __len__(self) -> int:
        return len(self._group)


class _ByEuler:
    """A state updater with the one method for noise, whatever Brian2 was asked for."""

    method_choice, method_options = _METHOD, None

    def __init__(self, updater):
        self._updater = updater

    def __getattr__(self, name: str):
        return getattr(self._updater, name)


def is_noisy(group) -> bool:
    """Whether there is noise in the equations of a group."""
    return bool(group.user_equations.stochastic_variables)


def with_given_noise(group, namespace: Mapping, method: str) -> tuple[Any, dict]:
    """Return a group whose noise is given, and the namespace with the arrays.

    Parameters
    ----------
    group, namespace
        The group, and where its external names are looked up.
    method
        The integration method that Brian2 takes for it.
    """
    noise = sorted(group.user_equations.stochastic_variables)
    if method != _METHOD:
        line = line_with("\n".join(map(str, group.user_equations.values())), noise)
        reason = f"method='{method}' evaluates what the noise multiplies within a time step"
        raise unsupported(group, line, reason, f"Use method='{_METHOD}'.")
    found, calls = dict(namespace), {}
    for xi in noise:
        name = f"noise{xi.removeprefix('xi')}_{group.name}"
        while name in group.variables or name in group.equations.identifiers:
            name += "_"
        values = np.zeros((1, len(group))) * brian.second**-0.5
        found[name] = GivenNoise(values, dt=group.clock.dt)
        calls[xi] = f"{name}(t, i)"
    return NoisyGroup(group, calls), found


def check_additive(group, definitions: Mapping[str, str], states) -> None:
    """Refuse noise that is multiplied by what changes during a trial."""
    for eq in group.user_equations.values():
        if eq.type != brian.DIFFERENTIAL_EQUATION:
            continue
        expression = brian.Expression(inline(eq.expr.code, definitions))
        _, factors = expression.split_stochastic()
        for xi, factor in (factors or {}).items():
            changing = sorted(names(factor.code) & set(states))
            if changing:
                reason = f"'{xi}' is multiplied by '{changing[0]}', which changes during a trial"
                way_out = "Multiply it by constants."
                raise unsupported(group, str(eq), reason, way_out)
