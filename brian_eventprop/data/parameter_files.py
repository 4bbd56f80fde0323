"""Trained values in a file, with their units and the connections that they belong to.

An HDF5 file that is whole or refused (`brian_eventprop.data.files`), of numbers and names only:
``values/s.w`` with its unit as seven exponents, ``connections/s`` with source and target of every
synapse, since a weight means nothing without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from brian2 import Quantity, get_dimensions
from brian2.units.fundamentalunits import get_or_create_dimension

from brian_eventprop._names import name_of
from brian_eventprop._units import unit_name
from brian_eventprop.data.files import READ_ERRORS, reading, writing
from brian_eventprop.reading import network_objects, write_connections, write_values
from brian_eventprop.reading.brian import Synapses
from brian_eventprop.reading.live.writing import owners_of
from brian_eventprop.reading.spec import Key, NetworkSpec

__all__ = ["load_parameters", "save_parameters"]

KIND = "parameters"


@dataclass(frozen=True)
class _Saved:
    """One variable: values in SI units; ``axonal`` delays have one for each sending neuron."""

    key: Key
    values: np.ndarray
    dimension: object
    axonal: bool

    @property
    def quantity(self) -> Quantity:
        return Quantity(self.values.copy(), dim=self.dimension)


@dataclass(frozen=True)
class _Content:
    """A file: variables by name, source and target of synapses by the name of their object."""

    variables: dict[str, _Saved]
    connections: dict[str, tuple[np.ndarray, np.ndarray]]
    rewired: frozenset[str]


def save_parameters(model, path) -> None:
    """Write the trained values of a model to a file; see `EventPropModel.save`."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} for the parameters")
    axonal = {p.delay for p in model.spec.pathways if p.axonal}
    rewired = model.wiring()
    with writing(path, KIND) as file:
        for key in model.parameters.keys:
            values = model.parameters.raw(key).reshape(model.parameters.shape(key))
            dataset = file.create_dataset(f"values/{_name(key)}", data=values)
            dimension = model.parameters.dimension(key)
            dataset.attrs["owner"], dataset.attrs["variable"] = key
            dataset.attrs["dimensions"] = dimension._dims
            dataset.attrs["unit"] = unit_name(dimension)  # for who looks into the file
            dataset.attrs["axonal"] = key in axonal
        for name in _synapses_of(model.parameters.keys, owners_of(model.objects)):
            ends = np.stack(_connections(model, name)).astype(np.int64)
            dataset = file.create_dataset(f"connections/{name}", data=ends, compression="gzip")
            dataset.attrs["rewired"] = name in rewired


def load_parameters(path, into=None, *, strict: bool = True) -> dict[str, Quantity]:
    """Take trained values from a file that `EventPropModel.save` has written.

    Parameters
    ----------
    path : path-like
        The file.
    into : `EventPropModel`, `Network` or list of Brian2 objects, optional
        Where they go: into a model for its next run, or into the objects themselves as
        `EventPropModel.write_back` does.  By default they are only returned.
    strict : bool
        Whether all variables must be in both, the file and `into`.  Without it those that are in
        both are taken; they must fit all the same.

    Returns
    -------
    dict of Quantity
        The values in the file by the name of the variable, ``{"s.w": array, ...}``.

    Raises
    ------
    ValueError
        If the file is damaged, or of other variables, sizes, units or connections; nothing has
        been changed then.

    Notes
    -----
    Variables are found again by the names of the Brian2 objects.  Give them names,
    ``Synapses(..., name='s_in')``: those that Brian2 makes up depend on what else was created.

    Synapses that were rewired while they were trained, as `DeepR` does, are rewired in `into`.

    Examples
    --------
    >>> from brian2 import *
    >>> import brian_eventprop as bep
    >>> start_scope()
    >>> group = NeuronGroup(2, "dv/dt = -v/(10*ms) : volt", method="exact", name="group")
    >>> group.v = [1, 2]*mV
    >>> model = bep.EventPropModel([group], train=[group.v], duration=10*ms,
    ...                            loss=bep.Sum(bep.Final(group, "v/mV")))
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(folder + "/trained.h5")
    ...     model.parameters[group.v] = 0*mV
    ...     bep.load_parameters(folder + "/trained.h5", model)
    {'group.v': array([1., 2.]) * mvolt}
    >>> model.parameters[group.v]
    array([1., 2.]) * mvolt
    """
    path = Path(path)
    content = _read(path)
    if hasattr(into, "parameters") and hasattr(into, "key_of"):
        _into_model(content, into, path, strict)
    elif into is not None:
        _into_network(content, into, path, strict)
    return {name: saved.quantity for name, saved in content.variables.items()}


# ---- into a model ----


def _into_model(content: _Content, model, path, strict: bool) -> None:
    parameters = model.parameters
    trained = {_name(key): key for key in parameters.keys}
    chosen = _in_both(content, trained, path, strict, "the model trains")
    axonal = {p.delay for p in model.spec.pathways if p.axonal}
    for name, saved in chosen.items():
        key = trained[name]
        _check_unit(name, saved, parameters.dimension(key), path)
        if saved.axonal != (key in axonal):
            kind = ["one for each synapse", "one for each sending neuron (bep.Axonal)"]
            raise ValueError(
                f"{path} does not fit: its delays '{name}' are {kind[saved.axonal]}, those of the "
                f"model {kind[key in axonal]}"
            )
        _check_size(name, saved, parameters.shape(key), path)
    moved = {}
    for name in _synapses_of([s.key for s in chosen.values()], owners_of(model.objects)):
        ends = _new_ends(content, name, _connections(model, name), path, model.wiring())
        moved |= {} if ends is None else {name: ends}
    for name, ends in moved.items():
        model.reconnect(name, *ends)
    for name, saved in chosen.items():
        parameters.set_raw(trained[name], saved.values.ravel())


# ---- into Brian2's objects ----


def _into_network(content: _Content, network, path, strict: bool) -> None:
    objects = network_objects(network)
    owners = owners_of(objects)
    constants = [name for name, saved in content.variables.items() if not saved.key[0]]
    if constants and strict:
        raise ValueError(
            f"{path} holds '{constants[0]}', an external constant or TimedArray, which belongs to "
            f"no object of a network: give your script load_parameters(path)['{constants[0]}'], "
            "and load the others with strict=False"
        )
    found = {name: _held(saved.key, owners) for name, saved in content.variables.items()}
    held = {name: value for name, value in found.items() if value is not None}
    chosen = _in_both(content, held, path, strict, "the network has", whole=False)
    for name, saved in chosen.items():
        _check_unit(name, saved, get_dimensions(held[name]), path)
        if not saved.axonal:  # else the connections tell
            _check_size(name, saved, held[name].shape or (1,), path)
    moved, values = {}, {saved.key: saved.values for saved in chosen.values()}
    for name in _synapses_of(values, owners):
        own = (np.asarray(owners[name].i[:]), np.asarray(owners[name].j[:]))
        ends = _new_ends(content, name, own, path, ())
        moved |= {} if ends is None else {name: ends}
    for saved in chosen.values():
        if saved.axonal:
            synapses = _synapses(owners[saved.key[0]])
            i = moved[synapses.name][0] if synapses.name in moved else synapses.i[:]
            values[saved.key] = saved.values[i]
    _write(values, owners, objects)
    for name, ends in moved.items():
        obj = owners[name]
        first = (getattr(end, "start", 0) for end in (obj.source, obj.target))
        write_connections(obj, *(end + start for end, start in zip(ends, first, strict=True)))


def _held(key: Key, owners) -> Quantity | None:
    """Return what a variable is in Brian2's objects, or a constant in the namespace of one."""
    owner, name = owners.get(key[0]), key[1]
    if owner is None:
        return None
    if name in owner.variables:
        variable = owner.variables[name]
        return Quantity(np.array(variable.get_value(), float), dim=variable.dim)
    constant = (owner.namespace or {}).get(name)
    return None if constant is None else Quantity(constant)


def _write(values: dict, owners, objects) -> None:
    of_objects = {key: array for key, array in values.items() if key[1] in owners[key[0]].variables}
    for owner, name in values.keys() - of_objects.keys():
        dimension = get_dimensions(owners[owner].namespace[name])
        constant = Quantity(values[owner, name].item(), dim=dimension)
        # A new dictionary: the old one may belong to several groups.
        owners[owner].namespace = {**owners[owner].namespace, name: constant}
    write_values(of_objects, NetworkSpec((), (), (), (), 0.0), objects)


# ---- what both ask ----


def _in_both(content, there, path, strict: bool, who: str, whole: bool = True) -> dict:
    """Return the variables of the file that `there` has as well."""
    chosen = {name: saved for name, saved in content.variables.items() if name in there}
    unknown = [name for name in content.variables if name not in there]
    missing = [name for name in there if name not in content.variables] if whole else []
    if chosen and not (strict and (unknown or missing)):
        return chosen
    if unknown:
        found = f"it holds {_list(unknown)}, and {who} {_list(there) if there else 'none of these'}"
    else:
        found = f"it lacks {_list(missing)}"
    advice = "; strict=False takes those that are in both" if chosen else ""
    raise ValueError(
        f"{path} does not fit: {found}. Variables are found by the names of the Brian2 objects, "
        f"which Synapses(..., name='s_in') sets{advice}"
    )


def _check_unit(name: str, saved: _Saved, dimension, path) -> None:
    if saved.dimension is not dimension:
        raise ValueError(
            f"{path} does not fit: '{name}' is in {unit_name(dimension)} here, and in "
            f"{unit_name(saved.dimension)} in the file"
        )


def _check_size(name: str, saved: _Saved, shape, path) -> None:
    if saved.values.shape != shape:
        raise ValueError(
            f"{path} does not fit: '{name}' has the shape {shape} here, and "
            f"{saved.values.shape} in the file"
        )


def _new_ends(content: _Content, name: str, own, path, rewired):
    """Return source and target of the synapses in the file if they must replace their own."""
    if name not in content.connections:
        return None
    ends = content.connections[name]
    if all(np.array_equal(a, b) for a, b in zip(ends, own, strict=True)):
        return None
    if len(ends[0]) == len(own[0]) and (name in content.rewired or name in rewired):
        return ends
    raise ValueError(
        f"{path} does not fit: the synapses of '{name}' connect other neurons here "
        f"({len(own[0])} synapses) than in the file ({len(ends[0])}). Make random connections the "
        f"same, with Brian2's seed() or {name}.connect(i=..., j=...)"
    )


def _connections(model, name: str) -> tuple[np.ndarray, np.ndarray]:
    if any(p.synapses == name for p in model.spec.pathways):
        return model.connections(name)
    synapses = owners_of(model.objects)[name]  # its synapses receive no spikes
    return np.asarray(synapses.i[:]), np.asarray(synapses.j[:])


def _synapses_of(keys, owners) -> list[str]:
    """Return the names of the `Synapses` objects that some variables belong to."""
    found = (_synapses(owners.get(owner)) for owner, _ in keys)
    return list(dict.fromkeys(obj.name for obj in found if obj is not None))


def _synapses(owner):
    owner = getattr(owner, "synapses", owner)  # of a pathway
    return owner if isinstance(owner, Synapses) else None


def _name(key: Key) -> str:
    return name_of(key)


def _list(names) -> str:
    names = list(names)
    rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + rest


# ---- the file ----


def _read(path: Path) -> _Content:
    variables, connections, rewired = {}, {}, set()
    with reading(path, KIND) as file:
        try:
            for name, dataset in file["values"].items():
                attributes = dataset.attrs
                variables[name] = _Saved(
                    (str(attributes["owner"]), str(attributes["variable"])),
                    np.asarray(dataset[()], float),
                    get_or_create_dimension([float(x) for x in attributes["dimensions"]]),
                    bool(attributes["axonal"]),
                )
            for name, dataset in file.get("connections", {}).items():
                connections[name] = tuple(dataset[()])
                rewired |= {name} if dataset.attrs["rewired"] else set()
        except READ_ERRORS as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
    return _Content(variables, connections, frozenset(rewired))
