"""A model as a function of JAX, with a derivative, for `jit`, `grad`, `vmap` and optax.

The network stays a Brian2 network and is run by the model's own solver, on the host.  Needs JAX,
``pip install jax``.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from brian2 import ms
from brian2.units.fundamentalunits import Unit

from brian_eventprop._units import to_seconds
from brian_eventprop.bridges import Call, GivenSpikes, PureModel, from_padded
from brian_eventprop.data.spikes import SpikeData

__all__ = ["Function", "function"]


def function(
    model,
    *,
    units: Mapping | None = None,
    bounds: Mapping | None = None,
    spikes=None,
    time_unit: Unit = ms,
) -> Function:
    """Return a model as a function ``f(parameters, times=None, traces=None)`` of JAX arrays.

    Parameters
    ----------
    model : `EventPropModel`
        With ``readouts=[...]``, or with a loss, whose readouts the function returns.
    units : dict, optional
        Unit of the numbers of some variables, ``{s.delay: 0.1*ms}``.  By default times are in ms,
        potentials in mV, currents in nA, conductances in nS, capacitances in pF, resistances in
        Mohm, and all else in SI units.  ``f.units`` has them by name.
    bounds : dict, optional
        Lowest and highest value of some variables, ``{s.w: (0, None)}``, for ``f.lower`` and
        ``f.upper``; delays are never negative.
    spikes : `SpikeData` or dict of them, optional
        Input spikes of calls without ``times``; by default those that the network's own
        `SpikeGeneratorGroup` holds.
    time_unit : Quantity, optional
        Unit of spike times, by default ms.

    Returns
    -------
    Function

    Examples
    --------
    >>> import jax
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> from brian_eventprop.jax import function
    >>> start_scope()
    >>> source = SpikeGeneratorGroup(2, [0, 1], [1, 4]*ms)
    >>> output = NeuronGroup(4, "dv/dt = -v/(20*ms) : 1", method="exact")
    >>> s = Synapses(source, output, "w : 1", on_pre="v_post += w", name="s")
    >>> s.connect()
    >>> s.w, s.delay = 1.0, 2*ms
    >>> model = bep.EventPropModel([source, output, s], train=[s.w, s.delay], duration=50*ms,
    ...                            readouts=[bep.Final(output, "v")], solver="event")
    >>> f = function(model)
    >>> gradient = jax.jit(jax.grad(lambda p: f(p).sum()))(f.parameters())
    >>> sorted(gradient), gradient["s.delay"].shape
    (['s.delay', 's.w'], (8,))
    """
    return Function(model, units, bounds, spikes, time_unit)


class Function:
    """A model as a function of JAX arrays; made by `function`.

    Attributes
    ----------
    units : dict
        Unit of the numbers of each trained variable, by its name.
    lower, upper : dict
        Lowest and highest value of each variable, as ``optax.projections.projection_box`` takes
        them.

    Notes
    -----
    With ``solver='event'`` derivatives are those of the values returned; with ``solver='clock'``
    delays and input spike times act in whole time steps, and their derivatives follow the exact
    ones as the step shrinks.  The solver runs on the host by `jax.pure_callback`, in double
    precision; arrays are in double precision if ``jax_enable_x64`` is set.  Under `vmap` the
    members are run one after the other: the batch of trials is what is fast.  Reverse mode only.
    """

    def __init__(self, model, units, bounds, spikes, time_unit):
        self._pure, parameters = PureModel(model), model.parameters
        self._names = self._pure.names()
        self._unit_of = parameters.units(units)
        self.units = {self._names[key]: unit for key, unit in self._unit_of.items()}
        self._shapes = {key: parameters.shape(key) for key in parameters.keys}
        pairs = np.array(parameters.bounds(bounds, units)).reshape(-1, 2)
        self.lower, self.upper = (self._by_name(column) for column in pairs.T)
        self._time_unit = to_seconds(time_unit, "time_unit")
        given = self._pure.by_input(spikes, lambda one: isinstance(one, SpikeData))
        self._spikes = {name: GivenSpikes(data) for name, data in given.items()}
        self._sizes = [
            (r.kind, r.which, r.stop - r.start, repr(readout))
            for r, readout in zip(model.spec.readouts, model.readouts, strict=True)
        ]
        for _, which, _, name in self._sizes:
            if which == "each":
                raise ValueError(
                    f"{name} has as many values as there are spikes, which JAX must know before "
                    "the run: take which='first' or which='all'"
                )
        self._differentiable = jax.custom_vjp(self._readouts)
        self._differentiable.defvjp(self._forward, self._backward)

    @property
    def model(self):
        """The model."""
        return self._pure.model

    def parameters(self) -> dict[str, jax.Array]:
        """Return the model's present values by name, each in its unit."""
        raw = self.model.parameters.raw
        values = {key: raw(key) / float(self._unit_of[key]) for key in self._names}
        return self._by_name(np.concatenate([np.ravel(v) for v in values.values()] or [[]]))

    def write_back(self, parameters: Mapping) -> None:
        """Write values, as a call takes them, into the model and the Brian2 objects."""
        self._pure.set_parameters(self._in_si(parameters))
        self.model.write_back()

    def __call__(self, parameters: Mapping, times=None, traces: Mapping | None = None):
        """Run a batch of trials.

        Parameters
        ----------
        parameters : dict
            Arrays by name, as from `parameters`.
        times : array or dict of them, optional
            Times of the input spikes, (trials, neurons) or (trials, neurons, K), infinite where
            there are fewer; a dict by input group if there are several.  `SpikeData.padded` makes
            them.
        traces : dict, optional
            Values of `TimedArray` objects by their name in the equations, arrays (trials, cells) or
            (trials, cells, columns) in SI units.  They get a gradient if the model was made with
            ``trace_gradients=[...]``.

        Returns
        -------
        array (trials, neurons) or tuple of them
            One per readout; a model with one readout returns one array.
        """
        if set(parameters) != set(self.units):
            raise ValueError(
                f"the parameters must be {', '.join(self.units)}, not {', '.join(parameters)}"
            )
        times = self._pure.by_input(times, lambda one: not isinstance(one, Mapping))
        given = {
            "parameters": {name: jnp.asarray(parameters[name]) for name in self.units},
            "times": {name: jnp.asarray(array) for name, array in times.items()},
            "traces": {name: jnp.asarray(array) for name, array in (traces or {}).items()},
        }
        found = self._differentiable(given)
        return found[0] if len(found) == 1 else found

    # ---- what JAX calls ----
    def _readouts(self, given):
        shapes = self._result_shapes(given)
        return jax.pure_callback(self._run, shapes, given, vmap_method="sequential")

    def _forward(self, given):
        return self._readouts(given), given

    def _backward(self, given, cotangents):
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), given)
        pulled = jax.pure_callback(self._pull, shapes, given, cotangents, vmap_method="sequential")
        return (pulled,)

    def _run(self, given):
        found = self._pure(self._call(given))
        shapes = self._result_shapes(given)
        return tuple(np.asarray(r, s.dtype) for r, s in zip(found, shapes, strict=True))

    def _pull(self, given, cotangents):
        weights = [np.asarray(c, float) for c in cotangents]
        pulled = self._pure.pull(self._call(given), weights)
        found = {
            "parameters": {
                self._names[key]: array * float(self._unit_of[key])
                for key, array in pulled.parameters.items()
            },
            "times": {name: a * self._time_unit for name, a in pulled.spikes.items()},
            # a trace without gradients: NaN, so that nobody goes on with a wrong number
            "traces": {
                name: pulled.traces.get(name, np.full(np.shape(a), np.nan))
                for name, a in given["traces"].items()
            },
        }
        return jax.tree.map(
            lambda array, like: np.reshape(array, like.shape).astype(like.dtype), found, given
        )

    def _call(self, given) -> Call:
        sizes = self._pure.inputs()
        times = {name: np.asarray(a, float) * self._time_unit for name, a in given["times"].items()}
        spikes = {name: from_padded(array, sizes[name]) for name, array in times.items()}
        traces = {name: np.asarray(a, float) for name, a in given["traces"].items()}
        return Call(self._in_si(given["parameters"]), spikes or self._spikes, traces)

    def _in_si(self, parameters: Mapping) -> dict:
        return {
            key: np.asarray(parameters[name], float) * float(self._unit_of[key])
            for key, name in self._names.items()
        }

    def _result_shapes(self, given) -> tuple[jax.ShapeDtypeStruct, ...]:
        batches = [*given["times"].values(), *given["traces"].values()]
        counts = [a.shape[0] for a in batches]
        counts += [len(own.data) for own in self._spikes.values()] if not given["times"] else []
        n_trials, kind = max(counts, default=1), jax.dtypes.canonicalize_dtype(np.float64)
        return tuple(jax.ShapeDtypeStruct((n_trials, n), kind) for _, _, n, _ in self._sizes)

    def _by_name(self, row: np.ndarray) -> dict[str, jax.Array]:
        """Return a row of numbers, one variable after the other, by name."""
        found, start = {}, 0
        for key, shape in self._shapes.items():
            stop = start + int(np.prod(shape))
            found[self._names[key]] = jnp.asarray(row[start:stop].reshape(shape))
            start = stop
        return found
