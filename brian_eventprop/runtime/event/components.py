"""The order in which groups run in continuous time, and the windows in which loops are cut.

Within a window the groups of a loop run one after the other, so a spike must not arrive at a group
that has run already (itself included) before the next window: windows are no longer than the
smallest delay of these "backward" pathways.  A loop without delay has no windows: its groups run
together, event by event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: Largest number of windows of a trial.
MOST_WINDOWS = 10**5


def components(names: Sequence[str], edges: Mapping[str, tuple[str, str, float]]):
    """Return the groups in an order that makes windows long: loops together, sources first.

    Parameters
    ----------
    names
        The groups.
    edges
        Pathway to (source, target, smallest delay).

    Examples
    --------
    >>> components(["a", "b", "c"], {"s": ("c", "b", 0.0), "r": ("b", "b", 0.001)})
    (('a',), ('c',), ('b',))
    """
    reach = _reach(names, [(s, t) for s, t, _ in edges.values()])
    found, left = [], list(names)
    while left:
        first = next(
            n for n in left if all(m in reach[n] for m in left if m != n and n in reach[m])
        )
        members = [first] + [
            m for m in left if m != first and m in reach[first] and first in reach[m]
        ]
        found.append(_ordered(members, edges))
        left = [n for n in left if n not in members]
    return tuple(found)


def _reach(names, edges):
    reach = {n: {t for s, t in edges if s == n} for n in names}
    for middle in names:
        for n in names:
            if middle in reach[n]:
                reach[n] |= reach[middle]
    return reach


def _ordered(members, edges):
    """Order the groups of a loop so that the pathways with the smallest delays go forwards."""
    forward: list[tuple[str, str]] = []
    inside = [e for e in edges.values() if e[0] in members and e[1] in members]
    for source, target, _ in sorted(inside, key=lambda e: e[2]):
        reach = _reach(members, [*forward, (source, target)])
        if source != target and source not in reach[source]:
            forward.append((source, target))
    order, left = [], list(members)
    while left:
        ready = next(n for n in left if not any(t == n and s in left for s, t in forward))
        order.append(ready)
        left.remove(ready)
    return tuple(order)


def window_counts(order, edges: Mapping[str, tuple[str, str, float]], duration: float) -> list[int]:
    """Return the number of windows of each component.

    It is 0 where a spike may come back to its group without any delay, or with so short a one that
    there would be too many windows: such a component runs event by event.

    Examples
    --------
    >>> window_counts([("a",), ("b",)], {"s": ("a", "a", 0.0), "r": ("b", "b", 0.003)}, 0.01)
    [0, 4]
    """
    counts = []
    for members in order:
        place = {name: k for k, name in enumerate(members)}
        backward = [
            delay
            for source, target, delay in edges.values()
            if source in place and target in place and place[source] >= place[target]
        ]
        width = min(backward, default=duration)
        if width >= duration:
            counts.append(1)
        elif not width * MOST_WINDOWS > duration:
            counts.append(0)
        else:
            counts.append(int(duration / width * (1 + 1e-9)) + 1)
    return counts
