"""Sums over the chunks of a batch whose bits do not depend on who computes which chunk.

Chunks are added as the leaves of a binary tree over their numbers: 0 + 1, 2 + 3, then the sums of
two, and so on.  A process that holds chunks next to each other adds what it can by itself; the rest
goes up the tree from process to process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

#: The sum of the chunks ``first`` to ``first + width``, None if none of them has any trials.
Node = tuple[int, int]


def shares(n_chunks: int, n_ranks: int) -> list[range]:
    """Return the chunks of each process, next to each other and as even as can be.

    Examples
    --------
    >>> shares(8, 3)
    [range(0, 2), range(2, 5), range(5, 8)]
    """
    bounds = [n_chunks * rank // n_ranks for rank in range(n_ranks + 1)]
    return [range(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]


def add(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """Return the sum of two chunks, either of which may be empty."""
    if one is None or other is None:
        return one if other is None else other
    return one + other


def tree_sum(
    own: dict[int, np.ndarray | None],
    owners: Sequence[int],
    rank: int,
    send: Callable[[np.ndarray | None, int], None],
    receive: Callable[[int], np.ndarray | None],
) -> np.ndarray | None:
    """Return the sum of all chunks on process 0, None elsewhere.

    Parameters
    ----------
    own
        The chunks of this process, by number.
    owners
        The process of each chunk.
    rank
        This process.
    send, receive
        Hand a sum to another process, and take one from it.

    Examples
    --------
    >>> tree_sum({0: 1.0, 1: 2.0, 2: None, 3: 4.0}, [0, 0, 0, 0], 0, None, None)
    7.0
    """
    sums, width, n_chunks = dict(own), 1, len(owners)
    while width < n_chunks:
        for first in range(0, n_chunks - width, 2 * width):
            left, right = owners[first], owners[first + width]
            if rank == left == right:
                sums[first] = add(sums[first], sums.pop(first + width))
            elif rank == left:
                sums[first] = add(sums[first], receive(right))
            elif rank == right:
                send(sums.pop(first + width), left)
        width *= 2
    return sums[0] if rank == owners[0] else None
