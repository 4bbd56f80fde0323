"""Long straight-line code cut into functions, since the time to compile a function grows faster
than its length: Numba infers the types of all its variables together.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: Characters of a piece: it ends with the line that exceeds them.
PIECE = 2500


@dataclass(frozen=True)
class Piece:
    """A few assignments that become a function: what they read and what is read after them."""

    lines: tuple[str, ...]
    arguments: tuple[str, ...]
    results: tuple[str, ...]

    def function(self, name: str, decorator: str) -> str:
        """Return the text of the function."""
        body = "\n".join(f"    {line}" for line in self.lines)
        returned = ", ".join(self.results)
        head = f"{decorator}def {name}({', '.join(self.arguments)}):\n"
        return f"{head}{body}\n    return ({returned},)\n"

    def call(self, name: str) -> str:
        """Return the line that calls it."""
        return f"({', '.join(self.results)},) = {name}({', '.join(self.arguments)})"


def pieces(lines: Sequence[str], wanted: Iterable[str]) -> list[Piece]:
    """Cut assignments into pieces.

    Parameters
    ----------
    lines
        Assignments to names, one per line.
    wanted
        The names that are read afterwards.
    """
    uses = [_uses(line) for line in lines]
    needed, found = set(wanted), []
    for begin, end in reversed(list(_bounds(lines))):
        written = {target for target, _ in uses[begin:end]}
        read, made = set(), set()
        for target, names in uses[begin:end]:
            read |= names - made
            made.add(target)
        arguments = tuple(sorted(read))
        results = tuple(sorted(needed & written))
        needed = (needed - written) | set(arguments)
        if results:
            found.append(Piece(tuple(lines[begin:end]), arguments, results))
    return found[::-1]


def _bounds(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    begin = size = 0
    for k, line in enumerate(lines):
        size += len(line)
        if size > PIECE or k == len(lines) - 1:
            yield begin, k + 1
            begin, size = k + 1, 0


def _uses(line: str) -> tuple[str, set[str]]:
    """Return the name that a line assigns and the names that it reads, but for functions."""
    (statement,) = ast.parse(line).body
    added = isinstance(statement, ast.AugAssign)
    target = statement.target if added else statement.targets[0]
    functions, names = set(), {target.id} if added else set()
    for node in ast.walk(statement.value):
        if isinstance(node, ast.Call):
            functions.add(node.func)
        elif isinstance(node, ast.Attribute):  # of a module
            functions.add(node.value)
        elif isinstance(node, ast.Name) and node not in functions:
            names.add(node.id)
    return target.id, names
