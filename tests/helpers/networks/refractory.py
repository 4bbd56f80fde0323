"""Networks whose refractoriness ends with states, or whose equations know of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    ms,
    second,
)

import brian_eventprop as bep

TRIAL = 29 * ms

#: A leaky neuron with a variable that spikes set, and that decays.
LEAKY = """dv/dt = (I + drive - v)/(10*ms) : 1 (unless refractory)
           dI/dt = -I/(5*ms) : 1
           du/dt = -u/(4*ms) : 1
           drive : 1 (constant)
           k : 1 (constant)"""
CUBIC = LEAKY.replace("- v)/", "- v - 0.3*v**3)/")
RUNNING = CUBIC.replace(" (unless refractory)", "")


@dataclass(frozen=True)
class Kind:
    """A group, as text; ``k`` and ``drive`` are its parameters, ``train`` what is trained of it."""

    equations: str
    refractory: str
    reset: str = "v = 0; u += 1"
    threshold: str = "v > 0.8"
    on_pre: str = "I_post += w"
    method: str = "rk4"
    k: float = 0.3
    drive: float = 0.0
    train: tuple[str, ...] = ("k",)


KINDS = {
    "linear": Kind(LEAKY, "u > k", method="exact"),
    "cubic": Kind(CUBIC, "u > k"),
    "only masked": Kind(RUNNING, "u > k", drive=1.5, reset="u += 1"),
    "and, or": Kind(CUBIC, "u > k or (I > 2.5 and not v > 0.5)", k=0.1),
    "ended by arrivals": Kind(CUBIC, "u > k", on_pre="I_post += w; u_post *= 0.8"),
    "ended at once": Kind(LEAKY, "u > k", reset="v = 0; u += 0.2", method="euler"),
    "on the upstroke": Kind(RUNNING, "v > k", "I *= 0.3", "v > k", k=0.6, drive=0.3),
    "period of a state": Kind(
        CUBIC + "\nrest : second",
        "1*ms + rest",
        reset="v = 0; rest = 0.5*rest + k*I*ms",
        train=("k", "rest"),
    ),
    "time since the spike": Kind(
        LEAKY.replace("/(10*ms)", "/(10*ms)*(1 - exp(-(t - lastspike)/(3*ms)))"),
        "1*ms",
        threshold="v > 0.6 + k*exp(-(t - lastspike)/(4*ms))",
        method="euler",
    ),
    "condition on the time since the spike": Kind(
        CUBIC, "t - lastspike < (2 + I)*k*ms", k=1, drive=1.2
    ),
    "other equations": Kind(
        LEAKY.replace("-u/(4*ms)", "-u/(20*ms)*int(not_refractory) - u/(k*ms)*(1 - int("
                      "not_refractory))"),
        "2*ms", reset="v = 0; u += 0.3", method="euler", k=5, threshold="v + u > 0.8",
    ),
    "other equations until a condition ends": Kind(
        LEAKY.replace("-u/(4*ms)", "-u/(20*ms)*int(not_refractory) + (v**2/(30*ms) - u/(3*ms))"
                      "*int(not (not_refractory))").replace(" (unless refractory)", ""),
        "u > k", reset="v = 0.2; u += 0.5", method="rk2", threshold="v > 0.8 + 0.1*u",
    ),
}  # fmt: skip


def network(kind: Kind, dt: float = 0.1, delay: float = 1.3, neurons: int = 3):
    """Inputs, neurons that are connected to each other, and the synapses; ``dt`` in ms.

    The recurrent delays are between ``delay`` and twice that, in ms.
    """
    defaultclock.dt = dt * ms
    rng = np.random.default_rng(1)
    times = np.sort(np.round(rng.uniform(0.3, 25, 24), 1))
    channels = rng.integers(0, 4, len(times))
    apart = [k for k in range(len(times)) if not np.any(
        (channels[:k] == channels[k]) & (times[k] - times[:k] < 0.25)
    )]  # fmt: skip
    inputs = SpikeGeneratorGroup(4, channels[apart], times[apart] * ms, name="inputs")
    group = NeuronGroup(
        neurons, kind.equations, threshold=kind.threshold, reset=kind.reset or None,
        refractory=kind.refractory, method=kind.method, name="group",
    )  # fmt: skip
    group.k, group.drive = kind.k, kind.drive
    if "rest" in kind.train:
        group.rest = np.linspace(1, 3, neurons) * ms
    feed = Synapses(inputs, group, "w : 1", on_pre=kind.on_pre, name="feed")
    feed.connect()
    feed.w = rng.uniform(0.4, 1.2, len(feed))
    feed.delay = rng.uniform(0.5, 3, len(feed)) * ms
    loop = Synapses(group, group, "w : 1", on_pre=kind.on_pre, name="loop")
    loop.connect(condition="i != j")
    loop.w = rng.uniform(-0.3, 0.4, len(loop))
    loop.delay = rng.uniform(delay, 2 * delay, len(loop)) * ms
    return [inputs, group, feed, loop]


def model(kind: Kind, solver: str, dt: float = 0.1, delay: float = 1.3, **options):
    """The model of such a network; its loss is the sum of all spike times and an integral."""
    objects = network(kind, dt, delay)
    _, group, feed, loop = objects
    trained = [feed.w, feed.delay, loop.w, *(getattr(group, name) for name in kind.train)]
    loss = bep.Sum(bep.SpikeTimes(group)) + bep.Sum(bep.Integral(group, "v*I/second"))
    return bep.EventPropModel(
        objects, train=trained, loss=loss, duration=TRIAL, solver=solver, **options
    )


def brian_spikes(kind: Kind, **options) -> list[tuple[int, int]]:
    """Time steps and neurons of the spikes that Brian2 finds."""
    objects = network(kind, **options)
    monitor = SpikeMonitor(objects[1])
    Network(*objects, monitor).run(TRIAL)
    return steps_of(monitor)


def steps_of(trains) -> list[tuple[int, int]]:
    """Time steps and neurons of some spikes, sorted."""
    steps = np.rint(np.asarray(trains.t / second) / float(defaultclock.dt / second)).astype(int)
    return sorted(zip(steps.tolist(), np.asarray(trains.i).tolist(), strict=True))
