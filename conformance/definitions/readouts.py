"""What is measured: the same kind of network under each readout and loss."""

from .building import (
    all_to_all,
    file,
    integral,
    layers,
    leaky,
    lif,
    network,
    pathway,
    readout,
    spike_times,
    spikes,
    weighted,
)

TRAINED = ["s_in.w", "s_in.delay", "s_out.w", "s_out.delay", "hid.tau_m"]


def _read_out(rng, readouts, tags, trained=TRAINED, size=2):
    return file(
        0.05, {"hid": lif(3), "out": leaky(size)},
        {
            "s_in": pathway(rng, "inp", "hid", all_to_all(3, 3), (3, 6.5)),
            "s_out": pathway(rng, "hid", "out", all_to_all(3, size), (-2, 3)),
        },
        readouts, trained, {"inp": spikes(rng, 3, 7, 0.03)}, ["current-based LIF", *tags],
    )  # fmt: skip


@network
def readout_final(rng):
    """States at the end of the trial, squared error."""
    return _read_out(
        rng, readout("final", "groups/out", "v + I/3",
                     {"kind": "squared_error", "targets": [0.2, -0.3]}),
        ["final value", "squared error"],
    )  # fmt: skip


@network
def readout_at_a_time(rng):
    """A state at one time within the trial."""
    return _read_out(
        rng, readout("value", "groups/out", "v", weighted(1.0, -0.5), at=0.03137),
        ["value at a time"],
    )  # fmt: skip


@network
def readout_at_many_times(rng):
    """A trace at eight times, squared error."""
    times = [0.00911, 0.01403, 0.01907, 0.02411, 0.02913, 0.03419, 0.04201, 0.04937]
    targets = [[0.1 * k - 0.2 for k in range(8)], [0.3 - 0.1 * k for k in range(8)]]
    return _read_out(
        rng, readout("value", "groups/out", "v", {"kind": "squared_error", "targets": targets},
                     at=times),
        ["value at many times", "squared error"],
    )  # fmt: skip


@network
def readout_maximum(rng):
    """Largest value during the trial, classified: smooth maxima of neurons that are read out."""
    return _read_out(
        rng, readout("maximum", "groups/out", "v",
                     {"kind": "cross_entropy", "label": 2, "scale": 5.0}),
        ["maximum", "cross-entropy"], size=3,
    )  # fmt: skip


@network
def readout_maximum_at_a_jump(rng):
    """Largest value of a current, which arrivals make by a jump."""
    return _read_out(
        rng, readout("maximum", "groups/out", "I + v/2", weighted(1.0, -0.4)),
        ["maximum", "maximum at an event"],
    )  # fmt: skip


@network
def readout_integral_weighted(rng):
    """Integral with a weight that falls in time, classified."""
    return _read_out(
        rng, readout("integral", "groups/out", "v*exp(-t/T)",
                     {"kind": "cross_entropy", "label": 0, "scale": 200.0}),
        ["integral", "cross-entropy"], size=3,
    )  # fmt: skip


@network
def readout_integral_of_spiking(rng):
    """Integral over the states of neurons that spike: the integrand jumps at every spike."""
    return layers(
        rng, lif(3), (3, 3), 0.05, 8, ["s_in.w", "s_in.delay", "hid.tau_m", "hid.tau_s"],
        integral("groups/hid", "v**2*(1 + I)", (1.0, -0.5, 0.8)),
        ["current-based LIF", "integral", "integrand that jumps"],
    )  # fmt: skip


@network
def readout_spike_times_squared(rng):
    """A nonlinear function of the spike times, summed over spikes."""
    return layers(
        rng, lif(3, tau_r=0.01), (3, 3), 0.05, 8,
        ["s_in.w", "s_in.delay", "hid.tau_m", "hid.tau_r"],
        readout("spike_times", "groups/hid", "exp(-t/tau_r)",
                {"kind": "squared_error", "targets": [0.5, 1.0, 0.2]}),
        ["current-based LIF", "spike times", "squared error"],
    )  # fmt: skip


@network
def readout_first_spike(rng):
    """Times of first spikes against targets."""
    return layers(
        rng, lif(3, initial={"v": [0.1, -0.1, 0.2]}), (3, 3), 0.05, 8,
        ["s_in.w", "s_in.delay", "hid.tau_m", "hid.v(0)"],
        readout("first_spike", "groups/hid", "t",
                {"kind": "squared_error", "targets": [0.01, 0.02, 0.015]}),
        ["current-based LIF", "first spike", "squared error"],
    )  # fmt: skip


@network
def readout_several(rng):
    """Every kind of readout in one loss."""
    return _read_out(
        rng,
        [
            integral(weights=(3.0, -2.0)),
            readout("final", "groups/out", "v", weighted(0.2, 0.1)),
            readout("value", "groups/out", "v*I", weighted(0.3, -0.1), at=0.02713),
            readout("maximum", "groups/out", "v", weighted(0.1, 0.2)),
            spike_times("groups/hid", [0.3, -0.2, 0.1]),
        ],
        ["integral", "final value", "value at a time", "maximum", "spike times"],
    )  # fmt: skip
