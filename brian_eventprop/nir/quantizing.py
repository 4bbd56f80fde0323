"""Delays on the time grid of a chip, within its range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity, second

from brian_eventprop._checks import whole_number
from brian_eventprop._units import to_seconds

__all__ = ["Quantized", "quantize"]


@dataclass(frozen=True)
class Quantized:
    """What `quantize` has done.

    Attributes
    ----------
    before, after : float or None
        The loss before and after; None of a model without a loss.
    moved : dict of Quantity
        By the name of the delays: how far each one was moved.
    clipped : dict of int
        By the name of the delays: how many were longer than the maximum.
    """

    before: float | None
    after: float | None
    moved: Mapping[str, Quantity]
    clipped: Mapping[str, int]

    def __str__(self) -> str:
        rows = [
            f"{name}: moved by at most {1e3 * float(np.abs(moved).max(initial=0)):.4g} ms, "
            f"{self.clipped[name]} of {np.size(moved)} clipped"
            for name, moved in self.moved.items()
        ]
        if self.before is not None:
            rows.append(f"loss: {self.before:.6g} before, {self.after:.6g} after")
        return "\n".join(rows)


def quantize(
    model, spikes=None, targets=None, *, dt, maximum=None, traces: Mapping | None = None
) -> Quantized:
    """Bring the trained delays of a model onto a time grid and within a range, as on a chip.

    Parameters
    ----------
    model : `EventPropModel`
        The model.  Its delays are changed: each becomes the nearest whole number of `dt`.
    spikes, targets, traces : optional
        Data for the losses before and after, as in `EventPropModel.run`.
    dt : Quantity
        The step of the grid, for example 1*ms.
    maximum : Quantity or int, optional
        The longest delay, a time or a number of steps: 62 on Loihi 2.

    Returns
    -------
    Quantized
        The losses before and after, and how far delays were moved.

    Raises
    ------
    ValueError
        If there are delays that are not trained and would have to be moved, `dt` is no whole number
        of the model's time steps, or `maximum` no whole number of `dt`.  Nothing is changed then.

    Examples
    --------
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> start_scope()
    >>> source = SpikeGeneratorGroup(3, [0, 1, 2], [1, 1, 1]*ms)
    >>> neuron = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="exact")
    >>> s = Synapses(source, neuron, "w : 1", on_pre="v_post += w", name="s")
    >>> s.connect()
    >>> s.w, s.delay = 1.0, [0.7, 2.2, 7.9]*ms
    >>> model = bep.EventPropModel([source, neuron, s], train=[s.delay], duration=20*ms,
    ...                            loss=bep.Sum(bep.Final(neuron, "v")))
    >>> print(bep.quantize(model, dt=1*ms, maximum=4))
    s.delay: moved by at most 3.9 ms, 1 of 3 clipped
    loss: 0.683144 before, 0.576852 after
    >>> model.parameters[s.delay]
    array([1., 2., 4.]) * msecond
    """
    step, most = _grid(model, dt, maximum)
    values, found = model.values(), {}
    for pathway in model.spec.pathways:
        old = values[pathway.delay]
        new = np.minimum(np.rint(old / step), most) * step
        if pathway.delay in model.parameters.keys:
            found[pathway.delay] = _name(model, pathway), old.copy(), new
        elif np.any(np.abs(new - old) > 1e-9 * step):
            _refuse(model, pathway)
    before = _loss(model, spikes, targets, traces)
    for key, (_, _, new) in found.items():
        model.parameters[key] = new * second
    after = _loss(model, spikes, targets, traces)
    moved = {name: (new - old) * second for name, old, new in found.values()}
    limit = (most + 0.5) * step
    clipped = {name: int(np.sum(old > limit)) for name, old, _ in found.values()}
    return Quantized(before, after, moved, clipped)


def _refuse(model, pathway) -> None:
    """Refuse to leave delays where they are that are on no grid and cannot be moved."""
    way_out = "bring them onto the grid in Brian2, and make a new model with them"
    if pathway.delay in model.expressions:
        text = model.expressions[pathway.delay]
        reason = f"the delays of '{pathway.synapses}' are the expression '{text}'"
        raise ValueError(f"{reason}, which is on no grid: {way_out}")
    reason = f"the delays of '{pathway.synapses}' are not trained, so the model keeps them"
    raise ValueError(f"{reason}: {way_out}")


def _grid(model, dt, maximum) -> tuple[float, float]:
    """Return the step of the grid in seconds, and the largest number of steps."""
    step = to_seconds(dt, "dt")
    if not 0 < step < np.inf:
        raise ValueError(f"dt must be a time above 0, not {dt!r}")
    own = model.spec.dt
    if model.solver == "clock" and not _whole(step / own):
        raise ValueError(
            f"dt={step:g} s is no whole number of the model's time steps of {own:g} s, to which "
            "delays are rounded"
        )
    if maximum is None:
        return step, np.inf
    if not isinstance(maximum, Quantity):
        return step, whole_number(maximum, "maximum")
    longest = to_seconds(maximum, "maximum")
    if not _whole(longest / step):
        raise ValueError(f"maximum={longest:g} s is no whole number of steps of {step:g} s")
    return step, round(longest / step)


def _whole(ratio: float) -> bool:
    return round(ratio) >= 0 and abs(ratio - round(ratio)) <= 1e-6 * max(ratio, 1.0)


def _name(model, pathway) -> str:
    """Return how a pathway's delays are called: after their Synapses if these have no others."""
    alone = sum(p.synapses == pathway.synapses for p in model.spec.pathways) == 1
    return f"{pathway.synapses if alone else pathway.name}.delay"


def _loss(model, spikes, targets, traces) -> float | None:
    if model.loss is None:
        return None
    return model.run(spikes, targets, traces=traces).loss
