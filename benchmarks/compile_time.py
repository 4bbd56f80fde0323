"""CPU seconds from a Brian2 network to its first gradient: with an empty cache, edited, and warm.

Every row has a folder of compiled kernels of its own; imports and the Brian2 objects are not
counted.  "first" starts with an empty folder (with ``--installed``, with one in which another
network was run before: what serves every network is there), "edited" changes one number in one
equation of that network, "again" makes the same objects once more in the same process, so that
Brian2 gives them other names, and "warm" is another process with all kernels on the disk.

    python benchmarks/compile_time.py [--only NAME ...] [--installed]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from brian2 import (
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    defaultclock,
    ms,
    mV,
    nS,
    pA,
    pF,
    prefs,
    seed,
    start_scope,
)  # fmt: skip

prefs.codegen.target = "numpy"

LIF = "dv/dt = (I - v)/tau_m : 1\ndI/dt = -I/tau_s : 1"
SPIKE = {"threshold": "v > 1", "reset": "v = 0"}
CONSTANTS = {
    "tau_m": 20 * ms, "tau_s": 5 * ms, "tau_a": 80 * ms, "C": 200 * pF, "g_L": 10 * nS,
    "E_L": -70 * mV, "V_T": -50 * mV, "D_T": 2 * mV, "E_e": 0 * mV, "E_i": -80 * mV,
    "tau_w": 50 * ms, "a": 2 * nS, "tau_e": 5 * ms, "tau_i": 10 * ms, "b": 40 * pA, "V_r": -58 * mV,
}  # fmt: skip
COBA = """dv/dt = (g_L*(E_L - v) + g_e*(E_e - v) + g_i*(E_i - v))/C : volt (unless refractory)
          dg_e/dt = -g_e/tau_e : siemens
          dg_i/dt = -g_i/tau_i : siemens"""
ADEX = """dv/dt = (g_L*(E_L - v) + g_L*D_T*exp((v - V_T)/D_T) - u + g_e*(E_e - v) + g_i*(E_i - v))/C
                  : volt
          du/dt = (a*(v - E_L) - u)/tau_w : amp
          dg_e/dt = -g_e/tau_e : siemens
          dg_i/dt = -g_i/tau_i : siemens"""
HH = """dv/dt = (g_L*(E_L - v) + g_e*(E_e - v) + g_na*m**3*h*(E_na - v) + g_k*n**4*(E_k - v))/C_m
                : volt
        dm/dt = 0.32/mV*4*mV/exprel((13*mV - v + V_0)/(4*mV))/ms*(1 - m)
                - 0.28/mV*5*mV/exprel((v - V_0 - 40*mV)/(5*mV))/ms*m : 1
        dn/dt = 0.032/mV*5*mV/exprel((15*mV - v + V_0)/(5*mV))/ms*(1 - n)
                - 0.5*exp((10*mV - v + V_0)/(40*mV))/ms*n : 1
        dh/dt = 0.128*exp((17*mV - v + V_0)/(18*mV))/ms*(1 - h)
                - 4/(1 + exp((40*mV - v + V_0)/(5*mV)))/ms*h : 1
        dg_e/dt = -g_e/tau_e : siemens"""
HH_CONSTANTS = {
    "g_L": 10 * nS, "E_L": -65 * mV, "E_e": 0 * mV, "g_na": 20000 * nS, "E_na": 50 * mV,
    "g_k": 6000 * nS, "E_k": -90 * mV, "C_m": 200 * pF, "V_0": -63 * mV, "tau_e": 5 * ms,
}  # fmt: skip
ALIF = """dv/dt = (I - a_d - v)/tau_m : 1
          dI/dt = -I/tau_s : 1
          da_d/dt = -a_d/tau_a : 1"""


# ---- networks: each returns the objects and what is trained ----
def project(source, target, variable="I", unit="1", weight="0.3", delay="(1 + 2*rand())*ms", p=1.0):
    """Synapses with a weight each and, unless there is none, a delay each."""
    synapses = Synapses(source, target, f"w : {unit}", on_pre=f"{variable}_post += w")
    synapses.connect(p=p)
    synapses.w = weight
    if delay:
        synapses.delay = delay
    return synapses


def inputs(n):
    """A few input neurons that spike five times each."""
    index = np.tile(np.arange(n), 5)
    return SpikeGeneratorGroup(n, index, np.linspace(1, 18, 5 * n) * ms)


def chain(sizes, equations=LIF, edit=False):
    """Layers of one neuron model; `edit` changes a number in the first one's equations."""
    groups = [inputs(5)]
    synapses = []
    for k, size in enumerate(sizes):
        own = equations.replace("I - v", "1.01*I - v") if edit and k == 0 else equations
        last = k == len(sizes) - 1
        groups.append(NeuronGroup(size, own, method="exact", **({} if last else SPIKE)))
        synapses.append(project(groups[-2], groups[-1], weight="1 + rand()"))
    return [*groups, *synapses], [s.w for s in synapses] + [s.delay for s in synapses]


def one_group(equations, edited, constants=None, **options):
    """Inputs and a recurrent group with conductance synapses."""

    def build(edit=False):
        own = equations.replace(*edited) if edit else equations
        source = inputs(5)
        group = NeuronGroup(20, own, namespace=constants or CONSTANTS, **options)
        group.v = -65 * mV
        synapses = [
            project(end, group, "g_e", "siemens", "20*nS*rand()") for end in (source, group)
        ]
        return [source, group, *synapses], [s.w for s in synapses] + [s.delay for s in synapses]

    return build


def recurrent(n, edit=False):
    """Many leaky neurons with sparse recurrent synapses."""
    source = inputs(50)
    equations = LIF.replace("I - v", "1.01*I - v") if edit else LIF
    group = NeuronGroup(n, equations, method="exact", **SPIKE)
    synapses = [
        project(source, group, weight="0.4*rand()", p=0.2),
        project(group, group, weight="0.1*randn()", p=0.05),
    ]
    return [source, group, *synapses], [s.w for s in synapses] + [s.delay for s in synapses]


def populations(models, links, edit=False):
    """Groups of a few neuron models, connected as `links` say."""
    source = inputs(5)
    groups = []
    for k, (equations, options) in enumerate(models):
        own = equations.replace("I - v", "1.01*I - v") if edit and k == 0 else equations
        groups.append(NeuronGroup(10, own, **options))
    synapses = [project(source, groups[0], weight="1 + rand()")]
    synapses += [project(groups[i], groups[j], weight="0.2*rand()") for i, j in links]
    return [source, *groups, *synapses], [s.w for s in synapses] + [s.delay for s in synapses]


THREE = [
    (LIF, {**SPIKE, "method": "exact"}),
    (ALIF, {"threshold": "v > 1", "reset": "v = 0; a_d += 0.1", "method": "exact"}),
    (
        "dv/dt = (0.5*v*(v - 1) - 0.1 + I)/tau_m : 1\ndI/dt = -I/tau_s : 1",
        {"threshold": "v > 2", "reset": "v = -0.5", "method": "rk2"},
    ),
]
TEN = [THREE[k % 3] for k in range(10)]
TWENTY = [(k, (k + 1) % 10) for k in range(10)] + [(k, (k + 3) % 10) for k in range(10)]
EIGHT = [THREE[k % 2] for k in range(8)]
ALL_PAIRS = [(i, j) for i in range(8) for j in range(8)]

#: Name: solver, network, what the project aims at in seconds.
NETWORKS = {
    "README, clock": ("clock", lambda edit=False: chain([30, 3], edit=edit), 3),
    "README, event": ("event", lambda edit=False: chain([30, 3], edit=edit), 6),
    "conductances": (
        "clock",
        one_group(
            COBA, ("g_L*(E_L", "1.01*g_L*(E_L"), method="exponential_euler",
            threshold="v > -50*mV", reset="v = -60*mV", refractory=2 * ms,
        ),
        4,
    ),
    "AdEx with conductances": (
        "clock",
        one_group(
            ADEX, ("g_L*(E_L", "1.01*g_L*(E_L"), method="euler",
            threshold="v > -40*mV", reset="v = V_r; u += b",
        ),
        5,
    ),
    "Hodgkin-Huxley, exponential Euler": (
        "clock",
        one_group(
            HH, ("g_L*(E_L", "1.01*g_L*(E_L"), HH_CONSTANTS,
            method="exponential_euler", threshold="v > -20*mV", refractory=3 * ms,
        ),
        7,
    ),
    "Hodgkin-Huxley, rk4": (
        "clock",
        one_group(
            HH, ("g_L*(E_L", "1.01*g_L*(E_L"), HH_CONSTANTS,
            method="rk4", threshold="v > -20*mV", refractory=3 * ms,
        ),
        7,
    ),
    "recurrent 1000, event": ("event", lambda edit=False: recurrent(1000, edit), 8),
    "five hidden layers, clock": (
        "clock", lambda edit=False: chain([10] * 5 + [3], edit=edit), 4,
    ),
    "five hidden layers, event": (
        "event", lambda edit=False: chain([10] * 5 + [3], edit=edit), 7,
    ),
    "ten groups, twenty projections": (
        "clock", lambda edit=False: populations(TEN, TWENTY, edit), 6,
    ),
    "eight populations, 64 projections": (
        "clock", lambda edit=False: populations(EIGHT, ALL_PAIRS, edit), 8,
    ),
}  # fmt: skip


# ---- measuring ----
def gradient_time(bep, name, edit=False):
    """CPU seconds of this process from Brian2's objects to the gradient."""
    start_scope()
    seed(0)
    defaultclock.dt = 0.02 * ms
    solver, build, _ = NETWORKS[name]
    objects, trained = build(edit=edit)
    group = next(o for o in reversed(objects) if isinstance(o, NeuronGroup))
    measured = "v" if group.v.dim.is_dimensionless else "v/volt"
    start = time.process_time()
    model = bep.EventPropModel(
        objects, train=trained, loss=bep.Sum(bep.Final(group, measured)), duration=20 * ms,
        solver=solver, namespace=CONSTANTS, threads=1,
    )  # fmt: skip
    result = model.run()
    gradients = model.gradient_arrays()
    taken = time.process_time() - start
    if not all(np.all(np.isfinite(gradients[key])) for key in model.parameters.keys):
        raise FloatingPointError(f"{name}: the gradient is not finite")
    return taken, sum(len(s) for s in result.spikes.values())


def load_all(bep):
    """Import what a gradient needs: the package imports the modules of a name when it is asked."""
    for name in ("EventPropModel", "Final", "Sum"):
        getattr(bep, name)


def measure(name, step):
    """Run one step of a row in this process; return CPU seconds by what was measured."""
    import brian_eventprop as bep

    load_all(bep)
    if step == "other":  # what serves every network is compiled by another one
        NETWORKS["other"] = NETWORKS["README, " + NETWORKS[name][0]]
        gradient_time(bep, "other", edit=True)
        return {}
    if step == "warm":
        return {"warm": gradient_time(bep, name)[0]}
    found = {}
    found["first"], found["spikes"] = gradient_time(bep, name)
    found["again"] = gradient_time(bep, name)[0]
    found["edited"] = gradient_time(bep, name, edit=True)[0]
    return found


def row(name, installed):
    """All that is measured of one network, in processes that share an empty folder."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "BRIAN_EVENTPROP_CACHE": folder}
        for step in (["other"] if installed else []) + ["first", "warm"]:
            command = [sys.executable, __file__, "--measure", name, step]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                return {"error": done.stderr.strip().splitlines()[-1]}
            found |= json.loads(done.stdout.splitlines()[-1])
    return found


def main():
    """Print a table, a line as soon as its network is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(NETWORKS), help="names of rows")
    parser.add_argument("--installed", action="store_true", help="not from an empty folder")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    print("| network | first | aim | edited | again | warm | spikes |")
    print("|---|---|---|---|---|---|---|")
    for name in options.only:
        found, aim = row(name, options.installed), NETWORKS[name][2]
        if "error" in found:
            print(f"| {name} | {found['error'][:80]} |", flush=True)
            continue
        times = [f"{found[key]:.2f}" for key in ("edited", "again", "warm")]
        cells = [name, f"{found['first']:.1f}", f"{aim}", *times, str(found["spikes"])]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
