"""Pictures of trials and trainings: spikes, traces, learning curves, weights, what is decided.

Matplotlib is imported when a picture is drawn, not before.  Every function draws into the axes it
is given, or into new ones, and returns them.
"""

from __future__ import annotations

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import get_dimensions, get_unit

__all__ = [
    "adjoint",
    "confusion_matrix",
    "decision_map",
    "delays",
    "learning_curves",
    "raster",
    "traces",
    "weights",
]


def raster(spikes, sample: int = 0, axes=None, **style):
    """Draw the spikes of one trial: time in ms against neuron.

    Parameters
    ----------
    spikes : `SpikeData`, or what ``result.spikes[group]`` holds
        Spikes of a batch.
    sample : int
        Which trial.
    axes : matplotlib axes, optional
    **style
        Passed on to ``axes.scatter``.

    Examples
    --------
    >>> from brian_eventprop.datasets import yin_yang
    >>> axes = raster(yin_yang("test", size=3), sample=1)
    >>> axes.get_xlabel()
    'time (ms)'
    """
    axes = _axes(axes)
    if hasattr(spikes, "trial_ptr"):
        trial, times, neurons = spikes.trials, spikes.times, spikes.channels
    else:
        trial, times, neurons = (np.asarray(a) for a in (spikes.sample, spikes.t, spikes.i))
    chosen = trial == sample
    style = {"marker": "|", "s": 60, "color": "k", **style}
    axes.scatter(times[chosen] * 1e3, neurons[chosen], **style)
    axes.set(xlabel="time (ms)", ylabel="neuron")
    return axes


def traces(record, axes=None, neurons=None, **style):
    """Draw what was recorded of a trial: each variable over time, a line for each neuron.

    Parameters
    ----------
    record : `Record`
        What ``model.record`` returns.
    axes : sequence of matplotlib axes, optional
        One for each variable; by default new ones, one below the other.
    neurons : list of int, optional
        Which rows of the record to draw; by default all.
    **style
        Passed on to ``axes.plot``.

    Examples
    --------
    >>> from brian2 import ms, mV
    >>> class Traces(dict):
    ...     t = [0, 1, 2] * ms
    >>> axes = traces(Traces(v=[[0, 1, 2], [1, 2, 4]] * mV))
    >>> [ax.get_ylabel() for ax in axes], len(axes[0].lines)
    (['v (mV)'], 2)
    """
    return _traces(record, record, {}, axes, neurons, style)


def adjoint(record, axes=None, neurons=None, **style):
    """Draw the adjoint variables of a trial: dL/d(state) over time, a line for each neuron.

    Parameters
    ----------
    record : `Record`
        What ``model.record(..., adjoint=True)`` returns.
    axes : sequence of matplotlib axes, optional
        One for each state of the group; by default new ones, one below the other.
    neurons : list of int, optional
        Which rows of the record to draw; by default all.
    **style
        Passed on to ``axes.plot``.

    Examples
    --------
    >>> from brian2 import ms, mV
    >>> class Traces(dict):
    ...     t = [0, 1, 2] * ms
    >>> record = Traces(v=[[0, 1, 2]] * mV)
    >>> record.adjoint = Traces(v=[[3, 2, 0]] / mV)
    >>> [ax.get_ylabel() for ax in adjoint(record)]
    ['dL/dv (1/mV)']
    """
    labels = {name: f"dL/d{name}" for name in record.adjoint}
    axes = _traces(record.adjoint, record, labels, axes, neurons, style)
    for ax in axes:
        ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    return axes


def _traces(found, record, labels, axes, neurons, style):
    """A line for each neuron and each trace; those with a label are derivatives."""
    axes = _below_each_other(len(found)) if axes is None else np.atleast_1d(axes)
    if len(axes) != len(found):
        raise ValueError(f"{len(found)} axes are needed, one for each of {', '.join(found)}")
    times = np.asarray(record.t) * 1e3
    for ax, (name, trace) in zip(axes, found.items(), strict=True):
        per = name in labels
        unit = _unit(record.get(name, 1 / get_unit(get_dimensions(trace)) if per else trace))
        factor = float(unit) if unit is not None else 1.0
        values = np.asarray(trace) * factor if per else np.asarray(trace) / factor
        chosen = np.arange(len(values)) if neurons is None else np.asarray(neurons)
        colours = _colours(len(chosen))
        for neuron, colour in zip(chosen, colours, strict=True):
            line = {"lw": 1, "color": colour, "label": f"neuron {neuron}", **style}
            ax.plot(times, values[neuron], **line)
        ending = "" if unit is None else f" ({'1/' if per else ''}{unit})"
        ax.set(ylabel=labels.get(name, name) + ending)
    axes[-1].set(xlabel="time (ms)", xlim=(times.min(), max(times.max(), times.min() + 1e-9)))
    if 1 < len(chosen) <= 6:
        axes[0].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return tuple(axes)


def _unit(trace):
    """The unit that suits a quantity, such as mV; None for plain numbers."""
    if not isinstance(trace, Quantity) or trace.dim.is_dimensionless:
        return None
    return trace.get_best_unit()


def _colours(number: int):
    import matplotlib.pyplot as plt

    if number <= 10:
        return [f"C{k}" for k in range(number)]
    return plt.get_cmap("viridis")(np.linspace(0, 0.95, number))


def learning_curves(history, axes=None):
    """Draw loss and accuracy over the epochs, training solid and validation dashed.

    Parameters
    ----------
    history : `History`
    axes : pair of matplotlib axes, optional
        For the loss and the accuracy.

    Examples
    --------
    >>> from brian_eventprop.training import History
    >>> rows = [{"epoch": k, "loss": 1 / (k + 1), "val_loss": 1.0} for k in range(3)]
    >>> loss_axes, accuracy_axes = learning_curves(History(rows))
    >>> [line.get_label() for line in loss_axes.lines]
    ['training', 'validation']
    """
    pair = _new_axes(2) if axes is None else axes
    epochs = history["epoch"] if "epoch" in history else np.arange(len(history))
    for ax, name in zip(pair, ("loss", "accuracy"), strict=True):
        for column, label, line in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
            if column in history:
                ax.plot(epochs, history[column], line, label=label)
        ax.set(xlabel="epoch", ylabel=name)
        if ax.lines:
            ax.legend(frameon=False)
    return pair


def delays(before, after, axes=None, bins=30):
    """Draw where delays were before the training and where they are after it.

    Parameters
    ----------
    before, after : quantity or array in seconds
        All delays of a pathway.
    axes : pair of matplotlib axes, optional
        For the two histograms and for after against before.
    bins : int
        Bars of the histograms.

    Examples
    --------
    >>> from brian2 import ms
    >>> pair = delays([1, 2, 3] * ms, [1, 2, 5] * ms)
    >>> pair[1].get_ylabel()
    'after (ms)'
    """
    before, after = (np.asarray(d, dtype=float).ravel() * 1e3 for d in (before, after))
    edges = np.linspace(0, max(before.max(), after.max(), 1e-9), bins + 1)
    return _change(before, after, edges, "delay", "ms", axes)


def weights(before, after, axes=None, bins=30, unit=None):
    """Draw where weights were before the training and where they are after it.

    Parameters
    ----------
    before, after : quantity or array
        All weights of a projection.
    axes : pair of matplotlib axes, optional
        For the two histograms and for after against before.
    bins : int
        Bars of the histograms.
    unit : Unit, optional
        Of the drawing, such as ``nS``; by default that of plain numbers or the SI unit.

    Examples
    --------
    >>> pair = weights([0.1, -0.2, 0.3], [0.2, -0.4, 0.1])
    >>> pair[1].get_xlabel()
    'before'
    """
    factor = 1.0 if unit is None else float(unit)
    before, after = (np.asarray(w, dtype=float).ravel() / factor for w in (before, after))
    lowest, highest = min(before.min(), after.min()), max(before.max(), after.max())
    room = 1e-9 + 1e-6 * abs(highest)
    edges = np.linspace(lowest, max(highest, lowest + room), bins + 1)
    return _change(before, after, edges, "weight", "" if unit is None else str(unit), axes)


def _change(before, after, edges, what: str, unit: str, axes):
    """Two histograms, and after against before."""
    counts, against = _new_axes(2) if axes is None else axes
    counts.hist(before, edges, histtype="step", color="k", label="before")
    counts.hist(after, edges, alpha=0.6, label="after")
    unit = f" ({unit})" if unit else ""
    counts.set(xlabel=what + unit, ylabel="synapses")
    counts.legend(frameon=False)
    against.plot(edges[[0, -1]], edges[[0, -1]], color="0.8", lw=1)
    against.plot(before, after, ".")
    against.set(xlabel=f"before{unit}", ylabel=f"after{unit}")
    return counts, against


def confusion_matrix(labels, predictions, names=None, axes=None):
    """Draw how often each class was taken for which.

    Parameters
    ----------
    labels, predictions : array of int
        The true label of every trial, and what ``trainer.predict`` says.
    names : sequence of str, optional
        Names of the classes.
    axes : matplotlib axes, optional

    Notes
    -----
    A row is a true class and its colours add up to 1; small matrices also show the counts.

    Examples
    --------
    >>> axes = confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1], names=["yin", "yang"])
    >>> axes.images[0].get_array().tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    labels, predictions = (np.asarray(x, dtype=int) for x in (labels, predictions))
    if labels.shape != predictions.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"one label and one prediction per trial: {labels.shape}, {predictions.shape}"
        )
    size = max(labels.max(), predictions.max()) + 1
    size = size if names is None else max(size, len(names))
    counts = np.zeros((size, size), int)
    np.add.at(counts, (labels, predictions), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes = _axes(axes)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if size <= 12:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            if count:
                axes.text(column, row, count, ha="center", va="center", color=color, fontsize=8)
    if names is not None:
        style = {"fontsize": 10 if size <= 12 else 6}
        turned = size > 6 and max(map(len, names)) > 2
        axes.set_xticks(range(len(names)), names, rotation=90 if turned else 0, **style)
        axes.set_yticks(range(len(names)), names, **style)
    axes.set(xlabel="predicted", ylabel="true class")
    axes.set_title(f"{np.mean(labels == predictions):.1%} of {len(labels)} trials", fontsize=10)
    axes.figure.colorbar(image, ax=axes, label="share of the true class")
    return axes


def decision_map(predict, encode, resolution: int = 100, radius: float = 0.5, axes=None):
    """Draw the class that the network sees at every point of the disc of Yin-Yang.

    Parameters
    ----------
    predict : callable
        Turns `SpikeData` into labels, such as ``trainer.predict``.
    encode : callable
        Turns points (size, 2) into `SpikeData`.
    resolution : int
        Points per side of the square.
    radius : float
        Of the disc, whose centre is (radius, radius).
    axes : matplotlib axes, optional

    Examples
    --------
    >>> axes = decision_map(lambda points: points[:, 0] > 0.5, lambda points: points, 10)
    >>> axes.get_xlabel()
    'x'
    """
    axes = _axes(axes)
    line = (np.arange(resolution) + 0.5) / resolution * 2 * radius
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    inside = np.hypot(*(points - radius).T) <= radius
    labels = np.full(len(points), np.nan)
    labels[inside] = predict(encode(points[inside]))
    image = labels.reshape(resolution, resolution)
    axes.imshow(image, origin="lower", extent=(0, 2 * radius, 0, 2 * radius), cmap="viridis")
    axes.set(xlabel="x", ylabel="y")
    return axes


def _below_each_other(number: int):
    import matplotlib.pyplot as plt

    size = 6, 1.2 + 1.5 * number
    _, axes = plt.subplots(
        number, 1, figsize=size, sharex=True, squeeze=False, layout="constrained"
    )
    return axes[:, 0]


def _axes(axes):
    return _new_axes(1)[0] if axes is None else axes


def _new_axes(number: int):
    import matplotlib.pyplot as plt

    width = 4 * number
    _, axes = plt.subplots(1, number, figsize=(width, 3), squeeze=False, layout="constrained")
    return tuple(axes[0])
