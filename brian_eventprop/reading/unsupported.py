"""What Brian2 can do and exact gradients cannot: what is unsupported, by name.

Each check looks at one Brian2 object and raises `UnsupportedError` with the object, the equation
or statement, the reason and the way out; several of them if it finds several things.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping

import numpy as np

from brian_eventprop.errors import UnsupportedError
from brian_eventprop.reading import brian
from brian_eventprop.reading.functions.definition import DifferentiableFunction
from brian_eventprop.reading.refused.refusals import Refusals

_RANDOM = "random numbers differ from run to run, so their gradient is not defined"
_RANDOM_WAY_OUT = (
    "Remove the noise, or let a SpikeGeneratorGroup or PoissonGroup with given spikes carry it."
)
#: Objects that are read for themselves, also where another one contains them.
WHOLE = (brian.NeuronGroup, brian.Synapses, brian.SpikeGeneratorGroup, brian.PoissonGroup)


def unsupported(obj, statement: str, reason: str, way_out: str) -> UnsupportedError:
    """Return the error for one statement of one Brian2 object."""
    kind = getattr(obj, "kind_name", type(obj).__name__)
    statement = " ".join(str(statement).split())
    return UnsupportedError(
        f"{kind} '{obj.name}': '{statement}' is not supported: {reason}. {way_out}"
    )


def line_with(code: str, names: Iterable[str]) -> str:
    """Return the first line of some code that holds one of the names, or all of the code."""
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    lines = [line for line in re.split(r"[;\n]", code) if pattern.search(line)]
    return lines[0].strip() if lines else code.strip()


def line_writing(code: str, name: str) -> str:
    """Return the first line of some code that assigns to a name, or all of the code."""
    pattern = re.compile(rf"\s*{re.escape(name)}\s*(\*\*|[-+*/])?=[^=]")
    lines = [line for line in re.split(r"[;\n]", code) if pattern.match(line)]
    return lines[0].strip() if lines else code.strip()


def calls(code: str, name: str) -> bool:
    """Whether some code holds a name."""
    return re.search(rf"\b{re.escape(name)}\b", code) is not None


def check_functions(obj, code: str, variables: Mapping, timed_values: bool = False) -> None:
    """Refuse random numbers and functions that Brian2 does not define.

    Timed arrays are allowed with ``timed_values`` only: in the code of groups and some readouts.
    What only a subexpression calls is refused where the subexpression is defined.
    """
    refusals = Refusals()
    for name, variable in variables.items():
        timed = isinstance(variable, brian.TimedArray)
        if not isinstance(variable, brian.Function) or not (timed or calls(code, name)):
            continue
        line = line_with(code, [name])
        if timed:
            if timed_values:
                continue
            reason = f"'{name}' is a TimedArray, whose jumps would be events of their own here"
            way_out = (
                "Let a variable of the neurons follow it, as 'x = I(t) : 1 (constant over dt)', "
                "and use that, or write it as an expression of t."
            )
            refusals.add(unsupported(obj, line, reason, way_out))
            continue
        builtin = brian.DEFAULT_FUNCTIONS.get(name) is variable
        if isinstance(variable, brian.BinomialFunction) or (builtin and not variable.stateless):
            refusals.add(unsupported(obj, line, f"'{name}': {_RANDOM}", _RANDOM_WAY_OUT))
        elif not (builtin or isinstance(variable, DifferentiableFunction)) or name == "timestep":
            reason = f"'{name}' is a function whose derivative is not known"
            way_out = "Write it as an expression, or make it with bep.function."
            refusals.add(unsupported(obj, line, reason, way_out))
    refusals.raise_found()


def check_reserved(obj, code: str, reserved=("lastspike", "not_refractory")) -> None:
    """Refuse code that reads the variables of the refractory mechanism where it may not."""
    refusals = Refusals()
    for name in reserved:
        if calls(code, name):
            reason = (
                f"'{name}' belongs to the refractory mechanism, which only the code of a group "
                "with a refractory period may read"
            )
            way_out = "Use the '(unless refractory)' flag, or a state variable of your own."
            refusals.add(unsupported(obj, line_with(code, [name]), reason, way_out))
    refusals.raise_found()


def check_clocks(objects: Iterable) -> float:
    """Return the smallest time step of objects in seconds; others must be multiples of it.

    Synapses whose code runs with spikes alone have the time steps of their source.
    """
    steps = {}
    for obj in objects:
        if not _has_steps(obj):
            continue
        step = getattr(obj.clock, "dt_", None)
        if step is None:
            raise unsupported(
                obj, f"clock '{obj.clock.name}'", "it has no regular time step", "Give it a dt."
            )
        steps.setdefault(float(step), obj)
    smallest = min(steps)
    refusals = Refusals()
    for step, obj in steps.items():
        if abs(step / smallest - round(step / smallest)) > 1e-9 * step / smallest:
            reason = f"it is no multiple of dt={smallest:g} s of '{steps[smallest].name}'"
            way_out = "Give it a multiple, or all objects the same dt."
            refusals.add(unsupported(obj, f"dt={step:g} s", reason, way_out))
    refusals.raise_found()
    return smallest


def _has_steps(obj) -> bool:
    """Whether Brian2 runs code of an object itself at every step of its clock."""
    if not isinstance(obj, brian.Synapses):
        return True
    regular = any(is_regular(obj, part) and part.active for part in obj.contained_objects)
    return obj.state_updater is not None or bool(obj.summed_updaters) or regular


def networks_in(network) -> list:
    """Return the `Network` objects among nested containers of Brian2 objects."""
    if isinstance(network, brian.Network):
        return [network]
    if isinstance(network, brian.BrianObject | str) or not isinstance(network, Iterable):
        return []
    parts = network.values() if isinstance(network, Mapping) else network
    return [net for part in parts for net in networks_in(part)]


def check_network(network) -> None:
    """Refuse a device other than Brian2's runtime, and a schedule of one's own."""
    if brian.get_device() is not brian.runtime_device:
        raise UnsupportedError(
            f"The device '{type(brian.get_device()).__name__}' is not supported: the values of "
            "the network cannot be read before it runs. Call reset_device() or "
            "set_device('runtime') before the objects are made."
        )
    standard = ["start", "groups", "thresholds", "synapses", "resets", "end"]
    for net in networks_in(network) or [brian.magic_network]:
        if list(net.schedule) != standard:
            raise UnsupportedError(
                f"The schedule {list(net.schedule)} is not supported: the order of operations "
                f"within a time step is part of the derivation. Use Brian2's default, {standard}."
            )
    if brian.prefs.legacy.refractory_timing:
        raise UnsupportedError(
            "The preference 'legacy.refractory_timing' is not supported: the refractory period "
            "is counted in whole time steps. Leave it False."
        )


def check_object(obj) -> bool:
    """Refuse whole classes of objects; True for all others."""
    if isinstance(obj, brian.NetworkOperation):
        reason = "Python code that runs at every step has no derivative"
        way_out = (
            "Write it as equations, or name it in ignore=[...] if it does not change the network."
        )
        raise unsupported(obj, "network_operation", reason, way_out)
    if isinstance(obj, brian.SpatialNeuron):
        reason = "the cable equation couples the compartments at every step"
        raise unsupported(obj, "SpatialNeuron", reason, "Use a NeuronGroup of point neurons.")
    if not isinstance(obj, (*WHOLE, brian.PoissonInput, brian.Subgroup, *brian.MONITORS)):
        reason = f"objects of the class '{type(obj).__name__}' are unknown here"
        raise unsupported(obj, type(obj).__name__, reason, "Remove it from the network.")
    return True


def objects_below(obj) -> list:
    """Return all that an object contains, at any depth, once each.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> G = NeuronGroup(4, "v : 1", name="G")
    >>> operation = G[:2].run_regularly("v += 1", name="step")
    >>> [part.name for part in objects_below(G) if part is operation]
    ['step']
    """
    found: dict[int, object] = {}
    waiting = list(obj.contained_objects)
    while waiting:
        part = waiting.pop(0)
        if id(part) not in found and part is not obj:
            found[id(part)] = part
            waiting += part.contained_objects
    return list(found.values())


def check_parts(obj, ignored: Container[int] = ()) -> None:
    """Refuse what Brian2 runs with an object, at any depth below it, and the reader does not know.

    Subgroups and Synapses stand below a group whose Subgroup or Synapses have an operation of
    their own; they do nothing themselves, or are read as objects of the network.  ``ignored`` are
    the identities of what the user leaves out.
    """
    own, refusals = own_parts(obj), Refusals()
    refusals.check(_check_methods, obj, obj)
    for part in objects_below(obj):
        if id(part) in own:
            refusals.check(_check_methods, obj, part)
            continue
        if not part.active or isinstance(part, brian.MONITORS) or id(part) in ignored:
            continue
        refusals.check(_check_part, obj, part)
    for name, part in own.values():
        if part not in obj.contained_objects:
            reason = "it was removed from contained_objects, so Brian2 does not run it"
            way_out = "Leave what a group contains as Brian2 makes it."
            refusals.add(unsupported(obj, name, reason, way_out))
    if obj.code_objects and not isinstance(obj, brian.CodeRunner):
        reason = "Brian2 runs code objects that were added to it"
        refusals.add(unsupported(obj, "code_objects", reason, "Write them as equations."))
    refusals.raise_found()


def _check_methods(obj, part) -> None:
    """Refuse classes of the user's own that do something else than Brian2's when they are run."""
    for name in ("before_run", "run"):
        method = getattr(type(part), name)
        if method.__module__.partition(".")[0] != "brian2":
            reason = f"the class '{type(part).__name__}' has its own {name}() for '{part.name}'"
            raise unsupported(obj, f"def {name}", reason, "Use the class of Brian2.")


def _check_part(obj, part) -> None:
    """Refuse an active part that an object contains and Brian2 did not make itself."""
    if isinstance(part, brian.NetworkOperation):
        check_object(part)
    if is_regular(obj, part) or _is_of_synapses(part):
        return  # read with the group, or with the Synapses
    if isinstance(part, brian.PoissonInput):
        reason = f"it is a part of '{obj.name}'"
        way_out = "Make it an object of the network, with counts that you give."
        raise unsupported(part, part.abstract_code or "PoissonInput", reason, way_out)
    if type(part) is brian.CodeRunner:
        reason = f"run_regularly of '{part.group.name}' changes variables outside of the equations"
        way_out = "Write it as a differential equation."
        raise unsupported(obj, part.abstract_code, reason, way_out)
    if not isinstance(part, brian.Subgroup) and not _is_read(part):
        reason = f"Brian2 runs '{part.name}' with it, whose class is unknown here"
        raise unsupported(obj, type(part).__name__, reason, f"Remove it from {obj.name}.")


def check_inactive(obj, ignored: Container[int] = ()) -> None:
    """Refuse active parts of an object that is not active itself: Brian2 runs them all the same."""
    for part in objects_below(obj):
        if part.active and not isinstance(part, brian.MONITORS) and id(part) not in ignored:
            reason = f"it is active, although '{obj.name}' is not, so Brian2 runs it alone"
            raise unsupported(obj, part.name, reason, "Set its own active attribute to False, too.")


def own_parts(obj) -> dict[int, tuple]:
    """Return the parts that Brian2 makes itself, by identity, with their names."""
    parts = [
        *getattr(obj, "thresholder", {}).values(),
        *getattr(obj, "resetter", {}).values(),
        *getattr(obj, "_pathways", ()),
        *getattr(obj, "summed_updaters", {}).values(),
        getattr(obj, "state_updater", None),
        getattr(obj, "subexpression_updater", None),
    ]
    return {id(part): (part.name, part) for part in parts if part is not None}


def is_regular(obj, part) -> bool:
    """Whether a part is what `run_regularly` of neurons, a Subgroup of them, or Synapses made.

    That of a `PoissonGroup` sets rates, which do not matter: its spikes are given.
    """
    if type(part) is not brian.CodeRunner:
        return False
    own, of = (g.source if isinstance(g, brian.Subgroup) else g for g in (obj, part.group))
    known = brian.NeuronGroup | brian.Synapses | brian.PoissonGroup
    return isinstance(own, known) and own.name == of.name


def _is_of_synapses(part) -> bool:
    """Whether a part is what `run_regularly` of Synapses made, which Brian2 puts below neurons."""
    of_synapses = type(part) is brian.CodeRunner and isinstance(part.group, brian.Synapses)
    return of_synapses and any(own is part for own in part.group.contained_objects)


def _is_read(part) -> bool:
    """Whether a part is an object of the network, or the part of one, that is checked there."""
    if isinstance(part, WHOLE):
        return True
    group = getattr(part, "group", None)
    return isinstance(group, WHOLE) and id(part) in own_parts(group)


def check_schedule(obj, part, when: str) -> None:
    """Refuse a part of a group that does not run in its usual slot.

    An ``order`` of its own does no harm: within a slot the groups do not see one another, but for
    `(summed)` and linked variables; see `reading.synapses.couplings`.
    """
    if part.when != when or not part.active:
        what = "it is not active" if not part.active else f"it runs in the slot '{part.when}'"
        reason = f"{what}, and the derivation relies on the slot '{when}'"
        raise unsupported(obj, part.name, reason, "Leave its schedule as Brian2 sets it.")


def check_linked(obj) -> None:
    """Say which linked variables of a group or of `Synapses` are not linked to anything."""
    for name in sorted(obj._linked_variables):
        if name not in obj.variables:
            raise ValueError(
                f"The linked variable '{name}' of '{obj.name}' is not linked to anything: set "
                f"{obj.name}.{name} = linked_var(...)."
            )


def check_constant_over_dt(obj) -> None:
    """Refuse subexpressions that are evaluated once per step."""
    if obj.subexpression_updater is not None:
        code = obj.subexpression_updater.abstract_code
        reason = "a subexpression that is 'constant over dt' has a memory of its own"
        raise unsupported(obj, code, reason, "Remove the flag '(constant over dt)'.")


def event_of(group) -> str:
    """Return the event that counts as the spikes of a group: a custom one if it is alone.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> event_of(NeuronGroup(1, "v : 1", events={"up": "v > 1"}))
    'up'
    """
    listed = [e for e in group.events if e in getattr(group, "event_codes", ())] or group.events
    return next(iter(listed)) if "spike" not in group.events and len(listed) == 1 else "spike"


def _check_events(group) -> None:
    """Refuse events in slots of their own; a second one is after the spikes."""
    own, refusals = event_of(group), Refusals()
    for event in group.events:
        after = "" if event == "spike" else "after_"
        for part, when in ((group.thresholder, "thresholds"), (group.resetter, "resets")):
            if event in part:
                usual = event == own and part[event].when == when
                refusals.check(check_schedule, group, part[event], when if usual else after + when)
    refusals.raise_found()


def check_neuron_group(group, ignored: Container[int] = ()) -> None:
    """Refuse what a `NeuronGroup` may hold and the derivation does not cover."""
    refusals = Refusals()
    refusals.check(check_parts, group, ignored)
    refusals.check(_check_events, group)
    refusals.check(check_schedule, group, group.state_updater, "groups")
    if group.subexpression_updater is not None:
        refusals.check(check_schedule, group, group.subexpression_updater, "before_start")
    for eq in group.user_equations.values():
        if eq.expr is not None and group._refractory is False:
            refusals.check(check_reserved, group, f"{eq}")
    if group._refractory is not False and np.any(group.variables["lastspike"].get_value() > -1e4):
        reason = "the group has already spiked in an earlier run, and a trial starts at rest"
        way_out = (
            f"Restore the network, or set {group.name}.lastspike = -1e4*second and "
            f"{group.name}.not_refractory = True."
        )
        refusals.add(unsupported(group, "lastspike", reason, way_out))
    refusals.raise_found()


def check_synapses(synapses, ignored: Container[int] = ()) -> None:
    """Refuse what makes a synapse more than a jump of its own states and its target's."""
    refusals = Refusals()
    refusals.check(check_parts, synapses, ignored)
    for check in (check_linked, check_constant_over_dt):
        refusals.check(check, synapses)
    if isinstance(synapses.source, brian.Synapses) and synapses._pathways:
        reason = f"it comes from the Synapses '{synapses.source.name}', which have no spikes"
        code = synapses._pathways[0].code
        refusals.add(unsupported(synapses, code, reason, "Let it come from neurons."))
    for pathway in synapses._pathways:
        if not pathway.active:
            continue
        refusals.check(check_schedule, synapses, pathway, "synapses")
    refusals.raise_found()
