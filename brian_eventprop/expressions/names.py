"""What the names in an expression stand for: trained quantities, constants, elements by index."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.variables import ArrayVariable, Constant, Subexpression
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.units.fundamentalunits import DimensionMismatchError, have_same_dimensions

from brian_eventprop._units import unit_name
from brian_eventprop.reading.spec import Key


@dataclass(frozen=True)
class Atom:
    """A name in an expression that stands for something trained.

    Parameters
    ----------
    key
        Of what is trained.
    index
        Which entry each element of the variable reads; None where it reads its own.
    """

    key: Key
    index: np.ndarray | None


@dataclass(frozen=True)
class Names:
    """An expression whose names are all known.

    Parameters
    ----------
    text
        The expression, where an element by index has a name of its own.
    atoms
        What is trained, by name.
    constants
        All else, in SI units.
    """

    text: str
    atoms: Mapping[str, Atom]
    constants: Mapping[str, np.ndarray | float]


class Resolver:
    """Looks up the names of one expression.

    Parameters
    ----------
    owner
        The Brian2 object that has the variable.
    label
        What is computed, for messages.
    quantities
        Those of the expression.
    free
        Keys of the variables and constants that are trained.
    namespace
        Where external constants are looked up.
    """

    def __init__(
        self, owner, label: str, quantities: Mapping[str, Quantity], free: Collection[Key],
        namespace: Mapping,
    ):  # fmt: skip
        self.owner, self.label, self.quantities = owner, label, quantities
        self.free, self.namespace = free, namespace
        self.atoms: dict[str, Atom] = {}
        self.constants: dict[str, np.ndarray | float] = {}
        self.dimensions: dict[str, Constant] = {}

    def resolve(self, text: str, dimension) -> Names:
        """Return the expression with all its names, after checking its unit."""
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError as error:
            raise ValueError(f"{self.label} = '{text}' is no expression: {error.msg}") from None
        plain = ast.unparse(_Elements(self).visit(tree))
        for name in _names(ast.parse(plain, mode="eval")) - set(self.dimensions):
            self._resolve(name)
        try:
            found = parse_expression_dimensions(plain, {**DEFAULT_FUNCTIONS, **self.dimensions})
        except DimensionMismatchError as error:
            raise DimensionMismatchError(
                f"{self.label} = '{text}' has units that do not fit: {error.desc}", *error.dims
            ) from None
        if not have_same_dimensions(Quantity(1, dim=found), Quantity(1, dim=dimension)):
            raise DimensionMismatchError(
                f"{self.label} = '{text}' gives a value in {unit_name(found)}, but the variable "
                f"needs one in {unit_name(dimension)}",
                found,
                dimension,
            )
        return Names(plain, self.atoms, self.constants)

    def element(self, name: str, index: ast.expr) -> str:
        """Return a name for an entry of a quantity, chosen by an index for each element."""
        if name not in self.quantities:
            raise ValueError(
                f"{self.label}: '{name}' has an index, but is no quantity of the expression; give "
                f"it, Expression(..., {name}=array)"
            )
        shape = np.shape(self.quantities[name])
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        if len(parts) != len(shape):
            raise ValueError(f"{self.label}: '{name}' has the shape {shape}, not {len(parts)} axes")
        places = [self._index(part, size, name) for part, size in zip(parts, shape, strict=True)]
        label = f"{name}_element{len(self.atoms)}"
        flat = np.ravel_multi_index(np.broadcast_arrays(*places), shape)
        self._add_atom(label, ("", name), flat, self.quantities[name].dim)
        return label

    def _index(self, part: ast.expr, size: int, name: str) -> np.ndarray:
        """Return the value of an index, checked."""
        text = ast.unparse(part)
        inner = Resolver(self.owner, self.label, {}, self.free, self.namespace)
        for each in _names(part):
            inner._resolve(each)
        if inner.atoms:
            raise ValueError(
                f"{self.label}: the index '{text}' depends on {', '.join(inner.atoms)}, which is "
                "trained; an index must be constant"
            )
        functions = {f: DEFAULT_FUNCTIONS[f].pyfunc for f in DEFAULT_FUNCTIONS}
        value = np.asarray(eval(text, {"__builtins__": {}}, functions | inner.constants))
        if not np.all(value == np.rint(value)):
            raise ValueError(f"{self.label}: the index '{text}' is not a whole number everywhere")
        if value.min(initial=0) < 0 or value.max(initial=0) >= size:
            raise ValueError(
                f"{self.label}: the index '{text}' of '{name}' reaches from {value.min():g} to "
                f"{value.max():g}, but there are {size} entries"
            )
        return value.astype(np.int64)

    def _resolve(self, name: str) -> None:
        if name in self.quantities:
            quantity = self.quantities[name]
            n = self._size()
            if quantity.size not in (1, n):
                raise ValueError(
                    f"{self.label}: '{name}' has {quantity.size} values and the variable {n}: say "
                    f"which one is meant, as in {name}[i]"
                )
            index = np.zeros(1, np.int64) if quantity.size == 1 else None
            return self._add_atom(name, ("", name), index, quantity.dim)
        try:
            found = self.owner.resolve_all([name], run_namespace=self.namespace)[name]
        except KeyError as error:
            raise ValueError(f"{self.label}: '{name}' is not known: {error.args[0]}") from None
        if isinstance(found, Subexpression):
            raise ValueError(
                f"{self.label}: '{name}' is a subexpression; write what it stands for in its place"
            )
        if not isinstance(found, ArrayVariable):
            key, index, values = ("", name), np.zeros(1, np.int64), float(found.get_value())
        else:
            key, index = (found.owner.name, found.name), self._places(name)
            values = np.asarray(found.get_value(), dtype=float)
            values = values if index is None else values[index]
        if key in self.free:
            return self._add_atom(name, key, index, found.dim)
        self.constants[name] = values
        self.dimensions[name] = Constant(name, 1.0, dimensions=found.dim)

    def _places(self, name: str) -> np.ndarray | None:
        """Return which entry of a variable each element reads."""
        index = self.owner.variables.indices[name]
        if index == "_idx":
            return None
        if index == "0":
            return np.zeros(1, np.int64)
        return np.asarray(self.owner.variables[index].get_value(), np.int64)

    def _size(self) -> int:
        return len(self.owner)

    def _add_atom(self, name: str, key: Key, index, dimension) -> None:
        self.atoms[name] = Atom(key, index)
        self.dimensions[name] = Constant(name, 1.0, dimensions=dimension)


class _Elements(ast.NodeTransformer):
    """Puts a name for every element by index."""

    def __init__(self, resolver: Resolver):
        self.resolver = resolver

    def visit_Subscript(self, node):
        if not isinstance(node.value, ast.Name):
            raise ValueError(f"'{ast.unparse(node)}': only a quantity may have an index")
        return ast.Name(self.resolver.element(node.value.id, node.slice), ast.Load())


def _names(tree: ast.AST) -> set[str]:
    """Return the names in an expression that are no functions."""
    calls = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in calls}
