"""Which programs are compared, and on which networks.

A task is a dict that a program reads (see measuring.py); `Tool` says which program that is and what
it needs.  The networks are those of the delay-learning literature on the Heidelberg digits: 700
inputs, two hidden layers, 20 classes, 1000 steps of 1 ms, batches of 32.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tool:
    """A program of the comparison: its script, the modules it needs, its own options."""

    script: str
    needs: tuple[str, ...] = ()
    options: dict = field(default_factory=dict)
    delays: str = "synaptic"

    @property
    def own(self):
        """Whether it is brian-eventprop, which runs in the environment of the caller."""
        return self.script.startswith("brian_eventprop")


OURS = "brian-eventprop"
TOOLS = {
    OURS: Tool("brian_eventprop_shd.py"),
    "brian-eventprop, axonal": Tool("brian_eventprop_shd.py", (), {"axonal": True}, "axonal"),
    "brian-eventprop, no delays": Tool("brian_eventprop_shd.py", delays="none"),
    "DCLS": Tool("dcls.py", ("torch", "DCLS")),
    "DCLS axonal": Tool("dcls.py", ("torch", "DCLS"), {"axonal": True}, "axonal"),
    "surrogate, no delays": Tool("surrogate.py", ("torch",), delays="none"),
    "mlGeNN": Tool("mlgenn.py", ("ml_genn", "pygenn")),
    "brian-eventprop, event solver": Tool("brian_eventprop_shd.py", options={"solver": "event"}),
}
YIN_YANG = {
    OURS: Tool("brian_eventprop_yin_yang.py", options={"delays": True}),
    "brian-eventprop, no delays": Tool(
        "brian_eventprop_yin_yang.py", options={"delays": False}, delays="none"
    ),
    "jaxsnn": Tool("jaxsnn_yin_yang.py", ("jax", "jaxsnn"), delays="none"),
    "Eventax": Tool("eventax_yin_yang.py", ("jax", "eventax"), delays="none"),
}
SWEPT = (
    *(OURS, "brian-eventprop, axonal", "brian-eventprop, no delays"),
    *("DCLS", "DCLS axonal", "surrogate, no delays"),
)

BASE = {
    "n_inputs": 700,
    "n_hidden": 256,
    "n_outputs": 20,
    "n_steps": 1000,
    "max_delay": 62,
    "dt_ms": 1,
    "n_trials": 32,
    "threads": 1,
}
#: The setting for which DCLS was published: coarse time, few channels, large batches.
COARSE = {"n_steps": 100, "dt_ms": 10, "bin_steps": 10, "n_inputs": 140, "pool": 5}
COARSE |= {"max_delay": 25, "n_trials": 256}

FULL_CURVES = {
    "max_delay": (25, 62, 150),
    "n_steps": (250, 500, 1000),
    "n_hidden": (128, 256, 512),
}
QUICK = {"n_inputs": 70, "n_hidden": 32, "n_steps": 100, "max_delay": 10, "n_trials": 8}
QUICK_CURVES = {"max_delay": (10, 20), "n_steps": (100,), "n_hidden": (32,)}


def task(base, tool, family="shd", **changes):
    """Return the task of a tool on a network; without delays the longest one is 0."""
    if family == "yin-yang":
        return {"family": family, "tool": tool, "threads": 1, "n_trials": 100, **changes}
    made = {"family": family, "tool": tool, **base, **changes}
    if TOOLS[tool].delays == "none":
        made["max_delay"] = 0
    return made


def full(threads):
    """Return all tasks, the most telling ones first, each once."""
    found = [task(BASE, tool, threads=threads) for tool in SWEPT]
    found += [task(BASE, tool) for tool in (*SWEPT, "mlGeNN")]
    found += [task({}, tool, "yin-yang") for tool in YIN_YANG]
    for t in (threads, 1):
        found += [task(BASE, tool, threads=t, **COARSE) for tool in SWEPT]
    fine = {"n_trials": 256, "max_delay": 250}
    found += [task(BASE, OURS, threads=t, **fine) for t in (threads, 1)]
    for name, values in FULL_CURVES.items():
        found += [task(BASE, tool, **{name: value}) for value in values for tool in SWEPT]
    delays = FULL_CURVES["max_delay"]
    found += [task(BASE, tool, threads=threads, max_delay=d) for d in delays for tool in SWEPT]
    few = {"n_trials": 4}
    found += [task(BASE, tool, **few) for tool in (OURS, "brian-eventprop, event solver")]
    return once(found)


def quick(threads):
    """Return small tasks that end within a minute; what only compiles for longer is left out."""
    base = {**BASE, **QUICK, "threads": threads}
    found = [
        task(base, tool, **{name: value})
        for name, values in QUICK_CURVES.items()
        for value in values
        for tool in (*SWEPT, "mlGeNN")
        if tool not in ("brian-eventprop, no delays", "brian-eventprop, axonal")
    ]
    return once(found)


def once(tasks):
    """Return tasks without repetitions, in their order."""
    kept = []
    for item in tasks:
        if item not in kept:
            kept.append(item)
    return kept
