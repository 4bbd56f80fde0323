"""Neurons with nonlinear equations: explosive upstrokes, ion channels, conductances."""

from .building import (
    LIF,
    all_to_all,
    file,
    group,
    integral,
    layers,
    leaky,
    lif,
    network,
    numbers,
    others,
    pathway,
    readout,
    spike_times,
    spikes,
    weighted,
)


@network
def conductance_synapses(rng):
    """Excitatory and inhibitory conductances."""
    hidden = group(
        2, "dv/dt = (-v + ge*(Ee - v) + gi*(Ei - v))/tau_m : 1\ndge/dt = -ge/tau_e : 1\n"
        "dgi/dt = -gi/tau_i : 1", "v > 1", "v = 0",
        tau_m=0.02, tau_e=0.005, tau_i=0.01, Ee=4.0, Ei=-1.0,
    )  # fmt: skip
    out = layers(
        rng, hidden, (3, 2), 0.05, 10,
        ["s_in.w", "s_in.delay", "s_inh.w", "s_inh.delay", "hid.Ee", "hid.Ei", "hid.tau_e"],
        tags=["conductance-based LIF"],
        s_in=pathway(rng, "inp", "hid", all_to_all(3, 2), (0.6, 1.4), "ge_post += w"),
    )  # fmt: skip
    out["synapses"]["s_inh"] = pathway(
        rng, "inp", "hid", all_to_all(3, 2), (0.05, 0.4), "gi_post += w"
    )
    return out


@network
def conductances_with_units(rng):
    """The same in volts and siemens, recurrent, with a refractory period."""
    hidden = group(
        2, "dv/dt = (gl*(El - v) + ge*(Ee - v))/Cm : volt (unless refractory)\n"
        "dge/dt = -ge/tau_e : siemens", "v > vth", "v = vr", "t_ref",
        Cm=(2e-10, "farad"), gl=(1e-8, "siemens"), El=(-0.07, "volt"), Ee=(0.0, "volt"),
        vth=(-0.05, "volt"), vr=(-0.06, "volt"), tau_e=0.005, t_ref=0.002, initial={"v": -0.07},
    )  # fmt: skip
    w = [round(x, 13) for x in rng.uniform(3e-9, 1e-8, 6)]
    back = [round(x, 13) for x in rng.uniform(1e-9, 3e-9, 2)]
    return file(
        0.06, {"hid": hidden},
        {
            "s_in": pathway(rng, "inp", "hid", all_to_all(3, 2), (w, "siemens"), "ge_post += w"),
            "s_rec": pathway(rng, "hid", "hid", others(2), (back, "siemens"), "ge_post += w"),
        },
        [spike_times("groups/hid", [1.0, -0.5]),
         readout("integral", "groups/hid", "v/vr", weighted(1.0, 2.0))],
        ["s_in.w", "s_in.delay", "s_rec.w", "s_rec.delay", "hid.gl", "hid.Cm", "hid.vth",
         "hid.t_ref"],
        {"inp": spikes(rng, 3, 9, 0.04)},
        ["conductance-based LIF", "units", "refractory", "recurrent"],
    )  # fmt: skip


@network
def nmda_block(rng):
    """A conductance with the voltage-dependent block of NMDA receptors."""
    hidden = group(
        2, "dv/dt = (gl*(El - v) + g*B*(Ee - v))/Cm : volt\n"
        "B = 1/(1 + exp(-v/vb)/3.57) : 1\ndg/dt = (h - g)/tau_r : siemens\n"
        "dh/dt = -h/tau_d : siemens", "v > vth", "v = El",
        Cm=(2e-10, "farad"), gl=(1e-8, "siemens"), El=(-0.07, "volt"), Ee=(0.0, "volt"),
        vth=(-0.05, "volt"), vb=(0.0161, "volt"), tau_r=0.002, tau_d=0.02, initial={"v": -0.07},
    )  # fmt: skip
    w = [round(x, 13) for x in rng.uniform(8e-9, 3e-8, 6)]
    return file(
        0.06, {"hid": hidden},
        {"s_in": pathway(rng, "inp", "hid", all_to_all(3, 2), (w, "siemens"), "h_post += w")},
        spike_times("groups/hid", [1.0, -0.5]),
        ["s_in.w", "s_in.delay", "hid.vb", "hid.tau_d", "hid.gl", "hid.v(0)"],
        {"inp": spikes(rng, 3, 9, 0.04)}, ["conductance-based LIF", "units", "nonlinear"],
    )  # fmt: skip


QIF = """dv/dt = (v*(v - 1) + I)/tau_m : 1
dI/dt = -I/tau_s : 1"""


@network
def qif(rng):
    """Quadratic integrate-and-fire neurons."""
    hidden = group(2, QIF, "v > 3", "v = -0.5", tau_m=0.01, tau_s=0.005)
    return layers(
        rng, hidden, (3, 2), 0.06, 8, ["s_in.w", "s_in.delay", "s_out.delay", "hid.tau_m"],
        tags=["QIF", "explosive upstroke"], w_in=(1.5, 4),
    )  # fmt: skip


@network
def qif_recurrent(rng):
    """Recurrent quadratic neurons with a high cut-off and trained initial values."""
    hidden = group(
        3, "dv/dt = (v**2 + b + I)/tau_m : 1\ndI/dt = -I/tau_s : 1", "v > vc", "v = -vc",
        tau_m=0.01, tau_s=0.005, vc=10.0, b=[0.3, 0.5, 0.1],
        initial={"v": numbers(rng.uniform(-1, 0, 3))},
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 7,
        ["s_in.w", "s_in.delay", "s_rec.w", "s_rec.delay", "hid.b", "hid.v(0)", "hid.vc"],
        tags=["QIF", "explosive upstroke", "recurrent", "initial values"], w_in=(0.5, 2),
        recurrent=pathway(rng, "hid", "hid", others(3), (-1, 1)),
    )  # fmt: skip


@network
def theta_neurons(rng):
    """The phase of a quadratic neuron: nothing explodes, and 2 pi is taken off at a spike."""
    hidden = group(
        3, "dphase/dt = (1 - cos(phase) + (b + I)*(1 + cos(phase)))/tau_m : 1\n"
        "dI/dt = -I/tau_s : 1", "phase > 3.141592653589793", "phase -= 6.283185307179586",
        tau_m=0.02, tau_s=0.005, b=[0.2, -0.1, 0.3], initial={"phase": [-0.5, 0.2, 0.6]},
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.06, 8, ["s_in.w", "s_in.delay", "s_rec.w", "hid.b", "hid.phase(0)"],
        tags=["theta neurons", "nonlinear", "recurrent", "initial values"], w_in=(1, 3),
        recurrent=pathway(rng, "hid", "hid", others(3), (-1, 1)),
    )  # fmt: skip


@network
def exponential_lif(rng):
    """Exponential integrate-and-fire neurons."""
    hidden = group(
        3, "dv/dt = (-v + D*exp((v - vt)/D) + I)/tau_m : 1\ndI/dt = -I/tau_s : 1", "v > 4",
        "v = -0.3", tau_m=0.02, tau_s=0.005, D=0.2, vt=1.0,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 8, ["s_in.w", "s_in.delay", "hid.D", "hid.vt", "s_rec.w"],
        tags=["EIF", "explosive upstroke", "recurrent"], w_in=(3, 6),
        recurrent=pathway(rng, "hid", "hid", others(3), (-1, 1)),
    )  # fmt: skip


ADEX = """dv/dt = (gl*(El - v) + gl*D*exp((v - vt)/D) + I - u)/Cm : volt
du/dt = (a*(v - El) - u)/tau_u : amp
dI/dt = -I/tau_s : amp"""
ADEX_VALUES = dict(
    Cm=(2e-10, "farad"), gl=(1e-8, "siemens"), El=(-0.07, "volt"), vt=(-0.05, "volt"),
    D=(0.002, "volt"), a=(2e-9, "siemens"), b=(6e-11, "amp"), vr=(-0.058, "volt"),
    tau_u=0.03, tau_s=0.005, vc=(0.0, "volt"),
)  # fmt: skip


def _adex(rng, trained, tags, recurrent=False, **more):
    hidden = group(
        2,
        ADEX,
        "v > vc",
        ["v = vr", "u += b"],
        initial={"v": -0.07, "u": 1e-11},
        **(ADEX_VALUES | more),
    )
    w = [round(x, 14) for x in rng.uniform(5e-10, 1.1e-9, 6)]
    synapses = {"s_in": pathway(rng, "inp", "hid", all_to_all(3, 2), (w, "amp"))}
    if recurrent:
        synapses["s_rec"] = pathway(rng, "hid", "hid", others(2), ([1.5e-10, -2e-10], "amp"))
    return file(
        0.06, {"hid": hidden}, synapses,
        [spike_times("groups/hid", [1.0, -0.5]),
         readout("final", "groups/hid", "v/El", weighted(0.01, 0.02))],
        trained, {"inp": spikes(rng, 3, 9, 0.04)}, ["AdEx", "units", "explosive upstroke", *tags],
    )  # fmt: skip


@network
def adex(rng):
    """Adaptive exponential neurons, in volts and amperes."""
    return _adex(rng, ["s_in.w", "s_in.delay", "hid.b", "hid.a", "hid.vr", "hid.tau_u"], [])


@network
def adex_recurrent(rng):
    """Recurrent ones with a cut-off at -35 mV; what shapes the upstroke is trained."""
    return _adex(
        rng, ["s_in.w", "s_rec.w", "s_rec.delay", "hid.D", "hid.vt", "hid.vc", "hid.u(0)"],
        ["recurrent", "initial values"], True, vc=(-0.035, "volt"),
    )  # fmt: skip


def _izhikevich(rng, size, trained, tags, recurrent=None, **values):
    """Time in seconds, so the usual coefficients per millisecond are multiplied by 1000."""
    hidden = group(
        size, "dv/dt = (0.04*v**2 + 5*v + 140 - u + I)/tau_1 : 1\ndu/dt = a*(b*v - u)/tau_1 : 1\n"
        "dI/dt = -I/tau_s : 1", "v > 30", ["v = c", "u += d"],
        tau_1=0.001, tau_s=0.005, initial={"v": -65.0, "u": -13.0}, **values,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, size), 0.06, 9, trained, tags=["Izhikevich", "explosive upstroke", *tags],
        w_in=(15, 30), recurrent=recurrent,
        s_out=pathway(rng, "hid", "out", all_to_all(size, 2), (-2, 3)),
    )  # fmt: skip


@network
def izhikevich(rng):
    """Izhikevich's neurons, regular spiking."""
    trained = ["s_in.w", "s_in.delay", "hid.a", "hid.b", "hid.c", "hid.d"]
    return _izhikevich(rng, 2, trained, [], a=0.02, b=0.2, c=-65.0, d=8.0)


@network
def izhikevich_kinds(rng):
    """Three kinds of them: regular spiking, fast spiking, chattering; coupled."""
    return _izhikevich(
        rng, 3, ["s_in.w", "hid.c", "hid.d", "hid.a", "s_rec.w", "s_rec.delay", "hid.v(0)"],
        ["recurrent", "parameters per neuron", "initial values"],
        pathway(rng, "hid", "hid", others(3), (-4, 4)),
        a=[0.02, 0.1, 0.02], b=0.2, c=[-65.0, -65.0, -50.0], d=[8.0, 2.0, 2.0],
    )  # fmt: skip


def _channels(rng, equations, threshold, w, trained, tags, initial, t_ref=0.004, size=2, **values):
    """Neurons without a reset: the threshold only tells when they spike."""
    hidden = group(
        size, equations, threshold, (), "t_ref", t_ref=t_ref, initial=initial, **values
    )  # fmt: skip
    return file(
        0.04, {"hid": hidden, "out": leaky(2)},
        {
            "s_in": pathway(rng, "inp", "hid", all_to_all(3, size), w),
            "s_out": pathway(rng, "hid", "out", all_to_all(size, 2), (-2, 3)),
        },
        [integral(), spike_times("groups/hid", [1.0, -0.5])], trained,
        {"inp": spikes(rng, 3, 8, 0.026)}, ["no reset", "refractory", *tags],
    )  # fmt: skip


@network
def hodgkin_huxley(rng):
    """Hodgkin and Huxley's channels as Traub and Miles wrote them, with exprel."""
    equations = """dv/dt = (gl*(El - v) + gNa*m**3*h*(ENa - v) + gK*n**4*(EK - v) + I)/Cm : volt
        dm/dt = am*(1 - m) - bm*m : 1
        dh/dt = ah*(1 - h) - bh*h : 1
        dn/dt = an*(1 - n) - bn*n : 1
        dI/dt = -I/tau_s : amp
        x = (v - VT)/mV_1 : 1
        am = 1.28/exprel((13 - x)/4)/tau_1 : hertz
        bm = 1.4/exprel((x - 40)/5)/tau_1 : hertz
        ah = 0.128*exp((17 - x)/18)/tau_1 : hertz
        bh = 4/(1 + exp((40 - x)/5))/tau_1 : hertz
        an = 0.16/exprel((15 - x)/5)/tau_1 : hertz
        bn = 0.5*exp((10 - x)/40)/tau_1 : hertz"""
    w = [round(x, 14) for x in rng.uniform(6e-10, 1.6e-9, 6)]
    return _channels(
        rng, equations, "v > vth", (w, "amp"),
        ["s_in.w", "s_in.delay", "hid.gNa", "hid.gK", "hid.El", "hid.Cm"],
        ["Hodgkin-Huxley", "units", "nonlinear"],
        {"v": -0.065, "m": 0.02, "h": 0.98, "n": 0.05},
        Cm=(2e-10, "farad"), gl=(1e-8, "siemens"), El=(-0.065, "volt"), ENa=(0.05, "volt"),
        EK=(-0.09, "volt"), gNa=(2e-5, "siemens"), gK=(6e-6, "siemens"), VT=(-0.063, "volt"),
        mV_1=(0.001, "volt"), tau_1=0.001, tau_s=0.003, vth=(-0.02, "volt"),
    )  # fmt: skip


@network
def persistent_sodium(rng):
    """Sodium at its steady state and slow potassium, both sigmoids (Izhikevich's I_Na,p + I_K)."""
    equations = """dv/dt = (gl*(El - v) + gNa*(ENa - v)/(1 + exp((-20 - v)/15)) \
        + gK*n*(EK - v) + I)/tau_m : 1
        dn/dt = (1/(1 + exp((-25 - v)/5)) - n)/tau_n : 1
        dI/dt = -I/tau_s : 1"""
    return _channels(
        rng, equations, "v > -20", (10, 35),
        ["s_in.w", "s_in.delay", "hid.gNa", "hid.gK", "hid.tau_n"],
        ["Hodgkin-Huxley-like", "nonlinear"], {"v": -65.0, "n": 0.0004},
        gl=8.0, El=-80.0, gNa=20.0, ENa=60.0, gK=10.0, EK=-90.0,
        tau_m=0.001, tau_n=0.001, tau_s=0.002, t_ref=0.003,
    )  # fmt: skip


@network
def morris_lecar(rng):
    """Morris and Lecar's neurons: tanh and cosh in the equations."""
    equations = """dv/dt = (2*(-60 - v) + gCa*(120 - v)*(1 + tanh((v + 1.2)/18))/2 \
        + 8*n*(-84 - v) + b + I)/tau_m : 1
        dn/dt = phi*((1 + tanh((v - 2)/30))/2 - n)*cosh((v - 2)/60)/tau_1 : 1
        dI/dt = -I/tau_s : 1"""
    return _channels(
        rng, equations, "v > 0", (40, 110),
        ["s_in.w", "s_in.delay", "hid.gCa", "hid.b", "hid.phi"],
        ["Morris-Lecar", "Hodgkin-Huxley-like", "nonlinear"], {"v": -35.0, "n": 0.1},
        gCa=4.4, b=70.0, phi=0.4, tau_m=0.004, tau_1=0.001, tau_s=0.004,
    )  # fmt: skip


@network
def fitzhugh_nagumo(rng):
    """FitzHugh and Nagumo's neurons: a cubic potential and a recovery variable."""
    equations = """dv/dt = (v - v**3/3 - u + b + I)/tau_m : 1
        du/dt = (v + 0.7 - 0.8*u)/tau_u : 1
        dI/dt = -I/tau_s : 1"""
    return _channels(
        rng, equations, "v > 1", (0.6, 1.5), ["s_in.w", "s_in.delay", "hid.b", "hid.tau_u"],
        ["FitzHugh-Nagumo", "nonlinear"], {"v": -1.2, "u": -0.62},
        b=0.2, tau_m=0.001, tau_u=0.0125, tau_s=0.003,
    )  # fmt: skip


@network
def power_law_adaptation(rng):
    """Square roots, logarithms and powers in the equations, some with trained exponents."""
    hidden = group(
        2, "dv/dt = (log(1 + I**2)*(1 + sqrt(1 + v**2))/2 - v*(1 + u)**p)/tau_m : 1\n"
        "dI/dt = -I/tau_s : 1\ndu/dt = -u**1.5/tau_u : 1", "v > 1", ["v = 0", "u += b"],
        tau_m=0.01, tau_s=0.008, tau_u=0.02, p=0.7, b=0.4, initial={"u": [0.2, 0.3]},
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 2), 0.05, 9, ["s_in.w", "s_in.delay", "hid.p", "hid.b", "hid.u(0)"],
        tags=["adaptive", "nonlinear", "initial values"], w_in=(3, 6),
    )  # fmt: skip


@network
def mixed_models(rng):
    """Three kinds of neurons in one network, each driving the next."""
    two = group(2, QIF, "v > 4", "v = -0.5", tau_m=0.01, tau_s=0.005)
    three = group(
        2, LIF.replace("I - v", "I - v - u") + "\ndu/dt = -u/tau_u : 1", "v > 1",
        ["v = 0", "u += b"], tau_m=0.015, tau_s=0.004, tau_u=0.03, b=0.2,
    )  # fmt: skip
    return file(
        0.06, {"lif": lif(2), "qif": two, "alif": three},
        {
            "s_in": pathway(rng, "inp", "lif", all_to_all(3, 2), (4, 7)),
            "s_two": pathway(rng, "lif", "qif", all_to_all(2, 2), (2, 4)),
            "s_three": pathway(rng, "qif", "alif", all_to_all(2, 2), (3, 6)),
            "s_back": pathway(rng, "alif", "lif", all_to_all(2, 2), (-1.5, 1.5)),
        },
        [spike_times("groups/alif", [1.0, -0.6]),
         readout("integral", "groups/qif", "tanh(v)", weighted(1.0, -1.0))],
        ["s_in.w", "s_in.delay", "s_two.w", "s_three.w", "s_back.w", "s_back.delay", "alif.b",
         "qif.tau_m"],
        {"inp": spikes(rng, 3, 8, 0.04)}, ["several groups", "QIF", "adaptive", "recurrent"],
    )  # fmt: skip
