"""A graph of NIR simulated by its own definitions, with forward Euler.

It knows nothing of Brian2.  Neurons start at v_leak.  The spikes of a step arrive at the end of the
step, and a delay counts whole steps from then on.
"""

import numpy as np

SOURCES = ("Input", "LIF", "CubaLIF")


def spelled_out(graph, prefix=""):
    """Return the nodes and edges of a graph with those of its subgraphs."""
    nodes, edges = {}, []
    for name, node in graph.nodes.items():
        if type(node).__name__ == "NIRGraph":
            more, between = spelled_out(node, f"{prefix}{name}.")
            nodes |= more
            edges += between
        else:
            nodes[prefix + name] = node
    for a, b in graph.edges:
        if type(graph.nodes[a]).__name__ == "NIRGraph":
            a += ".output"
        if type(graph.nodes[b]).__name__ == "NIRGraph":
            b += ".input"
        edges.append((prefix + a, prefix + b))
    return nodes, edges


def simulate(graph, spikes, dt):
    """Return spikes, and potentials at the ends of steps, by node, each (steps, neurons).

    Parameters
    ----------
    graph
        A graph.
    spikes
        Of each input: an array (steps, neurons) of 0 and 1.
    dt
        The time step in seconds, for which a spike is an input of 1.
    """
    nodes, edges = spelled_out(graph)
    steps = len(next(iter(spikes.values())))
    emitted = {name: np.asarray(array, float) for name, array in spikes.items()}
    cells = {n: node for n, node in nodes.items() if type(node).__name__[-2:] in ("LI", "IF")}
    potential = {n: np.full(np.shape(node.r), node.v_leak * 1.0) for n, node in cells.items()}
    current = {n: np.zeros(np.shape(node.r)) for n, node in cells.items()}
    emitted |= {n: np.zeros((steps, len(v))) for n, v in potential.items()}
    trace = {n: np.zeros((steps, len(v))) for n, v in potential.items()}

    def arriving(name, step):
        """What a node gives at the end of a step, of spikes that were emitted before."""
        node = nodes[name]
        kind = type(node).__name__
        if name in emitted:
            return emitted[name][step]
        if kind == "Delay":
            parts = [_late(a, step, np.rint(node.delay / dt).astype(int)) for a in before(name)]
            return sum(parts)
        total = sum(arriving(a, step) for a in before(name))
        return node.weight @ total if kind == "Linear" else total

    def _late(name, step, late):
        rows = {k: arriving(name, step - k) for k in np.unique(late) if step >= k}
        return np.array([rows[k][n] if k in rows else 0.0 for n, k in enumerate(late)])

    def before(name):
        return [a for a, b in edges if b == name]

    for step in range(steps):
        for n, node in cells.items():
            tau = node.tau_mem if "Cuba" in type(node).__name__ else node.tau
            v, i = potential[n], current[n]
            potential[n] = v + dt / tau * (node.v_leak - v + node.r * i)
            if "Cuba" in type(node).__name__:
                current[n] = i - dt / node.tau_syn * i
            if type(node).__name__.endswith("IF"):
                emitted[n][step] = potential[n] > node.v_threshold
        for n, node in cells.items():
            total = sum(arriving(a, step) for a in before(n))
            if "Cuba" in type(node).__name__:
                current[n] = current[n] + dt / node.tau_syn * node.w_in * total
            else:
                potential[n] = potential[n] + dt / node.tau * node.r * total
            if type(node).__name__.endswith("IF"):
                fired = emitted[n][step] > 0
                potential[n] = np.where(fired, node.v_reset, potential[n])
            trace[n][step] = potential[n]
    return {n: emitted[n] for n in cells}, trace
