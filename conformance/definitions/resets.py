"""Resets of several kinds, moving thresholds and adaptation."""

from .building import (
    LIF,
    all_to_all,
    file,
    group,
    integral,
    layers,
    lif,
    network,
    numbers,
    others,
    pathway,
    spike_times,
    spikes,
)


@network
def reset_by_subtraction(rng):
    """v -= vth: what is above the threshold would be kept."""
    return layers(
        rng, lif(3, "v > vth", "v -= vth", vth=1.0), (3, 3), 0.05, 8,
        ["s_in.w", "s_in.delay", "hid.vth", "s_out.w"], tags=["reset by subtraction"],
    )  # fmt: skip


@network
def reset_to_a_parameter(rng):
    """v = vr with a trained value for each neuron."""
    hidden = lif(3, "v > vth", "v = vr", vth=1.0, vr=[-0.3, 0.2, -0.6])
    return layers(
        rng, hidden, (3, 3), 0.05, 8, ["s_in.w", "hid.vr", "hid.vth", "s_in.delay"],
        tags=["reset to a parameter"],
    )  # fmt: skip


@network
def reset_by_a_factor(rng):
    """v *= k and I *= q: both states are multiplied."""
    hidden = lif(3, reset=["v *= k", "I *= q"], k=0.3, q=0.6)
    return layers(
        rng, hidden, (3, 3), 0.05, 8, ["s_in.w", "s_in.delay", "hid.k", "hid.q"],
        tags=["multiplicative reset"],
    )  # fmt: skip


@network
def reset_that_reads_the_current(rng):
    """v = vr + k*I/(1 + I**2): where a neuron starts anew depends on its input."""
    hidden = lif(3, reset="v = vr + k*I/(1 + I**2)", vr=-0.2, k=0.5)
    return layers(
        rng, hidden, (3, 3), 0.05, 8, ["s_in.w", "s_in.delay", "hid.k", "hid.vr"],
        tags=["state-dependent reset"],
    )  # fmt: skip


@network
def reset_of_all_states(rng):
    """The current is set to zero, too: after a spike nothing of the past is left."""
    return layers(
        rng, lif(3, reset=["v = 0", "I = 0"]), (3, 3), 0.05, 12,
        ["s_in.w", "s_in.delay", "s_out.w"],
        tags=["reset of all states"], w_in=(4, 8),
    )  # fmt: skip


@network
def adaptive_threshold(rng):
    """Every spike raises the threshold, which decays; with a refractory period and recurrence."""
    hidden = group(
        3, LIF.replace(" : 1", " : 1 (unless refractory)", 1) + "\ndth/dt = -th/tau_th : 1",
        "v > 1 + th", ["v = 0", "th += b"], "t_ref",
        tau_m=0.02, tau_s=0.005, tau_th=0.03, b=0.3, t_ref=0.002,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 9,
        ["s_in.w", "s_in.delay", "hid.b", "hid.tau_th", "hid.t_ref", "s_rec.w", "s_rec.delay"],
        tags=["adaptive", "moving threshold", "refractory", "recurrent"], w_in=(4, 8),
        recurrent=pathway(rng, "hid", "hid", others(3), (-2, 2)),
    )  # fmt: skip


@network
def threshold_follows_potential(rng):
    """The threshold is drawn by the potential itself, not by spikes alone."""
    hidden = group(
        3, LIF + "\ndth/dt = (th0 + a*v - th)/tau_th : 1", "v > th", ["v = 0", "th += b"],
        tau_m=0.02, tau_s=0.005, tau_th=0.02, th0=1.0, a=0.4, b=0.2, initial={"th": 1.0},
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 8, ["s_in.w", "hid.a", "hid.b", "hid.th0", "hid.th(0)"],
        tags=["adaptive", "moving threshold", "initial values"], w_in=(4, 8),
    )  # fmt: skip


@network
def threshold_in_time(rng):
    """A threshold that is a function of the time."""
    hidden = lif(3, "v > 1 + a*exp(-t/tau_a)", a=0.6, tau_a=0.015)
    return layers(
        rng, hidden, (3, 3), 0.05, 8, ["s_in.w", "s_in.delay", "hid.a", "hid.tau_a"],
        tags=["moving threshold", "time-dependent equations"],
    )  # fmt: skip


@network
def threshold_without_reset(rng):
    """Multi-timescale adaptive threshold: the potential is never reset, two thresholds jump."""
    hidden = group(
        2, LIF + "\ndx/dt = -x/tau_x : 1\ndy/dt = -y/tau_y : 1", "v > 1 + x + y",
        ["x += a", "y += b"], "t_ref",
        tau_m=0.01, tau_s=0.005, tau_x=0.006, tau_y=0.05, a=1.5, b=0.3, t_ref=0.002,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 2), 0.05, 10, ["s_in.w", "s_in.delay", "hid.a", "hid.b", "hid.tau_x"],
        tags=["adaptive", "moving threshold", "no reset", "refractory"], w_in=(4, 8),
    )  # fmt: skip


@network
def adaptation_current(rng):
    """A current that follows the potential and jumps at spikes."""
    hidden = group(
        3, "dv/dt = (I - v - u)/tau_m : 1\ndI/dt = -I/tau_s : 1\ndu/dt = (a*v - u)/tau_u : 1",
        "v > 1", ["v = 0", "u += b"], tau_m=0.02, tau_s=0.005, tau_u=0.04, a=0.3, b=0.25,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 9, ["s_in.w", "s_in.delay", "hid.a", "hid.b", "hid.tau_u"],
        tags=["adaptive"], w_in=(4, 8),
    )  # fmt: skip


@network
def mihalas_niebur(rng):
    """Linear neurons with a moving threshold and two spike-induced currents."""
    hidden = group(
        2, "dv/dt = (I + j1 + j2 - v)/tau_m : 1\ndI/dt = -I/tau_s : 1\ndj1/dt = -j1/tau_1 : 1\n"
        "dj2/dt = -j2/tau_2 : 1\ndth/dt = a*v - c*(th - 1) : 1",
        "v > th", ["v = vr", "th = max(th, 1.1)", "j1 = 0.5*j1 + A", "j2 += B"],
        tau_m=0.02, tau_s=0.005, tau_1=0.005, tau_2=0.05, a=(5.0, "hertz"), c=(20.0, "hertz"),
        A=1.0, B=-0.3, vr=-0.1, initial={"th": 1.0},
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 2), 0.05, 9,
        ["s_in.w", "s_in.delay", "hid.A", "hid.B", "hid.a", "hid.c", "hid.vr", "hid.tau_2"],
        tags=["adaptive", "moving threshold"], w_in=(4, 8),
    )  # fmt: skip


#: Where arrivals set off spikes, only the potential itself depends on the weights.
SEEN = integral("groups/hid", "v**2", (1.0, -0.5, 0.8))


def _delta(size, **more):
    return group(size, "dv/dt = (b - v)/tau_m : 1", "v > 1", tau_m=0.02, **more)


@network
def delta_synapses(rng):
    """Arrivals lift the potential, and may set off a spike at once."""
    hidden = _delta(3, reset="v = 0", b=0.2)
    return layers(
        rng, hidden, (3, 3), 0.05, 16, ["s_in.w", "s_in.delay", "s_rec.w", "hid.b", "inp.time"],
        SEEN, tags=["delta synapses", "spike at an arrival", "recurrent"],
        s_in=pathway(rng, "inp", "hid", all_to_all(3, 3), (0.2, 0.7), "v_post += w"),
        recurrent=pathway(rng, "hid", "hid", others(3), (-0.3, 0.4), "v_post += w"),
    )  # fmt: skip


@network
def delta_synapses_soft_reset(rng):
    """As before with v -= 1: what an arrival lifts above the threshold is kept."""
    hidden = _delta(3, reset="v -= 1", b=[0.5, 1.2, 0.0])
    return layers(
        rng, hidden, (3, 3), 0.05, 16, ["s_in.w", "s_in.delay", "hid.b", "hid.tau_m"],
        SEEN, tags=["delta synapses", "spike at an arrival", "reset by subtraction"],
        s_in=pathway(rng, "inp", "hid", all_to_all(3, 3), (0.2, 0.7), "v_post += w"),
    )  # fmt: skip


@network
def delta_synapses_refractory(rng):
    """Arrivals within the refractory period are lost where the potential stands still."""
    hidden = group(
        3, "dv/dt = (b - v)/tau_m : 1 (unless refractory)", "v > 1", "v = 0", "t_ref",
        tau_m=0.02, b=[1.3, 0.3, 1.1], t_ref=0.003,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 18, ["s_in.w", "s_in.delay", "hid.t_ref", "hid.b", "hid.tau_m"],
        SEEN, tags=["delta synapses", "spike at an arrival", "refractory"],
        s_in=pathway(rng, "inp", "hid", all_to_all(3, 3), (0.2, 0.6), "v_post += w"),
    )  # fmt: skip


@network
def non_leaky(rng):
    """Integration without a leak: the potential is a straight line between events."""
    hidden = group(
        3, "dv/dt = b/tau_m : 1", "v > vth", "v = 0", tau_m=0.01, vth=1.0,
        b=numbers(rng.uniform(0.3, 0.8, 3)),
    )  # fmt: skip
    return file(
        0.06, {"hid": hidden},
        {
            "s_in": pathway(rng, "inp", "hid", all_to_all(3, 3), (0.05, 0.3), "v_post += w"),
            "s_rec": pathway(rng, "hid", "hid", others(3), (-0.2, 0.2), "v_post += w"),
        },
        spike_times("groups/hid", [1.0, -2.0, 0.5]),
        ["s_in.w", "s_rec.w", "hid.b", "hid.vth"], {"inp": spikes(rng, 3, 9, 0.04)},
        ["delta synapses", "no leak", "recurrent"],
    )  # fmt: skip
