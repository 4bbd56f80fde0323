"""A model as a layer of PyTorch, between an encoder and a head if need be.

The network stays a Brian2 network and is run by the model's own solver; PyTorch holds the
parameters and takes the steps.  Needs PyTorch, ``pip install torch``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from brian2 import ms
from brian2.units.fundamentalunits import Unit

from brian_eventprop._names import name_of
from brian_eventprop._units import to_seconds
from brian_eventprop.bridges import (
    Call,
    GivenSpikes,
    PureModel,
    from_padded,
    from_raster,
    from_spikes,
)
from brian_eventprop.data.spikes import SpikeData

__all__ = ["Layer", "Spikes"]


class Spikes(NamedTuple):
    """Ragged input spikes with times that may need a gradient; see `Layer`.

    Parameters
    ----------
    times : Tensor (E,)
        Time of each spike, in the layer's unit of time.
    channels, trials : Tensor (E,)
        Input neuron and trial of each spike.
    n_trials : int
        Number of trials.
    """

    times: torch.Tensor
    channels: torch.Tensor
    trials: torch.Tensor
    n_trials: int


class Layer(torch.nn.Module):
    """A model as a `torch.nn.Module`: spikes and traces in, readouts out.

    Its parameters are the trained variables, named after them with ``_`` for the dot (``s_in.w`` is
    ``layer.s_in_w``); ``layer[s_in.w]`` is the same by Brian2's own view.

    Parameters
    ----------
    model : `EventPropModel`
        With ``readouts=[...]``, or with a loss, whose readouts the layer returns.  The layer sets
        the model's parameters in every call.
    units : dict, optional
        Unit of the numbers of some variables, ``{s.delay: 0.1*ms}``.  By default times are in ms,
        potentials in mV, currents in nA, conductances in nS, capacitances in pF, resistances in
        Mohm, and all else in SI units.  ``layer.units`` has them by name.
    bounds : dict, optional
        Lowest and highest value of some variables, ``{s.w: (0, None)}``.  A call first moves
        parameters that a step has taken out of their bounds back to them, so that an optimiser
        makes projected steps; delays are never negative.
    spikes : {'times', 'BTN', 'TBN'}
        What a tensor given as spikes is.  ``'times'``: the times of the spikes, (trials, neurons)
        or (trials, neurons, K), infinite where there are fewer; they may need a gradient.
        ``'BTN'`` and ``'TBN'``: counts on a time grid, with trials or time steps first.
    time_unit : Quantity, optional
        Unit of spike times, by default ms.
    dt : Quantity, optional
        Time step of rasters, by default that of the network.
    dtype : torch.dtype, optional
        Of parameters and readouts, by default double precision.  The solver computes in its own.

    Raises
    ------
    ValueError
        If spikes, traces or parameters do not fit the network.
    FloatingPointError
        In a backward pass, if a derivative is not finite.

    Notes
    -----
    With ``solver='event'`` the derivatives are those of the readouts that are returned, and
    `torch.autograd.gradcheck` agrees in double precision.  With ``solver='clock'`` delays and input
    spike times act in whole time steps, and their derivatives follow the exact ones as the step
    shrinks.  A backward pass does not run the network again, unless another call of the same model
    came in between.  Derivatives of derivatives are not available.  Copies of a layer have
    parameters of their own and share the model.

    Examples
    --------
    >>> import torch
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> from brian_eventprop.torch import Layer
    >>> start_scope()
    >>> source = SpikeGeneratorGroup(2, [], []*ms)
    >>> output = NeuronGroup(4, "dv/dt = -v/(20*ms) : 1", method="exact")
    >>> s = Synapses(source, output, "w : 1", on_pre="v_post += w", name="s")
    >>> s.connect()
    >>> s.w, s.delay = 1.0, 2*ms
    >>> model = bep.EventPropModel([source, output, s], train=[s.w, s.delay], duration=50*ms,
    ...                            readouts=[bep.Final(output, "v")], solver="event")
    >>> net = torch.nn.Sequential(Layer(model), torch.nn.Linear(4, 3).double())
    >>> times = torch.tensor([[1.0, 4.0], [3.0, torch.inf]], requires_grad=True)
    >>> net(times).sum().backward()
    >>> net[0].s_delay.grad.shape, times.grad.shape
    (torch.Size([8]), torch.Size([2, 2]))
    """

    def __init__(
        self,
        model,
        *,
        units: Mapping | None = None,
        bounds: Mapping | None = None,
        spikes: str = "times",
        time_unit: Unit = ms,
        dt=None,
        dtype: torch.dtype = torch.float64,
    ):
        super().__init__()
        if spikes not in ("times", "BTN", "TBN"):
            raise ValueError(f"spikes must be 'times', 'BTN' or 'TBN', not {spikes!r}")
        parameters = model.parameters
        self.pure, self.spikes, self.dtype = PureModel(model), spikes, dtype
        self.time_unit = to_seconds(time_unit, "time_unit")
        self.dt = model.spec.dt if dt is None else to_seconds(dt, "dt")
        factors, names = parameters.units(units), self.pure.names()
        self.units = {names[key]: unit for key, unit in factors.items()}
        self.names = {key: name.replace(".", "_") for key, name in names.items()}
        self._factors = {key: float(unit) for key, unit in factors.items()}
        pairs = np.array(parameters.bounds(bounds, units)).reshape(-1, 2)
        for key, name in self.names.items():
            if hasattr(self, name):
                raise ValueError(
                    f"'{names[key]}' would be the parameter '{name}' of the layer, which is "
                    "taken: give the Brian2 object another name"
                )
            values = parameters.raw(key).reshape(parameters.shape(key)) / self._factors[key]
            values = torch.tensor(values, dtype=dtype)
            self.register_parameter(name, torch.nn.Parameter(values))
            ends, pairs = pairs[: values.numel()], pairs[values.numel() :]
            for end, column in zip(("lowest", "highest"), ends.T, strict=True):
                limit = torch.tensor(column.reshape(values.shape), dtype=dtype)
                self.register_buffer(f"_{end}_{name}", limit, persistent=False)

    @property
    def model(self):
        """The model."""
        return self.pure.model

    def __getitem__(self, item) -> torch.nn.Parameter:
        """Return the parameter of a Brian2 view (``s.w``), a name or a key."""
        key = self.model.key_of(item)
        if key not in self.names:
            raise KeyError(f"'{name_of(key)}' is not in train=[...]")
        return getattr(self, self.names[key])

    def forward(self, spikes=None, traces: Mapping | None = None):
        """Run a batch of trials.

        Parameters
        ----------
        spikes : Tensor, `Spikes`, `SpikeData` or dict of them, optional
            Input spikes, a dict by input group (or its name) if there are several.  What a tensor
            means was said when the layer was made.  By default those that the network's own
            `SpikeGeneratorGroup` holds.
        traces : dict, optional
            Values of `TimedArray` objects by their name in the equations, tensors (trials, cells)
            or (trials, cells, columns) in SI units.  They get a gradient if the model was made with
            ``trace_gradients=[...]``.

        Returns
        -------
        Tensor (trials, neurons) or tuple of them
            One per readout; a model with one readout returns one tensor.
        """
        self.to_bounds()
        given = {
            name: self._given(name, own)
            for name, own in self.pure.by_input(spikes, _is_one_input).items()
        }
        tensors = {("parameter", key): getattr(self, name) for key, name in self.names.items()}
        tensors |= {("spikes", name): times for name, (_, times) in given.items()}
        tensors |= {("trace", name): torch.as_tensor(x) for name, x in (traces or {}).items()}
        tensors = {place: tensor for place, tensor in tensors.items() if tensor is not None}
        data = {name: own for name, (own, _) in given.items()}
        found = _Run.apply(self, data, tuple(tensors), *tensors.values())
        return found[0] if len(found) == 1 else found

    def to_bounds(self) -> None:
        """Move parameters that are out of their bounds back to them."""
        with torch.no_grad():
            for name in self.names.values():
                limits = getattr(self, f"_lowest_{name}"), getattr(self, f"_highest_{name}")
                parameter = getattr(self, name)
                if parameter.is_leaf and bool(
                    ((parameter < limits[0]) | (parameter > limits[1])).any()
                ):
                    parameter.copy_(torch.clamp(parameter, *limits))

    def write_back(self) -> None:
        """Write the parameters into the model and the Brian2 objects, as `model.write_back`."""
        self.to_bounds()
        self.pure.set_parameters(self._values({k: getattr(self, n) for k, n in self.names.items()}))
        self.model.write_back()

    def extra_repr(self) -> str:
        """Say what the parameters are and in which units."""
        return ", ".join(f"{name} in {unit}" for name, unit in self.units.items())

    def __deepcopy__(self, known):
        twin = object.__new__(type(self))
        known[id(self)], shared = twin, ("pure",)
        rest = {k: v for k, v in self.__dict__.items() if k not in shared}
        twin.__dict__.update(copy.deepcopy(rest, known))
        twin.__dict__["pure"] = self.pure
        return twin

    def __reduce__(self):
        raise TypeError(
            "a layer holds a Brian2 network, which is not pickled: save layer.state_dict(), and "
            "load it into a layer of the same network"
        )

    # ---- numbers in and out ----
    def _given(self, name: str, spikes) -> tuple[GivenSpikes, torch.Tensor | None]:
        """Return the spikes of an input, and the tensor of times that a gradient goes back to."""
        size = self.pure.inputs()[name]
        if isinstance(spikes, SpikeData):
            return GivenSpikes(spikes), None
        if isinstance(spikes, Spikes):
            channels, trials = (torch.as_tensor(x).cpu().numpy() for x in spikes[1:3])
            times = torch.as_tensor(spikes.times)
            seconds = _numbers(times) * self.time_unit
            return from_spikes(seconds, channels, trials, spikes.n_trials, size), times
        tensor = torch.as_tensor(spikes)
        if self.spikes == "times":
            return from_padded(_numbers(tensor) * self.time_unit, size), tensor
        return from_raster(_numbers(tensor), self.spikes, self.dt, size), None

    def _values(self, tensors: Mapping) -> dict:
        """Return parameters in SI units."""
        return {key: _numbers(tensor) * self._factors[key] for key, tensor in tensors.items()}

    def call(self, data: Mapping, tensors: Mapping) -> Call:
        """Return what the model is called with, in SI units."""
        own = {kind: {k: t for (of, k), t in tensors.items() if of == kind} for kind in _KINDS}
        traces = {name: _numbers(tensor) for name, tensor in own["trace"].items()}
        return Call(self._values(own["parameter"]), data, traces)

    def in_own_unit(self, place, array: np.ndarray) -> np.ndarray:
        """Return derivatives in SI units as derivatives in the tensor that was given."""
        kind, name = place
        factor = {"parameter": self._factors.get(name), "spikes": self.time_unit}.get(kind, 1.0)
        return array * factor


_KINDS = ("parameter", "spikes", "trace")


class _Run(torch.autograd.Function):
    """A forward run, and the backward pass from the readouts' gradients."""

    @staticmethod
    def forward(ctx, layer, data, places, *tensors):
        """Return the readouts; ``places`` say what each tensor is."""
        ctx.layer, ctx.places = layer, places
        ctx.call = layer.call(data, dict(zip(places, tensors, strict=True)))
        ctx.like = [(t.dtype, t.device, t.shape) for t in tensors]
        ctx.set_materialize_grads(False)
        device = tensors[0].device if tensors else None
        readouts = layer.pure(ctx.call)
        return tuple(torch.tensor(r, dtype=layer.dtype, device=device) for r in readouts)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *cotangents):
        """Return the derivatives in the tensors."""
        weights = [None if c is None else _numbers(c) for c in cotangents]
        pulled = ctx.layer.pure.pull(ctx.call, weights)
        found = dict(zip(_KINDS, (pulled.parameters, pulled.spikes, pulled.traces), strict=True))
        gradients = []
        for place, needed, (dtype, device, shape) in zip(
            ctx.places, ctx.needs_input_grad[3:], ctx.like, strict=True
        ):
            if not needed:
                gradients.append(None)
                continue
            kind, name = place
            if name not in found[kind]:
                raise RuntimeError(
                    f"no gradient in the trace '{name}': make the model with "
                    f"trace_gradients=['{name}']"
                )
            array = ctx.layer.in_own_unit(place, found[kind][name]).reshape(shape)
            gradients.append(torch.tensor(array, dtype=dtype, device=device))
        return None, None, None, *gradients


def _is_one_input(given) -> bool:
    return isinstance(given, torch.Tensor | SpikeData | Spikes | np.ndarray)


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().to(torch.float64).numpy().copy()
