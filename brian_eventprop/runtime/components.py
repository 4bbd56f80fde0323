"""The order in which groups run in continuous time, and the windows in which loops are cut.

Within a window the groups of a loop run one after the other, so a spike must not arrive at a group
that has run already (itself included) before the next window: windows are no longer than the
smallest delay of these "backward" pathways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: Largest number of windows of a trial.
MOST_WINDOWS = 10**7


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

    Raises
    ------
    ValueError
        If a spike could come back to its group without any delay; the message names the loop.
    """
    counts = []
    for members in order:
        place = {name: k for k, name in enumerate(members)}
        backward = {
            name: delay
            for name, (source, target, delay) in edges.items()
            if source in place and target in place and place[source] >= place[target]
        }
        name = min(backward, key=backward.get, default=None)
        if name is None or backward[name] >= duration:
            counts.append(1)
            continue
        width = backward[name]
        if not width * MOST_WINDOWS > duration:
            raise ValueError(_loop_without_delay(name, edges, width))
        counts.append(int(duration / width * (1 + 1e-9)) + 1)
    return counts


def _loop_without_delay(name: str, edges: Mapping[str, tuple[str, str, float]], width: float):
    """Say which loop a pathway closes: groups, pathways and their smallest delays."""
    source, target, _ = edges[name]
    quick = {n: e for n, e in edges.items() if e[2] <= width}
    loop = [name, *_shortest_way(target, source, quick)]
    way = source + "".join(f" -> {edges[n][1]} (pathway '{n}', {edges[n][2]:g} s)" for n in loop)
    text = f"The loop {way} has no delay, so in exact time a spike could cause itself at once."
    if source == target:
        text += (
            f" (Neurons that feed each other within '{source}' count as a loop: put populations "
            "that follow each other without delay into groups of their own.)"
        )
    return (
        f"{text} Give every synapse of one of these pathways a delay, and keep it above a bound in "
        "training, for example bounds={s.delay: (0.1*ms, None)}; or use solver='clock', where "
        "an arrival fires its target one time step later at the earliest."
    )


def _shortest_way(start, end, edges) -> list[str]:
    """The pathways from one group to another, the fewest there are; none if there is no way."""
    ways = {start: []}
    for _ in edges:
        for name, (source, target, _) in edges.items():
            if source in ways and target not in ways:
                ways = {**ways, target: [*ways[source], name]}
    return ways.get(end, [])
