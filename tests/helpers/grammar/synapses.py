"""Synapses: what an arrival does, delays, connections, several pathways."""

from __future__ import annotations

from dataclasses import dataclass, field

from .draw import Cell, Draw, Port


@dataclass
class Projection:
    """Synapses as text: lines of the script, constants, and what may be trained."""

    name: str
    lines: list[str]
    constants: dict[str, str] = field(default_factory=dict)
    trainable: list[str] = field(default_factory=list)
    unit: str = ""
    gain: bool = False


def project(draw: Draw, name, source: str, senders: int, target: Cell, pre=None, recurrent=False):
    """Draw a projection onto a group from ``senders`` neurons: a group or a part (``G[1:]``)."""
    port = draw.pick(target.ports)
    made = Projection(name, [])
    strength = draw.pick((0.2, 0.5)) if recurrent else 1.0
    equations, statement = effect(draw, made, port, target, pre)
    part, receivers = "", target.size
    if target.size > 2 and draw.chance(0.2):
        draw.tag("synapses to a subgroup")
        part, receivers = draw.pick(("[1:]", "[:2]")), 2
    several = draw.chance(0.12)
    on_pre = repr(statement)
    if several:
        draw.tag("two pathways")
        again = other_effect(draw, target)
        on_pre = "{'fast': " + repr(statement) + ", 'slow': " + repr(again) + "}"
    shared = "" if several else shared_delay(draw, recurrent)
    made.lines.append(
        f"{name} = Synapses({source}, {target.name}{part}, {equations!r}, on_pre={on_pre}"
        f"{shared}, name='{name}')"
    )
    made.lines.append(f"{name}.connect({connections(draw, senders, receivers, recurrent)})")
    weights(draw, made, port, strength, recurrent)
    if several:
        for pathway in ("fast", "slow"):
            made.lines.append(f"{name}.{pathway}.delay = {spread_delay(draw, name)}")
            made.trainable.append(f"{name}.{pathway}.delay")
    elif shared:
        made.trainable.append(f"{name}.delay")
    else:
        delays(draw, made, recurrent)
    return made


def effect(draw: Draw, made: Projection, port: Port, target: Cell, pre: Cell | None):
    """Return the equations of the synapses and their statement."""
    x = f"{port.variable}_post"
    unit = {"1": "1", "mV": "volt", "nS": "siemens", "msiemens": "siemens"}[port.unit]
    w, equations = "w", f"w : {unit}"
    if port.unit != "1" and draw.chance(0.4):
        w, equations = f"w*{port.unit}", "w : 1"
    made.unit = "" if port.unit == "1" or equations == "w : 1" else f"*{port.unit}"
    one = "1" if port.unit == "1" else f"{draw.number(10, 30)}*{port.unit}"
    forms = {
        "plain": f"{x} += {w}",
        "decrement": f"{x} -= -{w}",
        "saturating": f"{x} += {w}*(1 - {x}/(4*{one}))",
        "state-dependent": f"{x} += {w}*(1 + 0.3*tanh({x}/({one})))",
        "squared": f"{x} += {w}*(1 + 0.1*clip({x}/({one}), 0, 2)**2)",
        "conditional": f"{x} += {w}*int({x} < 2*{one})",
        "scaling": f"{x} = {draw.number(0.7, 0.95)}*{x} + {w}",
        "in time": f"{x} += {w}*(1 + 0.3*cos(t/(3*ms)))",
        "exponent": f"{x} += {w}*{draw.number(0.5, 1)}**k_{made.name}",
        "two weights": f"{x} += {w}*gain",
        "clipped": f"{x} = clip({x} + {w}, -5*{one}, 5*{one})",
        "positive": f"{x} += clip({w}, 0*{one}, inf*{one})",
    }
    likely = [8, 1, 1, 1, 1, 0.7, 0.7, 0.7, 0.7, 1, 0.5, 0.5]
    form = draw.pick(forms, likely)
    if port.kind == "saturating":
        form = draw.pick(("saturating", "plain"), (3, 1))
        forms["saturating"] = f"{x} += {w}*(1 - {x})"
    if form == "exponent":
        made.constants[f"k_{made.name}"] = draw.number(0.5, 2)
        made.trainable.append(f"'k_{made.name}'")
    if form == "two weights":
        flag = draw.pick(("", " (shared, constant)", " (constant)"))
        equations += f"\ngain : 1{flag}"
        made.gain = True
        made.trainable.append(f"{made.name}.gain")
    statement = forms[form]
    if pre is not None and form == "plain" and draw.chance(0.3):
        statement, form = presynaptic(draw, pre, x, w), "presynaptic"
    draw.tag(f"synapses ({form}, {port.kind})")
    if draw.chance(0.1) and len(target.ports) > 1 and form == "plain":
        draw.tag("statement with two targets")
        other = next(p for p in target.ports if p is not port)
        factor = "" if other.unit == "1" else f"*{other.unit}"
        statement += f"; {other.variable}_post += {draw.number(0.05, 0.2)}{factor}"
    return equations, statement


def presynaptic(draw: Draw, pre: Cell, x: str, w: str) -> str:
    """A statement that reads a variable of the sender."""
    if not pre.visible:
        draw.tag("index of the sender")
        return f"{x} += {w}*(1 + 0.1*i)"
    name = draw.pick(pre.visible)
    state = any(e.startswith(f"d{name}/dt") for e in pre.equations)
    draw.tag("state of the sender" if state else "parameter of the sender")
    return f"{x} += {w}*(0.5 + 0.1*{name}_pre)"


def other_effect(draw: Draw, target: Cell) -> str:
    """The statement of a second pathway."""
    port = draw.pick(target.ports)
    unit = "" if port.unit == "1" else f"*{port.unit}"
    return f"{port.variable}_post += {draw.number(0.2 * port.low, 0.5 * port.high)}{unit}"


def weights(draw: Draw, made: Projection, port: Port, strength: float, recurrent: bool) -> None:
    """Give the synapses their weights, some of them 0 or negative."""
    low, high = strength * port.low, strength * port.high
    if recurrent and port.kind != "conductance" and draw.chance(0.4):
        low, high = -high, -low
    name, unit = made.name, made.unit
    value = f"({low:.4g} + {high - low:.4g}*resize(random_{name}, len({name}))){unit}"
    made.lines.insert(0, f"random_{name} = array({draw.numbers(0, 1, 7)})")
    made.lines.append(f"{name}.w = {value}")
    if made.gain:
        made.lines.append(f"{name}.gain = {draw.number(0.5, 1.2)}")
    if draw.chance(0.05):
        draw.tag("a weight of 0")
        made.lines.append(f"{name}.w[0] = 0{unit}")
    made.trainable.append(f"{name}.w")


def connections(draw: Draw, senders: int, receivers: int, recurrent: bool) -> str:
    """Which neurons are connected, as lists: Brian2 compiles code for a condition."""
    pairs = [(i, j) for i in range(senders) for j in range(receivers)]
    others = [(i, j) for i, j in pairs if i != j]
    form = draw.pick(("all", "some", "twice", "others", "same"), (4, 2, 1, 1, 0.5))
    if form == "others" and recurrent and others:
        pairs = others
    elif form == "same" and recurrent:
        pairs = [(k, k) for k in range(min(senders, receivers))]
    elif form == "some":
        pairs = draw.some(pairs, max(1, len(pairs) // 2))
    elif form == "twice":
        draw.tag("several synapses of a pair")
        pairs = pairs + pairs
    if recurrent and any(i == j for i, j in pairs):
        draw.tag("autapses")
    return f"i={[i for i, _ in pairs]}, j={[j for _, j in pairs]}"


def shared_delay(draw: Draw, recurrent: bool) -> str:
    """One delay for all synapses, or none given here."""
    if draw.chance(0.25):
        draw.tag("shared delay")
        return f", delay={draw.number(0.6, 4)}*ms"
    return ""


def spread_delay(draw: Draw, name: str) -> str:
    """A delay per synapse, one line of text."""
    return f"(0.6 + {draw.number(1, 5)}*resize({draw.numbers(0, 1, 7)}, len({name})))*ms"


def delays(draw: Draw, made: Projection, recurrent: bool) -> None:
    """Delays per synapse or per sender, or none."""
    form = draw.pick(("per synapse", "none", "axonal", "some 0"), (5, 1.5, 1, 1))
    if recurrent and form in ("none", "some 0") and draw.chance(0.5):
        form = "per synapse"
    name = made.name
    draw.tag(f"{'recurrent ' if recurrent else ''}delays ({form})")
    if form == "none":
        return
    made.lines.append(f"{name}.delay = {spread_delay(draw, name)}")
    made.trainable.append(f"{name}.delay")
    if form == "some 0":
        made.lines.append(f"{name}.delay[0] = 0*ms")
    if form == "axonal":
        made.lines[-1] = f"{name}.delay = (0.5 + {draw.number(0.5, 2)}*{name}.i[:])*ms"
        made.trainable[-1] = f"bep.Axonal({name}.delay)"
