"""Leaky integrate-and-fire neurons with currents: layers, recurrence, delays, refractoriness."""

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

SIMPLE = dict(tau_m=0.01, tau_s=0.005)  # jaxsnn has solutions for these ratios alone


@network
def lif_one_neuron(rng):
    """One neuron, its first spike: the smallest network with an event."""
    return file(
        0.03, {"hid": lif(1, "v > vth", vth=1.0, **SIMPLE)},
        {"s_in": pathway(rng, "inp", "hid", [(0, 0), (1, 0)], [3.1, 4.2], delay=0.0)},
        readout("first_spike", "groups/hid", "t", weighted(100.0)),
        ["s_in.w", "hid.tau_m", "hid.tau_s", "hid.vth", "inp.time"],
        {"inp": {"size": 2, "neuron": [0, 1], "time": [0.002, 0.0053]}},
        ["current-based LIF", "first spike"],
    )  # fmt: skip


@network
def lif_spike_times(rng):
    """One layer without delays; the loss is a weighted sum of all spike times."""
    return layers(
        rng, lif(3, "v > vth", vth=1.0, **SIMPLE), (3, 3), 0.04, 6,
        ["s_in.w", "hid.vth", "hid.tau_m", "inp.time"],
        spike_times("groups/hid", [1.0, -2.0, 0.5]), ["current-based LIF", "spike times"],
        w_in=(2.5, 5), delay=0.0,
    )  # fmt: skip


@network
def lif_two_layers(rng):
    """Two layers without delays, classified by first spikes: the setting of most papers."""
    duration, m, n, k = 0.04, 4, 4, 3
    return file(
        duration, {"hid": lif(n, **SIMPLE), "out": lif(k, **SIMPLE)},
        {
            "s_in": pathway(rng, "inp", "hid", all_to_all(m, n), (1.5, 4), delay=0.0),
            "s_out": pathway(rng, "hid", "out", all_to_all(n, k), (0.7, 2.5), delay=0.0),
        },
        readout("first_spike", "groups/out", "t",
                {"kind": "cross_entropy", "label": 1, "scale": -500.0}),
        ["s_in.w", "s_out.w"], {"inp": spikes(rng, m, m, 0.015)},
        ["current-based LIF", "two layers", "first spike", "cross-entropy"],
    )  # fmt: skip


@network
def lif_recurrent(rng):
    """Recurrent synapses without delays: a spike acts on the others at once."""
    return layers(
        rng, lif(3, **SIMPLE), (3, 3), 0.04, 6, ["s_in.w", "s_rec.w"],
        spike_times("groups/hid", [1.0, -2.0, 0.5]),
        ["current-based LIF", "recurrent", "spike times"], w_in=(2.5, 5), delay=0.0,
        recurrent=pathway(rng, "hid", "hid", others(3), (-1.5, 1.5), delay=0.0),
    )  # fmt: skip


@network
def lif_equal_time_constants(rng):
    """Membrane and synapse with the same time constant, where closed solutions divide by zero."""
    return layers(
        rng, lif(3, tau_m=0.008, tau_s=0.008), (3, 3), 0.04, 6,
        ["s_in.w", "hid.tau_m", "hid.tau_s"], spike_times("groups/hid", [1.0, -2.0, 0.5]),
        ["current-based LIF", "spike times"], w_in=(2, 4), delay=0.0,
    )  # fmt: skip


@network
def lif_feedforward_delay(rng):
    """Trained delays from inputs to hidden neurons and on to a readout."""
    return layers(
        rng, lif(3), (3, 3), 0.05, 8,
        ["s_in.w", "s_in.delay", "s_out.w", "s_out.delay", "hid.tau_m", "out.tau_s", "inp.time"],
        tags=["current-based LIF", "delay per synapse"],
    )  # fmt: skip


@network
def lif_recurrent_delay(rng):
    """Recurrent synapses with trained delays, also from a neuron to itself."""
    return layers(
        rng, lif(3), (3, 3), 0.04, 6,
        ["s_in.w", "s_in.delay", "s_rec.w", "s_rec.delay", "s_out.delay"],
        tags=["current-based LIF", "recurrent", "delay per synapse"],
        recurrent=pathway(rng, "hid", "hid", all_to_all(3, 3), (-2, 2)),
    )  # fmt: skip


@network
def lif_shared_delays(rng):
    """One trained delay for all synapses of a pathway."""
    out = layers(
        rng, lif(3), (3, 3), 0.05, 7, ["s_in.w", "s_in.delay", "s_out.delay", "s_out.w"],
        tags=["current-based LIF", "shared delay"], delay=0.0,
    )  # fmt: skip
    out["synapses"]["s_in"]["delay"] = 0.0023
    out["synapses"]["s_out"]["delay"] = 0.0041
    return out


@network
def lif_delay_only(rng):
    """Equal weights: what the network computes is in its delays."""
    out = layers(
        rng, lif(4), (3, 4), 0.045, 6, ["s_in.delay", "s_rec.delay", "hid.v(0)"],
        spike_times("groups/hid", [1.0, -1.0, 2.0, -2.0]),
        ["current-based LIF", "recurrent", "delay per synapse", "initial values"],
        w_in=(5, 5), delay=(0.001, 0.012),
        recurrent=pathway(rng, "hid", "hid", others(4), (-1, -1)),
    )  # fmt: skip
    out["groups"]["hid"]["initial"] = {"v": numbers(rng.uniform(0, 0.5, 4))}
    return out


@network
def lif_initial_values(rng):
    """A constant current per neuron and no input; initial values are trained."""
    size = 3
    hidden = group(
        size, "dv/dt = (b + I - v)/tau_m : 1\ndI/dt = -I/tau_s : 1", "v > 1", "v = 0",
        tau_m=0.015, tau_s=0.004, b=numbers(rng.uniform(1.1, 1.6, size)),
        initial={"v": numbers(rng.uniform(0, 0.8, size)), "I": numbers(rng.uniform(-1, 2, size))},
    )  # fmt: skip
    return file(
        0.05, {"hid": hidden, "out": leaky(2, initial={"v": 0.1})},
        {
            "s_rec": pathway(rng, "hid", "hid", others(size), (-1, 1)),
            "s_out": pathway(rng, "hid", "out", all_to_all(size, 2), (-2, 3)),
        },
        integral(), ["hid.b", "hid.v(0)", "hid.I(0)", "out.v(0)", "s_rec.w", "s_rec.delay"],
        tags=["current-based LIF", "recurrent", "initial values", "no input"],
    )  # fmt: skip


@network
def lif_refractory(rng):
    """The potential stands still while a neuron is refractory; the period is trained."""
    hidden = group(
        3, LIF.replace(" : 1", " : 1 (unless refractory)", 1), "v > 1", "v = 0", "t_ref",
        tau_m=0.02, tau_s=0.005, t_ref=0.0021,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 8, ["s_in.w", "s_in.delay", "hid.t_ref", "s_rec.w", "hid.tau_m"],
        tags=["current-based LIF", "refractory", "recurrent"],
        recurrent=pathway(rng, "hid", "hid", others(3), (-2, 2)),
    )  # fmt: skip


@network
def lif_refractory_per_neuron(rng):
    """Refractory periods that differ from neuron to neuron."""
    hidden = group(
        3, LIF.replace(" : 1", " : 1 (unless refractory)", 1), "v > 1", "v = 0", "t_ref",
        tau_m=0.02, tau_s=0.005, t_ref=[0.0013, 0.0027, 0.0041],
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 9, ["s_in.w", "s_in.delay", "hid.t_ref"],
        tags=["current-based LIF", "refractory"], w_in=(4, 8),
    )  # fmt: skip


@network
def lif_release_spikes(rng):
    """No spike while refractory, but the potential goes on: its end sets off some spikes."""
    hidden = lif(2, refractory="t_ref", t_ref=0.004)
    return layers(
        rng, hidden, (3, 2), 0.05, 9, ["s_in.w", "s_in.delay", "hid.t_ref", "s_out.delay"],
        tags=["current-based LIF", "refractory", "spike at the release"], w_in=(5, 9),
    )  # fmt: skip


@network
def lif_excitation_and_inhibition(rng):
    """Two currents with time constants of their own, and a pathway to each."""
    hidden = group(
        3, "dv/dt = (Ie - Ii - v)/tau_m : 1\ndIe/dt = -Ie/tau_e : 1\ndIi/dt = -Ii/tau_i : 1",
        "v > 1", "v = 0", tau_m=0.02, tau_e=0.004, tau_i=0.009,
    )  # fmt: skip
    out = layers(
        rng, hidden, (3, 3), 0.05, 9,
        ["s_in.w", "s_in.delay", "s_inh.w", "s_inh.delay", "hid.tau_e", "hid.tau_i"],
        tags=["current-based LIF", "inhibition"],
        s_in=pathway(rng, "inp", "hid", all_to_all(3, 3), (4, 8), "Ie_post += w"),
    )  # fmt: skip
    out["synapses"]["s_inh"] = pathway(
        rng, "inp", "hid", all_to_all(3, 3), (0.3, 1.5), "Ii_post += w"
    )
    return out


@network
def lif_two_populations(rng):
    """Excitatory and inhibitory populations with different neurons, coupled both ways."""
    m, e, i = 3, 3, 2
    return file(
        0.04,
        {
            "exc": lif(e, "v > vth", vth=1.0),
            "inh": lif(i, tau_m=0.01, tau_s=0.003),
            "out": leaky(2),
        },
        {
            "s_in": pathway(rng, "inp", "exc", all_to_all(m, e), (3, 6)),
            "s_ei": pathway(rng, "exc", "inh", all_to_all(e, i), (2, 4)),
            "s_ie": pathway(rng, "inh", "exc", all_to_all(i, e), (-3, -0.5)),
            "s_out": pathway(rng, "exc", "out", all_to_all(e, 2), (-2, 3)),
        },
        [integral(), spike_times("groups/inh", [0.3, -0.2])],
        ["s_in.w", "s_ei.w", "s_ei.delay", "s_ie.w", "s_ie.delay", "exc.vth", "inh.tau_m"],
        {"inp": spikes(rng, m, 7, 0.025)}, ["current-based LIF", "several groups", "recurrent"],
    )  # fmt: skip


@network
def lif_deep(rng):
    """Three layers that spike, one after the other."""
    return file(
        0.05, {"one": lif(3), "two": lif(3, tau_m=0.012), "three": lif(2, tau_s=0.003)},
        {
            "s_in": pathway(rng, "inp", "one", all_to_all(3, 3), (3, 6)),
            "s_two": pathway(rng, "one", "two", all_to_all(3, 3), (1.5, 3)),
            "s_three": pathway(rng, "two", "three", all_to_all(3, 2), (1.5, 4)),
        },
        spike_times("groups/three", [1.0, -0.7]),
        ["s_in.w", "s_in.delay", "s_two.w", "s_two.delay", "s_three.w", "s_three.delay",
         "one.tau_m", "two.tau_m"],
        {"inp": spikes(rng, 3, 7, 0.025)}, ["current-based LIF", "several groups", "spike times"],
    )  # fmt: skip


@network
def lif_several_synapses_per_pair(rng):
    """Two synapses between the same two neurons, with different delays, and pairs without any."""
    pairs = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (2, 0), (2, 2), (2, 2), (2, 2)]
    return layers(
        rng, lif(3), (3, 3), 0.05, 8, ["s_in.w", "s_in.delay", "s_out.w"],
        tags=["current-based LIF", "several synapses per pair", "sparse"],
        s_in=pathway(rng, "inp", "hid", pairs, (4, 8)),
    )  # fmt: skip


@network
def lif_per_neuron_parameters(rng):
    """Time constants and thresholds of their own for every neuron."""
    size = 3
    hidden = group(
        size, LIF, "v > vth", "v = 0", tau_m=numbers(rng.uniform(0.01, 0.03, size)),
        tau_s=numbers(rng.uniform(0.003, 0.007, size)), vth=numbers(rng.uniform(0.8, 1.2, size)),
    )  # fmt: skip
    return layers(
        rng, hidden, (3, size), 0.05, 8, ["hid.tau_m", "hid.tau_s", "hid.vth", "s_in.w"],
        tags=["current-based LIF", "parameters per neuron"],
    )  # fmt: skip


@network
def lif_alpha_current(rng):
    """Currents that rise and fall (alpha functions)."""
    hidden = group(
        3, "dv/dt = (I - v)/tau_m : 1\ndI/dt = (h - I)/tau_s : 1\ndh/dt = -h/tau_s : 1",
        "v > 1", "v = 0", tau_m=0.02, tau_s=0.004,
    )  # fmt: skip
    return layers(
        rng, hidden, (3, 3), 0.05, 8, ["s_in.w", "s_in.delay", "hid.tau_s", "hid.tau_m"],
        tags=["current-based LIF", "alpha function"], w_in=(4, 8),
        s_in=pathway(rng, "inp", "hid", all_to_all(3, 3), (4, 8), "h_post += w"),
    )  # fmt: skip


@network
def lif_with_units(rng):
    """Volts, amperes, farads and siemens: nothing is dimensionless."""
    hidden = group(
        2, "dv/dt = (gl*(El - v) + I)/Cm : volt\ndI/dt = -I/tau_s : amp", "v > vth", "v = vr",
        Cm=(2e-10, "farad"), gl=(1e-8, "siemens"), El=(-0.07, "volt"), vth=(-0.05, "volt"),
        vr=(-0.065, "volt"), tau_s=0.005, initial={"v": -0.07},
    )  # fmt: skip
    w = [round(x, 14) for x in rng.uniform(5e-10, 1.2e-9, 6)]
    return file(
        0.06, {"hid": hidden},
        {"s_in": pathway(rng, "inp", "hid", all_to_all(3, 2), (w, "amp"))},
        [
            spike_times("groups/hid", [1.0, -0.5]),
            readout("final", "groups/hid", "v/vth", weighted(0.01, 0.02)),
        ],
        ["s_in.w", "s_in.delay", "hid.Cm", "hid.gl", "hid.El", "hid.vth", "hid.vr", "hid.v(0)"],
        {"inp": spikes(rng, 3, 9, 0.04)}, ["current-based LIF", "units"],
    )  # fmt: skip


@network
def lif_many_spikes(rng):
    """High rates and recurrence: rounding errors grow with every spike."""
    return layers(
        rng, lif(4), (4, 4), 0.06, 16, ["s_in.w", "s_rec.w", "s_rec.delay"],
        tags=["current-based LIF", "recurrent", "many spikes", "shared delay"], w_in=(3, 6),
        delay=0.003, recurrent=pathway(rng, "hid", "hid", others(4), (-1, 1), delay=0.002),
    )  # fmt: skip


@network
def lif_ten_neurons(rng):
    """More neurons and sparse random connections."""
    n = 10
    pairs = [(i, j) for i, j in all_to_all(5, n) if rng.random() < 0.6]
    back = [(i, j) for i, j in others(n) if rng.random() < 0.2]
    return layers(
        rng, lif(n), (5, n), 0.04, 10, ["s_in.w", "s_in.delay", "s_rec.w", "s_rec.delay"],
        tags=["current-based LIF", "recurrent", "sparse", "delay per synapse", "shared delay"],
        s_in=pathway(rng, "inp", "hid", pairs, (3, 6)), delay=0.003,
        recurrent=pathway(rng, "hid", "hid", back, (-2, 2), delay=0.002),
    )  # fmt: skip


@network
def lif_oscillating_drive(rng):
    """Equations that depend on the time: a sine whose frequency and phase are trained."""
    hidden = group(
        2, "dv/dt = (b + a*sin(6.283185307179586*f*t + phase) + I - v)/tau_m : 1\n"
        "dI/dt = -I/tau_s : 1",
        "v > 1", "v = 0", tau_m=0.01, tau_s=0.005, b=0.9, a=[0.8, 0.6], f=(60.0, "hertz"),
        phase=0.3,
    )  # fmt: skip
    return layers(
        rng, hidden, (2, 2), 0.06, 5, ["s_in.w", "hid.a", "hid.b", "hid.f", "hid.phase"],
        tags=["current-based LIF", "time-dependent equations"], w_in=(0.5, 1.5),
    )  # fmt: skip
