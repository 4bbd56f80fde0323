"""A file's network as populations of states, and its equations as one Taylor program."""

from __future__ import annotations

import ast
import re

import numpy as np

from . import dual, taylor
from .dual import Real

EQUATION = re.compile(r"\s*d(\w+)/dt\s*=\s*(.*?)\s*:\s*([^()]*?)\s*(\([^:]*\))?\s*$")
SUBEXPRESSION = re.compile(r"\s*(\w+)\s*=\s*(.*?)\s*:\s*([^()]*?)\s*(\([^:]*\))?\s*$")
DECLARATION = re.compile(r"\s*(\w+)\s*:\s*([^()]*?)\s*$")
STATEMENT = re.compile(r"\s*(\w+)\s*([-+*/]?)=\s*(.*)$")
KINDS = ("groups", "synapses")
CHAINS = {"exp": taylor.Exp, "log": taylor.Log, "tanh": taylor.Tanh, "sin": taylor.Sin}
CHAINS |= {"cos": taylor.Cos, "exprel": taylor.ExpRel}


def at(tree, path: str):
    """Return what a file has at a path such as ``synapses/s/delay``."""
    for key in path.split("/"):
        tree = tree[key]
    return tree


class Directions:
    """Which row of a dual belongs to which trained number."""

    moved = {}

    def __init__(self, file: dict, trained):
        self.first, self.rows = {}, 1
        for path in trained:
            self.first[path] = self.rows
            self.rows += np.size(number(at(file, path)))

    def dual(self, path: str, value) -> np.ndarray:
        """Return the dual of the numbers at a path, with ones where they are trained."""
        out = dual.constant(value, self.rows)
        if path in self.moved:
            out = out + self.moved[path]
        if path in self.first:
            for k in range(out.shape[1]):
                out[self.first[path] + k, k] = 1
        return out


def number(entry):
    """Return the numbers of a parameter, which has a unit beside them, or of a plain entry."""
    return entry["value"] if isinstance(entry, dict) else entry


class Copies(Directions):
    """Rows that are copies of a network, whose numbers are moved by ``moved[path]`` (rows, n)."""

    def __init__(self, moved: dict):
        self.first, self.moved = {}, moved
        self.rows = len(next(iter(moved.values())))


class Population:
    """The neurons of a group, or the synapses of a pathway, which are treated alike."""

    def __init__(self, name, data, directions, file, offset):
        self.path, self.name = name, name.split("/")[1]
        self.data = data
        self.n = data["size"] if name.startswith("groups") else len(data["source_index"])
        self.equations, self.sub, self.sums, self.frozen = {}, {}, {}, set()
        for line in data.get("equations", ()):
            self._read(line)
        self.integrals = []
        for k, readout in enumerate(file["readouts"]):
            if readout["kind"] == "integral" and readout["of"] == name:
                self.equations[f"integral__{k}"] = readout["expression"]
        self.slices = {}
        for state in self.equations:
            self.slices[state] = slice(offset, offset + self.n)
            offset += self.n
        self.end = offset
        self.parameters = {
            key: directions.dual(f"{name}/parameters/{key}", number(entry))
            for key, entry in data.get("parameters", {}).items()
        }
        self.initial = {
            key: directions.dual(f"{name}/initial/{key}", value)
            for key, value in data.get("initial", {}).items()
        }
        self.threshold = margin(data.get("threshold"))
        self.reset = statements(data.get("reset", ()))
        self.active = np.ones(self.n, dtype=bool)

    def _read(self, line: str) -> None:
        if found := EQUATION.match(line):
            name, expression, _, flags = found.groups()
            self.equations[name] = expression
            if flags and "unless refractory" in flags:
                self.frozen.add(name)
        elif found := SUBEXPRESSION.match(line):
            name, expression, _, flags = found.groups()
            (self.sums if flags and "summed" in flags else self.sub)[name] = expression
        elif (found := DECLARATION.match(line)) and found[1] in self.data["initial"]:
            self.equations[found[1]] = "0"  # only events change it; other such lines are sums


def margin(threshold: str | None) -> str | None:
    """Return what crosses 0 upwards at a spike."""
    if not threshold:
        return None
    left, right = threshold.split(">")
    return f"({left}) - ({right})"


def statements(lines) -> list[tuple[str, str]]:
    """Return what is assigned to what."""
    out = []
    for line in lines:
        target, operator, expression = STATEMENT.match(line).groups()
        out.append((target, f"{target} {operator} ({expression})" if operator else expression))
    return out


class Network:
    """All populations, where their states lie in one vector, and their coupling."""

    def __init__(self, file: dict, directions: Directions, orders: int):
        self.file, self.orders = file, orders
        self.directions = directions
        self.rows = self.directions.rows
        self.populations, offset = {}, 0
        for kind in KINDS:
            for name, data in file[kind].items():
                path = f"{kind}/{name}"
                found = Population(path, data, self.directions, file, offset)
                self.populations[path], offset = found, found.end
        self.size = offset
        self.groups = [p for p in self.populations.values() if p.path.startswith("groups")]
        self.synapses = [p for p in self.populations.values() if p.path.startswith("synapses")]
        self.ends = {
            p.path: (
                self.populations.get(f"groups/{p.data['source']}"),
                self.populations[f"groups/{p.data['target']}"],
            )
            for p in self.synapses
        }
        self.program = Program(self)

    def initial(self) -> np.ndarray:
        x = np.zeros((self.rows, self.size), dtype=Real)
        for p in self.populations.values():
            for state, where in p.slices.items():
                if state in p.initial:
                    x[:, where] = p.initial[state]
        return x


class Program:
    """The nodes of all right-hand sides, thresholds and maxima, in an order of evaluation."""

    def __init__(self, network: Network):
        self.network, self.nodes, self.known = network, [], {}
        #: Coefficients of all states, which the nodes of states see parts of.
        self.X = np.zeros((network.orders + 2, network.rows, network.size), dtype=Real)
        self.time = self._keep(taylor.Time(network.orders, network.rows))
        everything = network.populations.values()
        self.rhs = [
            (p.slices[state], self.node(p, expression), p if state in p.frozen else None)
            for p in everything
            for state, expression in p.equations.items()
        ]
        self.thresholds = [(p, self.node(p, p.threshold)) for p in everything if p.threshold]
        readouts = enumerate(network.file["readouts"])
        self.maxima = [
            (k, p, self.node(p, r["expression"]))
            for k, r in readouts
            for p in [network.populations[r["of"]]]
            if r["kind"] == "maximum"
        ]
        still = (taylor.State, taylor.Time)
        self.moving = [n for n in self.nodes if not n.steady and not isinstance(n, still)]
        self.starts = [where.start for where, _, _ in self.rhs]

    def _keep(self, node):
        self.nodes.append(node)
        return node

    def _make(self, kind, *arguments):
        node = self._keep(kind(self.network.orders, self.network.rows, *arguments))
        if node.steady:
            node.order(0)  # once for all
        return node

    def node(self, population: Population, expression: str):
        """Return the node of an expression of a population, making it if it is new."""
        return self._walk(population, dual.parsed(expression))

    def _walk(self, p, tree):
        key = p.path, ast.dump(tree)
        if key not in self.known:
            self.known[key] = self._new(p, tree)
        return self.known[key]

    def _new(self, p, tree):
        if isinstance(tree, ast.Constant):
            return self._make(taylor.Steady, dual.constant(tree.value, self.network.rows))
        if isinstance(tree, ast.Name):
            return self._named(p, tree.id)
        if isinstance(tree, ast.UnaryOp):
            return self._make(taylor.Negative, self._walk(p, tree.operand))
        if isinstance(tree, ast.Call):
            return self._call(p, tree)
        if isinstance(tree.op, ast.Pow):
            return self._power(p, tree)
        return self._binary(tree.op, self._walk(p, tree.left), self._walk(p, tree.right))

    def _binary(self, operator, a, b):
        if isinstance(operator, ast.Add):
            return self._make(taylor.Add, a, b)
        if isinstance(operator, ast.Sub):
            return self._make(taylor.Subtract, a, b)
        if isinstance(operator, ast.Mult):
            if a.steady or b.steady:
                return self._make(taylor.Scale, *((a, b) if a.steady else (b, a)))
            return self._make(taylor.Multiply, a, b)
        if b.steady:
            one = dual.constant(1, self.network.rows)
            return self._make(taylor.Scale, self._make(taylor.Steady, dual.divide(one, b.c[0])), a)
        return self._make(taylor.Divide, a, b)

    def _power(self, p, tree):
        base = self._walk(p, tree.left)
        exponent = tree.right
        if isinstance(exponent, ast.Constant):
            if float(exponent.value).is_integer() and exponent.value >= 1:
                out = base
                for _ in range(int(exponent.value) - 1):
                    out = self._binary(ast.Mult(), out, base)
                return out
            return self._make(taylor.Power, base, exponent.value)
        log = self._make(taylor.Log, base)
        return self._make(taylor.Exp, self._binary(ast.Mult(), self._walk(p, exponent), log))

    def _call(self, p, tree):
        name, argument = tree.func.id, self._walk(p, tree.args[0])
        if name == "sqrt":
            return self._make(taylor.Power, argument, 0.5)
        if name in ("cosh", "sinh"):
            up = self._make(taylor.Exp, argument)
            down = self._make(taylor.Exp, self._make(taylor.Negative, argument))
            kind = taylor.Add if name == "cosh" else taylor.Subtract
            half = self._make(taylor.Steady, dual.constant(0.5, self.network.rows))
            return self._make(taylor.Scale, half, self._make(kind, up, down))
        return self._make(CHAINS[name], argument)

    def _named(self, p, name):
        if name == "t":
            return self.time
        if name == "T":
            value = dual.constant(self.network.file["duration"], self.network.rows)
            return self._make(taylor.Steady, value)
        if name in p.equations:
            return self._keep(taylor.State(self.X[:, :, p.slices[name]]))
        if name in p.parameters:
            return self._make(taylor.Steady, p.parameters[name])
        if name in p.sub:
            return self._walk(p, dual.parsed(p.sub[name]))
        if p.path in self.network.ends:
            return self._at_an_end(p, name)
        return self._summed(p, name)

    def _at_an_end(self, p, name):
        source, target = self.network.ends[p.path]
        stem, _, end = name.rpartition("_")
        population, index = {
            "pre": (source, p.data["source_index"]),
            "post": (target, p.data["target_index"]),
        }[end]
        node = self._walk(population, ast.Name(stem, ast.Load()))
        return self._make(taylor.Gather, node, index)

    def _summed(self, p, name):
        for s in self.network.synapses:
            if self.network.ends[s.path][1] is p and f"{name}_post" in s.sums:
                node = self._walk(s, dual.parsed(s.sums[f"{name}_post"]))
                return self._make(taylor.Scatter, node, s.data["target_index"], p.n)
        raise KeyError(f"{p.path} has no {name!r}")

    def expand(self, x: np.ndarray, t, h, tolerance) -> tuple[np.ndarray, int, Real]:
        """Return the coefficients of the states, their number, and how far they are good.

        t and h are columns with one entry, or one per copy.
        """
        network = self.network
        X = self.X
        X[0], self.time.c[0, : len(t)] = x, t
        power, small, scale = np.ones_like(h), 0, np.abs(x)
        for k in range(network.orders + 1):
            for node in self.moving:
                node.order(k)
            for where, node, frozen in self.rhs:
                np.divide(node.c[k], k + 1, out=X[k + 1, :, where])
                if frozen is not None:
                    X[k + 1, :, where] *= frozen.active
            power *= h
            term = np.abs(X[k + 1] * power)
            scale = np.maximum(scale, term)
            small = small + 1 if k > 2 and self._below(term, scale, tolerance) else 0
            if small == 2 and k > 3:
                return X, k + 1, h
        return X, network.orders + 1, self._shorter(X, h, tolerance)

    def _per_state(self, array):
        return np.maximum.reduceat(array, self.starts, axis=1)

    def _below(self, term, scale, tolerance) -> bool:
        above = self._per_state(term) > tolerance * self._per_state(scale)
        return not np.any(above)  # copies that are lost (not a number) decide nothing

    def _shorter(self, X, h, tolerance):
        """Return steps for which the last terms are small: one for all, or one for each copy."""
        scale = self._per_state(np.max([np.abs(X[k] * h**k) for k in range(5)], axis=0))
        part = np.ones((len(X[0]), 1), dtype=Real)
        for k in (self.network.orders + 1, self.network.orders):
            last = self._per_state(np.abs(X[k]) * np.abs(h) ** k)
            with np.errstate(divide="ignore", invalid="ignore"):
                shorter = np.where(last > 0, tolerance * scale / last, 1) ** (Real(1) / k)
            part = np.minimum(part, shorter.min(1, keepdims=True))
        return h * (part if dual.are_copies() else part.min())

    def flow(self, x: np.ndarray, t) -> np.ndarray:
        """Return the right-hand sides without derivatives, as (1, states)."""
        self.time.c[0] = 0
        self.time.c[0, : len(t)] = t
        self.X[0] = x
        for node in self.moving:
            node.order(0)
        out = np.zeros((1, self.network.size), dtype=Real)
        for where, node, frozen in self.rhs:
            out[0, where] = node.c[0, 0] * (frozen.active if frozen is not None else 1)
        return out
