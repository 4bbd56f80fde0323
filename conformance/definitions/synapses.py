"""Synapses that do more than add a weight: factors, states, plasticity, continuous coupling."""

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
def saturating_synapses(rng):
    """g += w*(1 - g): each arrival opens a part of what is still closed."""
    hidden = group(
        2, "dv/dt = (g*gain - v)/tau_m : 1\ndg/dt = -g/tau_s : 1", "v > 1", "v = 0",
        tau_m=0.02, tau_s=0.008, gain=6.0,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 2), 0.05, 10, ["s_in.w", "s_in.delay", "hid.gain", "hid.tau_s"],
        tags=["multiplicative synapses"],
        s_in=pathway(rng, "inp", "hid", all_to_all(3, 2), (0.2, 0.7), "g_post += w*(1 - g_post)"),
    )  # fmt: skip


@network
def shunting_synapses(rng):
    """I *= w: arrivals multiply the current of their target."""
    out = layers(
        rng, lif(3), (3, 3), 0.05, 9, ["s_in.w", "s_in.delay", "s_shunt.w", "s_shunt.delay"],
        tags=["multiplicative synapses"], w_in=(4, 8),
    )  # fmt: skip
    out["synapses"]["s_shunt"] = pathway(rng, "hid", "hid", others(3), (0.5, 1.3), "I_post *= w")
    return out


@network
def voltage_jumps_to_reversal(rng):
    """v += w*(E - v): a conductance so short that the potential jumps towards its reversal."""
    hidden = group(3, "dv/dt = (b - v)/tau_m : 1", "v > 1", "v = 0", tau_m=0.02, b=0.3)
    return layers(
        rng, hidden, (3, 3), 0.05, 16, ["s_in.w", "s_in.E", "s_in.delay", "hid.b"],
        integral("groups/hid", "v**2", (1.0, -0.5, 0.8)),
        tags=["multiplicative synapses", "delta synapses", "spike at an arrival"],
        s_in=pathway(
            rng, "inp", "hid", all_to_all(3, 3), (0.05, 0.3), "v_post += w*(E - v_post)", E=3.0
        ),
    )  # fmt: skip


@network
def synapses_that_read_both_ends(rng):
    """The current that arrives depends on states of both neurons at that time."""
    return layers(
        rng, lif(3), (3, 3), 0.05, 8, ["s_in.w", "s_rec.w", "s_rec.delay", "s_rec.q"],
        tags=["multiplicative synapses", "recurrent", "pre-synaptic state"],
        recurrent=pathway(
            rng, "hid", "hid", others(3), (-1, 1), "I_post += w*(1 + q*v_pre - v_post**2)", q=0.7
        ),
    )  # fmt: skip


@network
def synapses_that_write_two_states(rng):
    """One arrival changes a current and an adaptation variable, one after the other."""
    hidden = group(
        3, "dv/dt = (I - u - v)/tau_m : 1\ndI/dt = -I/tau_s : 1\ndu/dt = -u/tau_u : 1", "v > 1",
        "v = 0", tau_m=0.02, tau_s=0.005, tau_u=0.02,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 8, ["s_in.w", "s_in.delay", "s_in.k", "hid.tau_u"],
        tags=["multiplicative synapses", "several statements"],
        s_in=pathway(
            rng, "inp", "hid", all_to_all(3, 3), (4, 8), ["I_post += w", "u_post += k*I_post"],
            k=0.05,
        ),
    )  # fmt: skip


STP = """du/dt = (U - u)/tau_f : 1 (event-driven)
dx/dt = (1 - x)/tau_d : 1 (event-driven)"""


@network
def short_term_plasticity(rng):
    """Depression and facilitation (Tsodyks, Pawelzik and Markram 1998)."""
    return layers(
        rng, lif(2), (2, 2), 0.06, 10,
        ["s_in.w", "s_in.delay", "s_in.U", "s_in.tau_f", "s_in.tau_d", "s_in.u(0)", "s_in.x(0)"],
        tags=["short-term plasticity", "initial values"],
        s_in=pathway(
            rng, "inp", "hid", all_to_all(2, 2), (7, 12), equations=STP,
            on_pre=["u += U*(1 - u)", "I_post += w*u*x", "x -= u*x"],
            U=numbers(rng.uniform(0.3, 0.6, 4)), tau_f=0.05, tau_d=0.03,
            initial={"u": numbers(rng.uniform(0.3, 0.6, 4)), "x": [1.0, 1.0, 0.8, 0.9]},
        ),
    )  # fmt: skip


@network
def short_term_depression_recurrent(rng):
    """Depression alone, in recurrent synapses."""
    return layers(
        rng, lif(3), (3, 3), 0.05, 8,
        ["s_in.w", "s_rec.w", "s_rec.U", "s_rec.tau_d", "s_rec.delay"],
        tags=["short-term plasticity", "recurrent"],
        recurrent=pathway(
            rng, "hid", "hid", others(3), (0.5, 2),
            equations="dx/dt = (1 - x)/tau_d : 1 (event-driven)",
            on_pre=["I_post += w*U*x", "x *= 1 - U"], U=0.4, tau_d=0.02, initial={"x": 1.0},
        ),
    )  # fmt: skip


STDP = """dp/dt = -p/tau_p : 1 (event-driven)
dq/dt = -q/tau_q : 1 (event-driven)
w : 1"""


def _stdp(rng, on_pre, on_post, trained, tags=(), equations=STDP, expression="w**2", **more):
    s_in = pathway(
        rng, "inp", "hid", all_to_all(3, 2), on_pre=on_pre, on_post=on_post, equations=equations,
        initial={"w": numbers(rng.uniform(4, 7, 6))}, tau_p=0.02, tau_q=0.015, **more,
    )  # fmt: skip
    out = layers(
        rng,
        lif(2),
        (3, 2),
        0.06,
        12,
        trained,
        tags=["STDP", "weights in the loss", *tags],
        s_in=s_in,
    )
    out["readouts"].append(readout("final", "synapses/s_in", expression, weighted(*[0.01] * 6)))
    return out


@network
def stdp(rng):
    """Pairs of spikes change the weights; the loss sees them at the end."""
    return _stdp(
        rng, ["I_post += w", "p += A", "w += q"], ["q += B", "w += p"],
        ["s_in.w(0)", "s_in.delay", "s_in.A", "s_in.B", "s_in.tau_p", "s_in.tau_q", "s_out.delay"],
        A=numbers(rng.uniform(0.2, 0.4, 6)), B=numbers(rng.uniform(-0.3, -0.2, 6)),
    )  # fmt: skip


@network
def stdp_multiplicative(rng):
    """Soft bounds: how much a weight changes depends on the weight."""
    return _stdp(
        rng, ["I_post += w", "p += A", "w += q*w/10"], ["q += B", "w += p*(10 - w)/10"],
        ["s_in.w(0)", "s_in.delay", "s_in.A", "s_in.B"], ["soft bounds"], A=0.4, B=-0.3,
    )  # fmt: skip


@network
def stdp_clipped(rng):
    """Hard bounds: weights are clipped, and some reach the bound."""
    return _stdp(
        rng, ["I_post += w", "p += A", "w = clip(w + q, 0, 7)"],
        ["q += B", "w = clip(w + p, 0, 7)"],
        ["s_in.w(0)", "s_in.delay", "s_in.A", "s_in.B"], ["hard bounds"], A=0.5, B=-0.2,
    )  # fmt: skip


@network
def stdp_triplets(rng):
    """Triplets of spikes: a second, slower trace of the post-synaptic neuron."""
    return _stdp(
        rng, ["I_post += w", "p += A", "w += q"], ["w += p*(1 + r)", "q += B", "r += C"],
        ["s_in.w(0)", "s_in.delay", "s_in.A", "s_in.B", "s_in.C", "s_in.tau_r"], ["triplets"],
        STDP + "\ndr/dt = -r/tau_r : 1 (event-driven)", A=0.3, B=-0.25, C=0.5, tau_r=0.04,
    )  # fmt: skip


@network
def kinetic_synapses(rng):
    """Each synapse has differential equations of its own, whose sum is the target's conductance."""
    hidden = group(
        2, "dv/dt = (-v + g*(E - v))/tau_m : 1\ng : 1", "v > 1", "v = 0", tau_m=0.02, E=4.0
    )
    s_in = pathway(
        rng, "inp", "hid", all_to_all(3, 2), (0.8, 2), "x += 1",
        equations="ds/dt = (-s + alpha*x*(1 - s))/tau_d : 1\ndx/dt = -x/tau_r : 1\n"
        "g_post = w*s : 1 (summed)", tau_d=0.01, tau_r=0.002, alpha=3.0,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 2), 0.05, 9,
        ["s_in.w", "s_in.delay", "s_in.alpha", "s_in.tau_d", "s_in.tau_r", "hid.E"],
        tags=["synapses with equations", "summed variables", "nonlinear"], s_in=s_in,
    )  # fmt: skip


GAP = LIF.replace("I - v", "I + Igap - v") + "\nIgap : 1"


def _coupled(rng, hidden, expression, trained, tags, w_gap, **more):
    size = hidden["size"]
    gap = pathway(
        rng, "hid", "hid", others(size), w_gap, (),
        equations=f"Igap_post = {expression} : 1 (summed)",
        delay=0.0, **more,
    )  # fmt: skip
    out = layers(rng, hidden, (3, size), 0.05, 8, trained, tags=["summed variables", *tags])
    out["synapses"]["s_gap"] = gap
    return out


@network
def gap_junctions(rng):
    """Neurons coupled by the difference of their potentials, all the time."""
    hidden = group(3, GAP, "v > 1", "v = 0", tau_m=0.02, tau_s=0.005)
    return _coupled(
        rng, hidden, "w*(v_pre - v_post)", ["s_in.w", "s_in.delay", "s_gap.w", "hid.tau_m"],
        ["gap junctions"], (0.05, 0.25),
    )  # fmt: skip


@network
def gap_junctions_qif(rng):
    """The same among quadratic neurons: an upstroke pulls the others along."""
    hidden = group(
        2, "dv/dt = (v*(v - 1) + I + Igap)/tau_m : 1\ndI/dt = -I/tau_s : 1\nIgap : 1", "v > 3",
        "v = -0.5", tau_m=0.01, tau_s=0.005,
    )  # fmt: skip
    out = _coupled(
        rng, hidden, "w*(v_pre - v_post)", ["s_in.w", "s_in.delay", "s_gap.w", "hid.tau_m"],
        ["gap junctions", "QIF"], (0.05, 0.25),
    )  # fmt: skip
    out["synapses"]["s_in"] = pathway(rng, "inp", "hid", all_to_all(3, 2), (2, 4))
    return out


@network
def rate_like_coupling(rng):
    """A continuous current that is a nonlinear function of the other neuron's potential."""
    hidden = group(3, GAP, "v > 1", "v = 0", tau_m=0.02, tau_s=0.005)
    return _coupled(
        rng, hidden, "w*tanh(k*v_pre)", ["s_in.w", "s_gap.w", "s_gap.k", "hid.tau_s"],
        ["rate-like coupling", "nonlinear"], (-0.4, 0.4), k=1.5,
    )  # fmt: skip


@network
def coupled_dendrites(rng):
    """Two compartments per neuron as two groups, joined by one-to-one conductances."""
    size = 2
    soma = group(size, "dv/dt = (Id - v)/tau_m : 1\nId : 1", "v > 1", "v = 0", tau_m=0.01)
    dendrite = group(
        size, "dv/dt = (I + Is - v)/tau_d : 1\ndI/dt = -I/tau_s : 1\nIs : 1",
        tau_d=0.02, tau_s=0.005,
    )  # fmt: skip
    pairs = [(k, k) for k in range(size)]
    summed = "{}_post = w*(v_pre - v_post) : 1 (summed)"
    return file(
        0.05, {"soma": soma, "dend": dendrite},
        {
            "s_in": pathway(rng, "inp", "dend", all_to_all(3, size), (5, 9)),
            "s_down": pathway(rng, "dend", "soma", pairs, (1.5, 2.5), (),
                              equations=summed.format("Id"), delay=0.0),
            "s_up": pathway(rng, "soma", "dend", pairs, (0.2, 0.6), (),
                            equations=summed.format("Is"), delay=0.0),
        },
        [spike_times("groups/soma", [1.0, -0.7]),
         integral("groups/dend", "v**2", (0.5, 0.5))],
        ["s_in.w", "s_in.delay", "s_down.w", "s_up.w", "dend.tau_d", "soma.tau_m"],
        {"inp": spikes(rng, 3, 10, 0.03)}, ["summed variables", "several groups", "dendrites"],
    )  # fmt: skip


@network
def two_pathways_of_inputs(rng):
    """Two groups of inputs with spike times that are trained, one of them inhibitory."""
    groups = {"hid": lif(3), "out": leaky(2)}
    return file(
        0.05, groups,
        {
            "s_a": pathway(rng, "in_a", "hid", all_to_all(2, 3), (4, 8)),
            "s_b": pathway(rng, "in_b", "hid", all_to_all(2, 3), (-2, -0.5)),
            "s_out": pathway(rng, "hid", "out", all_to_all(3, 2), (-2, 3)),
        },
        integral(), ["in_a.time", "in_b.time", "s_a.w", "s_b.w", "s_b.delay"],
        {"in_a": spikes(rng, 2, 7, 0.03), "in_b": spikes(rng, 2, 4, 0.03)},
        ["current-based LIF", "several groups", "input spike times"],
    )  # fmt: skip
