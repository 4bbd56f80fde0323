"""Identifiers of the generated code.

A name of the user (``v`` of group ``hidden``) becomes ``hidden_v``; derived names (``lam.v``,
``bar.v``, the second assignment ``v:2``) follow the same rule.  No two things share an identifier.
"""

from __future__ import annotations

import keyword
import re

RESERVED = frozenset(
    "np math njit FLOAT n_steps dt t n trial record first last_trial e k j q r s b kk "
    "n_reset n_tested n_spiking n_acting n_final n_later n_changed n_at_once n_grazing".split()
) | frozenset(keyword.kwlist)


class NameTable:
    """Hands out one identifier for each (owner, name)."""

    def __init__(self):
        self._taken: set[str] = set()
        self._given: dict[tuple[str, str], str] = {}
        self._names: dict[str, tuple[str, str]] = {}

    def __call__(self, owner: str, name: str) -> str:
        """Return the identifier of a name of an owner."""
        if name in ("t", "dt"):
            return name
        if (owner, name) not in self._given:
            wanted = re.sub(r"\W+", "_", f"{owner}_{_spell(name)}").strip("_")
            identifier, number = wanted, 1
            while identifier in self._taken or identifier in RESERVED:
                number += 1
                identifier = f"{wanted}_{number}"
            self._taken.add(identifier)
            self._given[owner, name] = identifier
            self._names[identifier] = owner, name
        return self._given[owner, name]

    def name(self, identifier: str) -> tuple[str, str] | None:
        """Return the owner and the name that an identifier was given to."""
        return self._names.get(identifier)

    def alias(self, owner: str, name: str, other: str) -> None:
        """Let a name of an owner have the identifier of another one."""
        self._given[owner, name] = self(owner, other)


def _spell(name):
    if name.startswith("bar."):
        return f"{name[4:]}_bar"
    return name.lstrip("$").replace("post__", "post_").replace("__", "_")
