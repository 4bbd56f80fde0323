"""Values for the timed arrays of a network: what a batch brings, checked and in SI units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brian_eventprop._units import to_si
from brian_eventprop.reading.spec import NetworkSpec, NetworkValues, TimedInput


def given_traces(spec: NetworkSpec, spikes, traces: Mapping | None) -> dict[str, object]:
    """Return what a batch brings for timed arrays and for the counts of PoissonInputs, by name.

    The argument of the run comes first, then what the data carries.
    """
    parts = spikes.values() if isinstance(spikes, Mapping) else [spikes]
    given = {}
    for part in parts:
        given.update(getattr(part, "traces", None) or {})
    given.update({getattr(key, "name", key): values for key, values in (traces or {}).items()})
    names = [timed.name for timed in spec.timed] + [s.name for s in spec.inputs if s.most]
    if unknown := sorted(set(given) - set(names)):
        known = ", ".join(names) or "none"
        raise ValueError(
            f"no TimedArray or PoissonInput of the network is called {unknown[0]!r}; it has: "
            f"{known}"
        )
    return given


def timed_values(
    spec: NetworkSpec,
    network: NetworkValues,
    given: Mapping,
    duration: float,
    trained: Mapping[str, np.ndarray] = {},
) -> dict[str, np.ndarray]:
    """Return the values of every timed array, (trials or 1, cells, columns).

    What is given comes first, then the array's own; those that are ``trained`` cannot be given.
    """
    found = {name: own[np.newaxis] for name, own in network.timed_values.items()}
    columns = {timed.name: timed.columns for timed in spec.timed}
    for name, values in trained.items():
        found[name] = np.array(values, dtype=float).reshape(1, -1, columns[name])
    for name in sorted(columns.keys() & given.keys()):
        if name in trained:
            raise ValueError(
                f"the TimedArray '{name}' is in train=[...], so trials have the trained values: "
                "give no traces for it, or have trace_gradients=[...] in place of train"
            )
        dimension = network.timed_dimensions[name]
        found[name] = _checked(name, given[name], dimension, columns[name])
    for timed in spec.timed:
        if timed.noise:
            _check_noise(timed, found[timed.name] if timed.name in given else None, duration)
    return found


def _check_noise(timed: TimedInput, values: np.ndarray | None, duration: float) -> None:
    """Refuse to run without a number of the noise for every time step."""
    steps = int(np.ceil(duration / timed.dt - 1e-6))
    if values is None or values.shape[1] < steps:
        has = "is not given" if values is None else f"has {values.shape[1]} time steps only"
        shape = f"trials, {steps}, {timed.columns}"
        raise ValueError(
            f"The noise '{timed.name}' {has}: draw it once and give it with the batch, as in "
            f"traces={{{timed.name!r}: np.random.default_rng(seed).standard_normal(({shape})) / "
            "sqrt(dt)}, or as the traces of the SpikeData."
        )


def _checked(name: str, values, dimension, columns: int) -> np.ndarray:
    array = to_si(values, dimension, f"the trace {name!r}")
    if array.ndim == 2 and columns == 1:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] != columns or not array.shape[1]:
        wanted = "(trials, cells)" if columns == 1 else f"(trials, cells, {columns})"
        raise ValueError(f"the trace {name!r} must have the shape {wanted}, not {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"the trace {name!r} holds values that are not finite")
    return array
