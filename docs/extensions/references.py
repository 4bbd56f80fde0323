"""Names in single backticks: those that have a page here are links, others plain code.

Docstrings say `SpikeData` for a class of this package, `epochs` for a parameter, `Synapses` for a
class of Brian2.  A name that is none of these is reported, as a slip of the pen.
"""

import importlib.util
import inspect
from functools import cache

from docutils import nodes
from sphinx.util.nodes import make_refnode

import brian_eventprop

#: Where names of other packages are looked for.
ELSEWHERE = ("brian2", "brian2.core.variables", "numpy", "builtins")
#: Names of what may not be installed where the site is built, and words that are code.
KNOWN = {
    "jit", "grad", "vmap", "module", "CubaLI", "CubaLIF", "Delay", "LIF", "LI", "Linear",
    "tree_sum", "nir",
}  # fmt: skip
PACKAGES = ("torch.", "jax.", "optax.", "mpi4py.", "scipy.", "nir.", "matplotlib.", "numpy.")
#: Methods that other parts of the package call, and users do not.
INNER = {
    "EventPropModel": {"instead", "key_of", "values"},
    "InputsOfModel": {"check_inputs"},
    "BatchedModel": {"look_ahead"},
    "WiredModel": {"connections", "ends", "reconnect", "targets", "wiring"},
    "DisplayedModel": {"runtime"},
    "Layer": {"call", "in_own_unit", "forward"},
}  # fmt: skip


def resolve(app, env, node, contnode):
    """Return a link for a name of this package, or plain code for one of another."""
    target = node["reftarget"].strip("~.")
    found = of_this_package(env, target)
    if found:
        entry = env.get_domain("py").objects[found]
        to = entry.docname, entry.node_id
        return make_refnode(app.builder, node["refdoc"], *to, contnode, found)
    last = target.rpartition(".")[2]
    if target.startswith(PACKAGES) or last in KNOWN | own_names() or is_elsewhere(target):
        return nodes.literal("", contnode.astext())
    return None


def of_this_package(env, target: str) -> str | None:
    """Return the full name of what a short one means; classes and functions come first."""
    objects = env.get_domain("py").objects
    ends = [name for name in objects if name == target or name.endswith("." + target)]
    ends = [name for name in ends if "." in target or objects[name].objtype not in METHODS]
    return min(ends, key=lambda name: (name.count("."), name), default=None)


METHODS = ("method", "attribute", "property", "classmethod", "staticmethod")


@cache
def own_names() -> frozenset[str]:
    """Names of parameters, methods and attributes of everything public."""
    modules = [brian_eventprop, *(getattr(brian_eventprop, m) for m in MODULES)]
    objects = [getattr(module, name) for module in modules for name in module.__all__]
    found = set()
    for thing in objects:
        found |= set(parameters(thing)) | documented(thing)
        for name, member in inspect.getmembers(thing) if inspect.isclass(thing) else ():
            found |= {name, *parameters(member)} | documented(member)
    return frozenset(found)


MODULES = ("datasets", "fit", "nir", "plotting", "schedules")


def parameters(thing) -> list[str]:
    try:
        return list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return []


def documented(thing) -> set[str]:
    """Names that a docstring explains: ``name : type``."""
    lines = (inspect.getdoc(thing) or "").splitlines()
    heads = [line.partition(" : ")[0] for line in lines if " : " in line]
    return {name.strip(" *") for head in heads for name in head.split(",")}


def is_elsewhere(target: str) -> bool:
    """Whether it can be imported from Brian2 and others, or is a module of this package."""
    if target.startswith("brian_eventprop.") and importlib.util.find_spec(target):
        return True
    target = target.removeprefix("brian2.")
    for module in ELSEWHERE:
        found = importlib.import_module(module)
        for part in target.split("."):
            found = getattr(found, part, None)
        if found is not None:
            return True
    return False


def skip(app, what, name, member, skipped, options):
    """Leave out methods that users do not call."""
    of = getattr(member, "__qualname__", None) or getattr(
        getattr(member, "fget", None), "__qualname__", ""
    )
    owner = of.partition(".")[0]
    inner = name in INNER.get(owner, ()) or name == "instead"
    return True if inner else None


def setup(app):
    app.connect("missing-reference", resolve)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
