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


def pieces(lines: Sequence[str], wanted: Iterable[str], known: Iterable[str] = ()) -> list[Piece]:
    """Cut assignments into pieces.

    Parameters
    ----------
    lines
        Assignments to names, one per line.
    wanted
        The names that are read afterwards.
    known
        Names that a function may read without being given them.
    """
    uses = [_uses(line) for line in lines]
    needed, found = set(wanted), []
    for begin, end in reversed(list(_bounds(lines))):
        written = {target for target, _ in uses[begin:end]}
        read, made = [], set()
        for target, names in uses[begin:end]:
            read += [n for n in names if n not in made and n not in read]
            made.add(target)
        arguments = tuple(n for n in sorted(read) if n not in known)
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


def _uses(line: str) -> tuple[str, tuple[str, ...]]:
    """Return the name that a line assigns and the names that it reads."""
    (statement,) = ast.parse(line).body
    called = {id(n.func) for n in ast.walk(statement) if isinstance(n, ast.Call)}
    attributes = {id(n.value) for n in ast.walk(statement) if isinstance(n, ast.Attribute)}
    names = [
        n.id for n in ast.walk(statement)
        if isinstance(n, ast.Name) and id(n) not in called | attributes
    ]  # fmt: skip
    target = statement.target if isinstance(statement, ast.AugAssign) else statement.targets[0]
    read = [n for n in names if n != target.id or _reads_target(statement, target)]
    return target.id, tuple(dict.fromkeys(read))


def _reads_target(statement, target) -> bool:
    return isinstance(statement, ast.AugAssign) or any(
        isinstance(n, ast.Name) and n.id == target.id for n in ast.walk(statement.value)
    )
