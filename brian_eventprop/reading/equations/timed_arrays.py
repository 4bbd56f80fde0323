"""Calls of a `TimedArray` in equations: each becomes a name whose value the kernels look up.

``I_ext(t, i)`` is a number that changes from one cell of the array's own grid to the next, so it
stands in an expression like a variable that nothing in the network changes.  Methods of several
stages also call it at ``t + 0.5*dt``: such a call is another name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace

from brian_eventprop.reading import brian
from brian_eventprop.reading.equations.expressions import functions, inline, names
from brian_eventprop.reading.equations.noise import GivenNoise
from brian_eventprop.reading.equations.symbols import Collection, group_symbol
from brian_eventprop.reading.spec import Statement, Symbol, TimedInput, TimedValue
from brian_eventprop.reading.unsupported import unsupported

_TIMES = "Call it with t, as in 'I_ext(t)' or 'I_ext(t, i)'."


class TimedValueReader:
    """Replaces the calls of timed arrays in the code of one group.

    Parameters
    ----------
    group, variables, collection
        The group, the variables behind the names of its code, and what has been read so far.
    part
        The first and last neuron (excluded) of the part of the group whose code it is, if any.
    owner
        The object that errors name, if not the group.

    Attributes
    ----------
    timed_values
        The names that were put in, in the order of their first use.
    """

    def __init__(self, group, variables: Mapping, collection: Collection, part=None, owner=None):
        self.group, self.collection, self.part = group, collection, part
        self.owner = owner or group
        self.variables = variables
        self.arrays = {n: v for n, v in variables.items() if isinstance(v, brian.TimedArray)}
        self.timed_values: dict[str, TimedValue] = {}

    def expression(self, source: str, definitions: Mapping[str, str] | None = None) -> str:
        """Return an expression with names in place of the calls."""
        if not self.arrays:
            return source
        tree = _Calls(self, definitions or {}).visit(ast.parse(f"({source.strip()})", mode="eval"))
        return ast.unparse(tree)

    def block(self, statements: list[Statement]) -> list[Statement]:
        """Return statements with names in place of the calls.

        Temporaries may hold the time, or which column a neuron reads.
        """
        if not self.arrays:
            return statements
        constants = {"t", "dt"} | self._known()
        definitions: dict[str, str] = {}
        result = []
        for s in statements:
            result.append(Statement(s.target, self.expression(s.expression, definitions)))
            definitions.pop(s.target, None)
            text = inline(s.expression, definitions)
            if names(text) <= constants and not functions(text) & self.arrays.keys():
                definitions[s.target] = text
        return result

    def _known(self) -> set[str]:
        """Return the names in the code whose value a neuron keeps during a trial."""
        return self._constants()

    def _column(self, text: str, call: ast.Call) -> str:
        """Return which column of an array a call reads, in the names of the group."""
        del call
        return text

    def _constants(self) -> set[str]:
        """Return the names whose value a neuron keeps during a trial."""
        group = self.group
        known = {"i", "N", *group.user_equations.parameter_names}
        outside = {
            name
            for name, variable in self.variables.items()
            if isinstance(variable, brian.Constant) and name not in group.variables
        }
        return (known | outside) - set(self.collection.states.get(group.name, ()))

    @property
    def symbols(self) -> dict[str, Symbol]:
        """The symbols of the names."""
        return {
            name: Symbol(name, "timed", timed_value.array, ("", timed_value.array))
            for name, timed_value in self.timed_values.items()
        }

    def name_of(self, call: ast.Call, definitions: Mapping[str, str]) -> str:
        """Return the name that stands for a call, and remember what it calls."""
        array = call.func.id
        when, *where = call.args
        offset = _offset(inline(ast.unparse(when), definitions))
        if offset is None:
            reason = f"'{array}' is a TimedArray, called at another time than t"
            raise unsupported(self.owner, ast.unparse(call), reason, _TIMES)
        column, part = "", None
        if where:
            column = self._column(inline(ast.unparse(where[0]), definitions), call)
            part = self.part
        timed_value = TimedValue("", array, offset, column, part, self._names(call, column))
        self._remember(array)
        name = self._free_name(timed_value)
        self.timed_values[name] = replace(timed_value, name=name)
        return name

    def _free_name(self, timed_value: TimedValue) -> str:
        """Return a name that stands for this trace, and nothing else, in the code of the group."""
        array, column = timed_value.array, timed_value.column
        name = array if column in ("", "i") else f"{array}_{re.sub(r'[^0-9A-Za-z]+', '_', column)}"
        if timed_value.part and column:
            name += "_of_{}_{}".format(*timed_value.part)
        if timed_value.offset:
            name += f"_after_{timed_value.offset:g}_dt".replace(".", "_")
        known, owner = self.collection.timed_values, self.group.name
        while (
            known.setdefault((owner, name), timed_value) != timed_value
            or name in self.group.variables
        ):
            name += "_"
        return name

    def _names(self, call: ast.Call, column: str) -> tuple[Symbol, ...]:
        """Return the constants that say which column of the array a neuron reads."""
        used = sorted(names(column)) if column else []
        for name in set(used) - self._constants():
            reason = f"which column of '{call.func.id}' a neuron reads must depend on constants"
            way_out = f"Use 'i', or a parameter instead of '{name}', as 'channel : integer'."
            raise unsupported(self.owner, ast.unparse(call), reason, way_out)
        variables = {**self.group.variables, **self.variables}
        find = (group_symbol(self.group, n, variables[n], self.collection) for n in used)
        return tuple(symbol for symbol in find if symbol is not None)

    def _remember(self, array: str) -> None:
        timed = self.arrays[array]
        step = float(self.group.clock.dt_)
        columns = timed.values.shape[1] if timed.values.ndim == 2 else 1
        factor = brian.upsampling(step, timed.dt)
        spec = TimedInput(array, float(timed.dt), factor, columns, isinstance(timed, GivenNoise))
        self.collection.add_timed(self.group, spec, timed)


class _Calls(ast.NodeTransformer):
    def __init__(self, reader: TimedValueReader, definitions: Mapping[str, str]):
        self.reader, self.definitions = reader, definitions

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if node.func.id in self.reader.arrays:
            return ast.Name(self.reader.name_of(node, self.definitions))
        return node


def _offset(when: str) -> float | None:
    """Return a where ``when`` is ``t + a*dt``; None if it is anything else.

    >>> _offset("0.5*dt + t"), _offset("t"), _offset("2*t"), _offset("t - delay")
    (0.5, 0.0, None, None)
    """
    if names(when) - {"t", "dt"}:
        return None
    code = compile(ast.parse(f"({when})", mode="eval"), "<time>", "eval")

    def at(t, dt):
        return float(eval(code, {"__builtins__": {}}, {"t": t, "dt": dt}))

    try:
        offset = at(0.0, 1.0)
        linear = at(1.0, 0.0) == 1 and abs(at(2.0, 4.0) - 2 - 4 * offset) < 1e-9
    except (NameError, TypeError, ZeroDivisionError):
        return None
    return offset if linear else None
