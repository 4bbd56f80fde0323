"""Values of variables that are expressions, and their gradients back to what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from brian2 import Quantity

from brian_eventprop._names import name_of
from brian_eventprop.codegen.expr.parameter_map import host_functions
from brian_eventprop.expressions.definition import Expression
from brian_eventprop.expressions.names import Atom, Resolver
from brian_eventprop.reading.live.writing import owners_of
from brian_eventprop.reading.spec import Key, NetworkValues

#: Values of names by key of the variable, as they were in a run.
Bound = Mapping[Key, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class _TiedVariable:
    """A variable that is computed.

    Parameters
    ----------
    key
        Of the variable.
    size
        How many values it has.
    given
        The expression as the user wrote it.
    atoms, constants
        See `names.Names`.
    value, partials
        Functions of the values of all names.
    """

    key: Key
    size: int
    given: str
    atoms: Mapping[str, Atom]
    constants: Mapping[str, np.ndarray | float]
    value: Callable
    partials: Callable

    def bind(self, values: Mapping[Key, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the values of all names."""
        found: dict = dict(self.constants)
        for name, atom in self.atoms.items():
            array = values[atom.key]
            found[name] = array if atom.index is None else array[atom.index]
        return found

    def evaluate(self, bound: Mapping) -> np.ndarray:
        """Return the variable's values.

        Raises
        ------
        FloatingPointError
            If one is not finite.
        ValueError
            If a delay is negative.
        """
        with np.errstate(all="ignore"):
            found = np.array(np.broadcast_to(self.value(bound), self.size), dtype=float)
        label = name_of(self.key)
        if not np.all(np.isfinite(found)):
            bad = np.flatnonzero(~np.isfinite(found))[0]
            raise FloatingPointError(
                f"{label} = '{self.given}' is {found[bad]} for entry {bad} with the present values"
            )
        if self.key[1] == "delay" and np.any(found < 0):
            bad = int(np.argmin(found))
            raise ValueError(
                f"{label} = '{self.given}' is negative, {found[bad]:g} s for entry {bad}. Keep it "
                "from that by clip(..., 0*ms, inf*ms), or by bounds of what it is made of."
            )
        return found

    def pull(self, gradient: np.ndarray, bound: Mapping, into: dict[Key, np.ndarray]) -> None:
        """Add the gradients of what the variable is made of."""
        with np.errstate(all="ignore"):
            partials = self.partials(bound)
        for name, slope in partials.items():
            term = np.where(gradient == 0, 0.0, gradient * slope)
            atom = self.atoms[name]
            if atom.index is None:
                into[atom.key] += term
            else:
                np.add.at(into[atom.key], np.broadcast_to(atom.index, term.shape), term)

    def push(self, tangents: Mapping[Key, np.ndarray], bound: Mapping) -> np.ndarray:
        """Return the tangent of the variable, given those of what it is made of."""
        with np.errstate(all="ignore"):
            partials = self.partials(bound)
        found = np.zeros(self.size)
        for name, slope in partials.items():
            atom = self.atoms[name]
            if atom.key in tangents:
                tangent = tangents[atom.key]
                tangent = tangent if atom.index is None else tangent[atom.index]
                found += np.where(tangent == 0, 0.0, tangent * slope)
        return found


class Tied:
    """All variables of a model that are expressions.

    Parameters
    ----------
    variables
        One for each.
    quantities
        The start values of the quantities that only expressions use, by name.
    """

    def __init__(self, variables: Iterable[_TiedVariable], quantities: Mapping[str, Quantity]):
        self.variables, self.quantities = tuple(variables), dict(quantities)

    def __bool__(self) -> bool:
        return bool(self.variables)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The variables that are computed."""
        return tuple(v.key for v in self.variables)

    @property
    def used(self) -> set[Key]:
        """What some expression depends on."""
        return {atom.key for v in self.variables for atom in v.atoms.values()}

    def texts(self) -> dict[Key, str]:
        """Return the expressions by the key of the variable."""
        return {v.key: v.given for v in self.variables}

    def bind(self, values: Mapping[Key, np.ndarray]) -> Bound:
        """Return the values of all names in the expressions."""
        return {v.key: v.bind(values) for v in self.variables}

    def evaluate(self, bound: Bound) -> dict[Key, np.ndarray]:
        """Return the values of the variables."""
        return {v.key: v.evaluate(bound[v.key]) for v in self.variables}

    def pull(self, gradients: Mapping, bound: Bound, shapes: Mapping[Key, tuple]) -> dict:
        """Return the gradients of the trained quantities, given those that the solver found.

        Parameters
        ----------
        gradients
            By key, also those of the computed variables.
        bound
            The values of the names in that run.
        shapes
            Of what is trained, by key.
        """
        found = {
            key: np.array(gradients[key], float) if key in gradients else np.zeros(shape)
            for key, shape in shapes.items()
        }
        for v in self.variables:
            v.pull(np.asarray(gradients[v.key], float), bound[v.key], found)
        return found

    def push(self, tangents: Mapping[Key, np.ndarray], bound: Bound) -> dict:
        """Return tangents with those of the computed variables, given those of the quantities."""
        return {**tangents, **{v.key: v.push(tangents, bound[v.key]) for v in self.variables}}


def tied_variables(
    expressions: Iterable[Expression], objects, free: Iterable[Key], keys: Mapping[int, Key],
    sizes: Mapping[Key, int], dimensions: Mapping, namespace: Mapping,
) -> Tied:  # fmt: skip
    """Return the computed variables of a model.

    Parameters
    ----------
    expressions
        As given in ``train=[...]``.
    objects
        The Brian2 objects.
    free
        Keys of the variables and constants in ``train=[...]``.
    keys
        Of the variable of each expression, by its `id`.
    sizes, dimensions
        Of the variables, by key.
    namespace
        Where external constants are looked up.

    Raises
    ------
    ValueError
        If a variable is both trained and computed or computed twice, a quantity has two different
        start values or the name of an external constant, or a name is not known.
    """
    expressions, free = list(expressions), set(free)
    owners, quantities, found = owners_of(objects), _quantities(expressions), []
    for item in expressions:
        key = keys[id(item)]
        label = name_of(key)
        if key in free or key in {v.key for v in found}:
            raise ValueError(f"'{label}' is in train=[...] twice, once as '{item.expression}'")
        if taken := {("", name) for name in item.quantities} & set(dimensions):
            raise ValueError(
                f"{label} = '{item.expression}': '{taken.pop()[1]}' is an external constant of the "
                "network already; give the quantity another name"
            )
        owner = owners[key[0]] if key[0] in owners else None
        if owner is None:
            raise ValueError(f"'{label}' is an external constant and cannot be an expression")
        owner = getattr(owner, "synapses", owner)  # the delays are a pathway's
        resolver = Resolver(owner, label, item.quantities, free, namespace)
        names = resolver.resolve(item.expression, dimensions[key])
        functions = host_functions(names.text, names.atoms)
        found.append(
            _TiedVariable(
                key, sizes[key], item.expression, names.atoms, names.constants, *functions
            )
        )
    return Tied(found, quantities)


def with_quantities(network: NetworkValues, quantities: Mapping[str, Quantity]) -> NetworkValues:
    """Return the numbers of a network with quantities that only expressions use."""
    if not quantities:
        return network
    values = {("", name): np.ravel(np.asarray(q)) for name, q in quantities.items()}
    dimensions = {("", name): q.dim for name, q in quantities.items()}
    shapes = {("", name): np.shape(q) for name, q in quantities.items() if np.ndim(q) > 1}
    return replace(
        network,
        values={**network.values, **values},
        dimensions={**network.dimensions, **dimensions},
        shapes={**network.shapes, **shapes},
    )


def _quantities(expressions: Iterable[Expression]) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for item in expressions:
        for name, value in item.quantities.items():
            known = found.setdefault(name, value)
            same = known.shape == value.shape and known.dim == value.dim
            if not same or not np.array_equal(known, value):
                raise ValueError(
                    f"the quantity '{name}' has different values in two expressions: give the same "
                    "array, or two names"
                )
    return found
