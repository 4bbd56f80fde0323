"""A small training for processes that MPI starts: prints the digest of the trained values.

    mpiexec -n 2 python train.py FOLDER [MODE]

The modes: ``plain``; ``resume`` with a checkpoint in the folder; ``seeds``, with other connections
on every rank; ``batches``, with other batches; ``error``, where rank 1 fails in epoch 1; ``long``,
which goes on for ever.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from brian2 import NeuronGroup, SpikeGeneratorGroup, Synapses, ms, prefs

import brian_eventprop as bep


class Fails(bep.Callback):
    """Fails, or says where it is."""

    def __init__(self, mode, rank):
        self.mode, self.rank = mode, rank

    def on_epoch_begin(self, trainer, epoch):
        del trainer
        if self.mode == "error" and epoch == 1 and self.rank == 1:
            raise RuntimeError("one rank has a fault")
        if self.mode == "long":
            print(f"rank {self.rank} epoch {epoch}", flush=True)


def main():
    prefs.codegen.target = "numpy"
    folder, mode = Path(sys.argv[1]), sys.argv[2]
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    communicator = bep.MPI(chunks=4)
    rank = communicator.rank

    source = SpikeGeneratorGroup(3, [], [] * ms, name="source")
    hidden = NeuronGroup(
        6, "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="hidden",
    )  # fmt: skip
    out = NeuronGroup(2, "dv/dt = -v/(20*ms) : 1", method="exact", name="out")
    s = Synapses(source, hidden, "w : 1", on_pre="I_post += w", name="s")
    o = Synapses(hidden, out, "w : 1", on_pre="v_post += w", name="o")
    random = np.random.default_rng(rank if mode == "seeds" else 0)
    for synapses in (s, o):
        pairs = random.random((len(synapses.source), len(synapses.target))) < 0.8
        synapses.connect(i=np.nonzero(pairs)[0], j=np.nonzero(pairs)[1])
    # the values of rank 0 count: they may differ
    s.w, o.w = 3 + random.random(len(s)) + 0.1 * rank, random.normal(size=len(o))
    s.delay = random.uniform(1, 5, len(s)) * ms
    model = bep.EventPropModel(
        [source, hidden, out, s, o], train=[s.w, s.delay, o.w], duration=30 * ms, solver="event",
        loss=bep.CrossEntropy(bep.Integral(out, "v"), scale=100), backend="interpreter",
    )  # fmt: skip
    drawn = np.random.default_rng(rank if mode == "batches" else 1)
    n = 22
    data = bep.SpikeData(
        drawn.uniform(0, 0.02, 6 * n), drawn.integers(0, 3, 6 * n), np.repeat(range(n), 6), n, 3,
        targets=np.arange(n) % 2,
    )  # fmt: skip

    checkpoint = bep.Checkpoint(folder / "run.h5")
    optimizer = bep.Adam({s.w: 0.05, s.delay: 0.1 * ms, o.w: 0.05})
    lines = bep.CSVLog(folder / "log.csv") if mode != "resume" else None
    callbacks = [checkpoint, Fails(mode, rank), *([lines] if lines else [])]
    trainer = bep.Trainer(model, optimizer, callbacks, communicator)
    done = checkpoint.resume(trainer) if mode == "resume" else 0
    epochs = 10**6 if mode == "long" else epochs - done
    trainer.fit(data, epochs, 8, validation=data[:5], early_stopping=50, progress=False)
    digest = hashlib.sha256(model.parameters.flatten().tobytes()).hexdigest()[:16]
    print(f"rank {rank} of {communicator.size} {digest} {trainer.history.rows[-1]['val_loss']!r}")


if __name__ == "__main__":
    main()
