"""Several processes train one network: ``mpiexec -n 2 python examples/yin_yang_mpi.py``.

Each process runs a part of every batch; with the same number of chunks, any number of processes
gives the same bits.  Needs mpi4py and an MPI library (``pip install 'brian-eventprop[mpi]'``).
"""

import argparse
import hashlib
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from brian2 import *

import brian_eventprop as bep

prefs.codegen.target = "numpy"  # Brian2 itself need not compile anything
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--size", type=int, default=2000, help="training trials")
parser.add_argument("--chunks", type=int, default=4, help="parts of a batch")
parser.add_argument("--checkpoint", type=Path, help="file to go on from, and to write")
parser.add_argument("--backend", default="cpu")
setting = parser.parse_args()
communicator = bep.MPI(chunks=setting.chunks)
seed(2)  # the same on all ranks: they must have the same network

lif = """dv/dt = (I - v)/(20*ms) : 1
         dI/dt = -I/(5*ms) : 1"""
inputs = SpikeGeneratorGroup(5, [], [] * ms)
hidden = NeuronGroup(30, lif, threshold="v > 1", reset="v = 0", method="exact", name="hidden")
output = NeuronGroup(3, lif, method="exact", name="output")
s_in = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w", name="s_in")
s_out = Synapses(hidden, output, "w : 1", on_pre="I_post += w", name="s_out")
s_in.connect()
s_out.connect()
s_in.w, s_in.delay, s_out.w = "1 + 2.5*rand()", "10*ms*rand()", "0.5*randn()"

model = bep.EventPropModel(
    [inputs, hidden, output, s_in, s_out],
    train=[s_in.w, s_in.delay, s_out.w],
    loss=bep.CrossEntropy(bep.Integral(output, "v*exp(-t/T)"), scale=200),
    duration=60 * ms,
    solver="event",
    backend=setting.backend,
    threads=communicator.threads,
)
callbacks = [bep.Checkpoint(setting.checkpoint)] if setting.checkpoint else []
optimizer = bep.Adam({s_in.w: 5e-3, s_in.delay: 0.1 * ms, s_out.w: 5e-3})
trainer = bep.Trainer(model, optimizer, callbacks, communicator)
done = callbacks[0].resume(trainer) if callbacks else 0
data = bep.datasets.yin_yang("train", size=setting.size)
history = trainer.fit(data, epochs=setting.epochs - done, batch_size=40, progress="lines")
measured = trainer.evaluate(bep.datasets.yin_yang("test", size=min(setting.size, 1000)))
if communicator.writes:
    digest = hashlib.sha256(model.parameters.flatten().tobytes()).hexdigest()[:16]
    print(f"test accuracy {measured['accuracy']:.1%} with {communicator.size} processes")
    print(f"parameters {digest}")
    history.plot()
    plt.savefig("yin_yang_mpi.png", dpi=110)
