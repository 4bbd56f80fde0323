"""Neuron models.  Each function returns a `Cell` that spikes a few times in some ten ms."""

from __future__ import annotations

from . import terms
from .draw import Cell, Draw, Port

LINEAR = ("exact", "euler", "rk2", "rk4", "heun", "exponential_euler")


def size_of(draw: Draw) -> int:
    return int(draw.rng.integers(1, 4))


def reset_of(draw: Draw, cell: Cell, v: str, theta: str, low: str, others=()) -> None:
    """Choose a reset; ``low`` is the value below the threshold, with its unit."""
    form = draw.pick(("value", "soft", "several", "scaled", "condition"), (4, 2, 2, 1, 1))
    draw.tag(f"reset ({form})")
    extra = draw.pick(others) if others and draw.chance(0.6) else ""
    soft = f"{v} -= {theta}" if form == "soft" else f"{v} = {low}"
    if form == "scaled":
        soft = f"{v} = {low} + {draw.number(0.05, 0.3)}*({v} - {low})"
    if form == "condition" and others:
        name = others[0].split()[0]
        zero = f"0*{name}"
        soft = f"{v} = {low} + int({name} > {zero})*{draw.number(0.01, 0.05)}*({theta} - ({low}))"
    if form == "several" and others:
        extra = extra or others[0]
    cell.reset = "; ".join(filter(None, (soft, extra)))


def refractory_of(draw: Draw, cell: Cell) -> str:
    """Choose a refractory period; return the flag of the equations that stand still."""
    form = draw.pick(("none", "constant", "string", "parameter", "flow"), (5, 1, 1, 2, 1))
    if form == "none":
        return ""
    draw.tag(f"refractory ({form})")
    if form == "constant":
        cell.refractory = f"{draw.number(0.5, 3)}*ms"
    elif form == "string":
        cell.constants[f"t_ref_{cell.name}"] = f"{draw.number(0.5, 3)}*ms"
        cell.refractory = f"t_ref_{cell.name}"
        cell.trainable.append(f"'t_ref_{cell.name}'")
    else:
        cell.refractory = cell.parameter(draw, "t_ref", 0.5, 3, "ms")
        if draw.chance(0.2):
            cell.refractory = f"{cell.refractory}*(1 + 0.1*i)"
    return "" if form == "flow" else " (unless refractory)"


def synaptic(draw: Draw, cell: Cell, unit: str, strength: float) -> str:
    """Declare the synaptic current, plain or as an alpha function; return its name."""
    times = "" if unit == "1" else f"*{unit}"
    dimension = "1" if unit == "1" else "volt"
    tau = cell.parameter(draw, "tau_s", 2, 7, "ms") if draw.chance(0.6) else "(5*ms)"
    if draw.chance(0.25):
        draw.tag("alpha synapse")
        cell.equations.append(f"dI/dt = (x - I)/{tau} : {dimension}")
        cell.equations.append(f"dx/dt = -x/{tau} : {dimension}")
        cell.ports.append(Port("x", unit, 1.5 * strength, 4 * strength))
    else:
        cell.equations.append(f"dI/dt = -I/{tau} : {dimension}")
        cell.ports.append(Port("I", unit, strength, 2.5 * strength))
    if draw.chance(0.3):
        cell.settings.append(f"{cell.name}.I = {draw.numbers(0, strength, cell.size)}{times}")
    cell.trainable.append(f"{cell.name}.I")
    return "I"


def lif(draw: Draw, name: str) -> Cell:
    """Leaky integrate-and-fire with everything that may be added to it."""
    cell = Cell(name, size_of(draw), methods=LINEAR)
    volts = draw.chance(0.4)
    unit, scale = ("mV", "(15*mV)") if volts else ("1", "1")
    rest, times = ("E_L", "*" + scale) if volts else ("0", "")
    if volts:
        cell.constants["E_L"] = "-65*mV"
        draw.tag("volts")
    v_rel, i_rel = (f"((v - E_L)/{scale})", f"(I/{scale})") if volts else ("v", "I")
    flag = refractory_of(draw, cell)
    tau = cell.parameter(draw, "tau_m", 8, 20, "ms")
    outside = terms.drive(draw, cell, 0.6, 1.5)
    extra, adaptation = "", ""
    others = [f"I *= {draw.number(0.5, 0.95)}"]
    if draw.chance(0.25):
        extra = f" + ({terms.condition(draw, v_rel, i_rel)}){times}"
        terms.nonlinear(cell)
    elif draw.chance(0.2):
        cell.equations.append("dca/dt = -ca/(8*ms) : 1")
        cell.ports.append(Port("ca", "1", 0.3, 0.8))
        others.append(f"ca += {draw.number(0.2, 0.7)}")
        cell.observables.append("ca")
        cell.visible.append("ca")
        extra = f" + ({terms.power(draw, cell, 'ca')}){times}"
        terms.nonlinear(cell)
    if draw.chance(0.25):
        draw.tag("adaptation")
        tau_u = cell.parameter(draw, "tau_u", 15, 40, "ms")
        cell.equations.append(f"du/dt = (0.1*{v_rel} - u)/{tau_u} : 1")
        others.append(f"u += {draw.number(0.1, 0.4)}")
        cell.observables.append("u")
        cell.visible.append("u")
        adaptation = f" - u{times}"
    dimension = "volt" if volts else "1"
    synaptic(draw, cell, unit, 15 if volts else 1.0)
    inside = f"{rest} - v + ({outside}){times} + I{extra}{adaptation}"
    if draw.chance(0.3):
        draw.tag("subexpression")
        cell.equations.append(f"total = {inside} : {dimension}")
        inside = "total"
    cell.equations.insert(0, f"dv/dt = ({inside})/{tau} : {dimension}{flag}")
    theta = threshold(draw, cell, volts, others, i_rel)
    low = "E_L" if volts else draw.pick(("0", "0.1", "-0.2"))
    if draw.chance(0.2):
        draw.tag("reset to a parameter")
        low = cell.parameter(draw, "v_r", *((-68, -60, "mV") if volts else (-0.2, 0.2)))
    reset_of(draw, cell, "v", "(15*mV)" if volts else theta, low, others)
    cell.initial(draw, "v", *((-65, -52, "mV", 0) if volts else (0, 0.9)))
    cell.observables += [v_rel, i_rel, f"{v_rel}**2"]
    if draw.chance(0.5):
        cell.ports.append(Port("v", unit, *((2, 6) if volts else (0.1, 0.5)), "delta"))
    return cell


def threshold(draw: Draw, cell: Cell, volts: bool, others: list, i_rel: str) -> str:
    """Choose the threshold of a LIF: a number, a parameter, moving, with two conditions."""
    form = draw.pick(("number", "parameter", "moving", "and", "sine"), (3, 3, 2, 1, 0.7))
    draw.tag(f"threshold ({form})")
    base = "-50*mV" if volts else "1"
    if form == "parameter":
        if volts:
            base = cell.parameter(draw, "theta", -52, -48, "mV")
        else:
            base = cell.parameter(draw, "theta", 0.8, 1.1)
    cell.threshold = f"v {draw.pick(('>', '>='))} {base}"
    if form == "moving":
        cell.equations.append("dth/dt = -th/(12*ms) : 1")
        others.insert(0, f"th += {draw.number(0.1, 0.4)}")
        cell.observables.append("th")
        if not volts:
            cell.visible.append("th")
        cell.threshold = f"v > {base} + th" + ("*mV" if volts else "")
    elif form == "and":
        cell.threshold += f" and {i_rel} < {draw.number(1, 3)}"
    elif form == "sine" and not volts:
        cell.threshold = f"v > {base} + 0.1*sin(t/({draw.number(0.5, 3)}*ms))"
    return base


def exponential(draw: Draw, name: str) -> Cell:
    """Exponential integrate-and-fire, with adaptation (AdEx) or without (EIF)."""
    cell = Cell(name, size_of(draw), methods=("euler", "rk2", "rk4", "heun"))
    adaptive = draw.chance(0.6)
    slope = draw.pick(("1", "2", "2", "3"))
    cut = draw.pick(("-40", "-35", "-30", "-20", "-10", "0", "10", "20", "30"))
    draw.tag(f"{'adex' if adaptive else 'eif'}")
    draw.tag(f"slope {slope} mV")
    draw.tag(f"cut-off {cut} mV")
    flag = refractory_of(draw, cell)
    outside = terms.constant(draw, cell, 10, 18)
    factor = f"{slope}*mV"
    if draw.chance(0.4):
        factor = "slope"
        cell.equations.append("slope : volt (constant, shared)")
        cell.settings.append(f"{name}.slope = {slope}*mV")
        cell.trainable.append(f"{name}.slope")
    v_t = "(-50*mV)"
    if draw.chance(0.4):
        v_t = cell.parameter(draw, "v_t", -52, -48, "mV")
    tau = cell.parameter(draw, "tau_m", 6, 14, "ms")
    inner = f"-65*mV - v + {factor}*exp((v - {v_t})/({factor})) + {outside}*mV + I"
    others = ["I *= 0.8"]
    if adaptive:
        a = draw.number(0, 0.3)
        cell.equations.append(f"du/dt = ({a}*(v + 65*mV) - u)/({draw.number(15, 40)}*ms) : volt")
        others = [f"u += {draw.number(0.5, 3)}*mV"]
        inner += " - u"
        cell.observables.append("u/(5*mV)")
    cell.equations.insert(0, f"dv/dt = ({inner})/{tau} : volt{flag}")
    synaptic(draw, cell, "mV", 12)
    cell.threshold = f"v > {cut}*mV"
    if draw.chance(0.15):
        cell.constants[f"cut_{name}"] = f"{cut}*mV"
        cell.threshold = f"v > cut_{name}"
        cell.trainable.append(f"'cut_{name}'")
    low = draw.pick(("-65*mV", "-60*mV", "-55*mV"))
    if draw.chance(0.3):
        low = cell.parameter(draw, "v_r", -65, -55, "mV")
    cell.reset = "; ".join([f"v = {low}", *(others if draw.chance(0.8) else [])])
    cell.initial(draw, "v", -68, -55, "mV")
    cell.observables += ["I/(10*mV)", "(clip(v, -100*mV, -50*mV) + 60*mV)/(10*mV)"]
    return cell


def qif(draw: Draw, name: str) -> Cell:
    """Quadratic integrate-and-fire."""
    cell = Cell(name, size_of(draw), methods=("euler", "rk2", "rk4", "heun"))
    peak = draw.pick(("3", "5", "10", "30", "100", "1000"))
    draw.tag(f"qif peak {peak}")
    flag = refractory_of(draw, cell)
    outside = terms.drive(draw, cell, 0.2, 1.5)
    tau = cell.parameter(draw, "tau_m", 4, 10, "ms")
    cell.equations.insert(0, f"dv/dt = (v*(v - 1) + {outside} + I)/{tau} : 1{flag}")
    terms.nonlinear(cell)
    synaptic(draw, cell, "1", 0.8)
    cell.threshold = f"v > {peak}"
    cell.reset = draw.pick(("v = -0.5", "v = -1; I *= 0.9", "v = -2"))
    cell.initial(draw, "v", -0.5, 0.5)
    cell.observables += ["I", "clip(v, -5, 1)"]
    return cell


def izhikevich(draw: Draw, name: str) -> Cell:
    """Izhikevich's model, in milliseconds and millivolts, with units or without."""
    cell = Cell(name, size_of(draw), methods=("euler", "rk2", "rk4", "heun"))
    draw.tag("izhikevich")
    volts = draw.chance(0.4)
    outside = terms.drive(draw, cell, 6, 14)
    a, b, c, d = draw.pick(((0.02, 0.2, -65, 8), (0.1, 0.2, -65, 2), (0.02, 0.25, -55, 4)))
    a = cell.parameter(draw, "a", 0.8 * a, 1.2 * a) if draw.chance(0.5) else a
    if volts:
        cell.equations += [
            f"dv/dt = (0.04/mV*v**2 + 5*v + 140*mV - u + ({outside})*mV + I)/ms : volt",
            f"du/dt = {a}*({b}*v - u)/ms : volt",
        ]
        cell.threshold, cell.reset = "v >= 30*mV", f"v = {c}*mV; u += {d}*mV"
        cell.initial(draw, "v", -70, -60, "mV")
        cell.settings.append(f"{name}.u = {b}*{name}.v")
        cell.observables += ["u/(10*mV)", "I/(5*mV)"]
    else:
        cell.equations += [
            f"dv/dt = (0.04*v**2 + 5*v + 140 - u + {outside} + I)/ms : 1",
            f"du/dt = {a}*({b}*v - u)/ms : 1",
        ]
        cell.threshold, cell.reset = "v >= 30", f"v = {c}; u += {d}"
        cell.initial(draw, "v", -70, -60)
        cell.settings.append(f"{name}.u = {b}*{name}.v")
        cell.observables += ["u/10", "I/5", "clip(v, -100, -40)/50"]
    synaptic(draw, cell, "mV" if volts else "1", 6)
    terms.nonlinear(cell)
    return cell


def hodgkin_huxley(draw: Draw, name: str) -> Cell:
    """Hodgkin and Huxley's model (Traub's parameters), with conductances."""
    cell = Cell(name, 1, methods=("exponential_euler", "euler", "rk2", "rk4"), slow=True)
    draw.tag("hodgkin-huxley")
    current = draw.number(1.0, 3.0)
    cell.constants |= {"g_Na": "100*msiemens", "g_K": "30*msiemens", "g_L": "0.1*msiemens"}
    cell.constants |= {"V_T": "-55*mV"}
    cell.trainable += ["'g_K'", "'V_T'"]
    cell.equations += [
        f"dv/dt = (g_L*(-65*mV - v) - g_Na*m**3*h*(v - 50*mV) - g_K*n**4*(v + 90*mV)"
        f" + {current}*uA + ge*(0*mV - v))/(1*uF) : volt",
        "dm/dt = 0.32/ms*4/exprel(-(v - V_T - 13*mV)/(4*mV))*(1 - m)"
        " - 0.28/ms*5/exprel((v - V_T - 40*mV)/(5*mV))*m : 1",
        "dn/dt = 0.032/ms*5/exprel(-(v - V_T - 15*mV)/(5*mV))*(1 - n)"
        " - 0.5*exp(-(v - V_T - 10*mV)/(40*mV))/ms*n : 1",
        "dh/dt = 0.128*exp(-(v - V_T - 17*mV)/(18*mV))/ms*(1 - h)"
        " - 4/(1 + exp(-(v - V_T - 40*mV)/(5*mV)))/ms*h : 1",
        "dge/dt = -ge/(5*ms) : siemens",
    ]
    cell.threshold, cell.reset = "v > -20*mV", ""
    cell.refractory = "3*ms"
    cell.settings += [f"{name}.v = -65*mV", f"{name}.h = 0.9", f"{name}.m = 0.02"]
    cell.trainable += [f"{name}.v", f"{name}.h"]
    cell.ports.append(Port("ge", "msiemens", 0.01, 0.05, "conductance"))
    cell.observables += ["(v + 60*mV)/(50*mV)", "n"]
    return cell


def conductances(draw: Draw, name: str) -> Cell:
    """A leaky neuron with excitatory and inhibitory conductances, in units."""
    cell = Cell(name, size_of(draw), methods=("exponential_euler", "euler", "rk2", "rk4"))
    draw.tag("conductances")
    flag = refractory_of(draw, cell)
    outside = terms.constant(draw, cell, 50, 250)
    cell.constants |= {f"C_{name}": f"{draw.number(150, 250)}*pF", f"gl_{name}": "10*nS"}
    cell.trainable += [f"'C_{name}'", f"'gl_{name}'"]
    reversal = cell.parameter(draw, "E_e", -5, 5, "mV") if draw.chance(0.5) else "0*mV"
    gain = "ge"
    if draw.chance(0.25):
        gain = f"ge/(1 + exp(-(v + {draw.number(40, 60)}*mV)/(8*mV)))*2"
        draw.tag("voltage-dependent conductance")
        terms.nonlinear(cell)
    tau_e = cell.parameter(draw, "tau_e", 3, 8, "ms")
    cell.equations[:0] = [
        f"dv/dt = (gl_{name}*(-65*mV - v) + {gain}*({reversal} - v) + gi*(-80*mV - v)"
        f" + {outside}*pA)/C_{name} : volt{flag}",
        f"dge/dt = -ge/{tau_e} : siemens",
        "dgi/dt = -gi/(10*ms) : siemens",
    ]
    cell.threshold = "v > -50*mV"
    reset_of(draw, cell, "v", "15*mV", "-65*mV", ["ge *= 0.7", "gi += 2*nS"])
    cell.initial(draw, "v", -65, -52, "mV")
    cell.initial(draw, "ge", 0, 4, "nS")
    cell.ports += [
        Port("ge", "nS", 3, 9, "conductance"),
        Port("gi", "nS", 2, 6, "conductance"),
    ]
    cell.observables += ["(v + 60*mV)/(10*mV)", "ge/(5*nS)", "gi/(5*nS)", "ge*gi/(25*nS**2)"]
    return cell


def saturating(draw: Draw, name: str) -> Cell:
    """Channels that saturate: their gating variable stays between 0 and 1."""
    cell = Cell(name, size_of(draw), methods=("exponential_euler", "euler", "rk2", "rk4"))
    draw.tag("gating variable")
    outside = terms.drive(draw, cell, 0.3, 1.2)
    reversal = cell.parameter(draw, "E_g", 3, 5)
    tau = cell.parameter(draw, "tau_m", 8, 15, "ms")
    gate = "s"
    if draw.chance(0.5):
        gate = terms.power(draw, cell, "s").lstrip("-")
        terms.nonlinear(cell, conditionally_linear="**" not in gate)
    cell.equations[:0] = [
        f"dv/dt = ({gate}*({reversal} - v) + {outside} - v)/{tau} : 1",
        "ds/dt = -s/(6*ms) : 1",
    ]
    cell.threshold, cell.reset = "v > 1", draw.pick(("v = 0", "v -= 1", "v = 0; s *= 0.5"))
    cell.initial(draw, "v", 0, 0.8)
    cell.initial(draw, "s", 0, 0.5)
    cell.ports.append(Port("s", "1", 0.1, 0.5, "saturating"))
    cell.observables += ["v", "s", "v*s"]
    cell.visible.append("s")
    return cell


def integrator(draw: Draw, name: str) -> Cell:
    """A leaky integrator without a threshold, for readouts."""
    cell = Cell(name, size_of(draw), methods=LINEAR)
    tau = cell.parameter(draw, "tau_o", 5, 20, "ms")
    cell.equations[:0] = [f"dv/dt = (I - v)/{tau} : 1", "dI/dt = -I/(4*ms) : 1"]
    cell.ports.append(Port("I", "1", -1, 2))
    cell.trainable.append(f"{name}.v")
    cell.observables += ["v", "v**2", "I", "v*exp(-t/T)", "v*I"]
    return cell


KINDS = {
    "lif": (lif, 8),
    "exponential": (exponential, 3),
    "qif": (qif, 1.5),
    "izhikevich": (izhikevich, 1),
    "hodgkin_huxley": (hodgkin_huxley, 0.4),
    "conductances": (conductances, 2.5),
    "saturating": (saturating, 2),
}


def neurons(draw: Draw, name: str) -> Cell:
    """Draw a group of spiking neurons."""
    makers, weights = zip(*KINDS.values(), strict=True)
    return draw.pick(makers, weights)(draw, name)
