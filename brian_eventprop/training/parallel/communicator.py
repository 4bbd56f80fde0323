"""Processes that train one model together: each runs a part of every batch.

All of them have the same model and the same data, take the same steps and hold the same values at
any time; only rank 0 writes files.  The messages are those of mpi4py.
"""

from __future__ import annotations

import os
import sys
import traceback
import zlib
from collections.abc import Mapping

import numpy as np

from brian_eventprop._checks import whole_number
from brian_eventprop.training.batches import size_of, take
from brian_eventprop.training.fingerprint import describe, difference
from brian_eventprop.training.parallel.gathered import GatheredResult, Part, gathered
from brian_eventprop.training.parallel.tree_sum import shares, tree_sum


class MPI:
    """The processes of an MPI run, for ``Trainer(..., communicator=bep.MPI())``.

    Start the script with ``mpiexec -n 4 python script.py``; every process runs all of it.  Needs
    mpi4py and an MPI library, ``pip install 'brian-eventprop[mpi]'``.

    Parameters
    ----------
    communicator : `mpi4py.MPI.Comm`, optional
        By default all processes, ``COMM_WORLD``.
    chunks : int, optional
        Into how many chunks of trials a batch is cut, at least the number of processes, and by
        default that number.  Losses and gradients depend on the chunks in their last bits only;
        with the same `chunks`, any number of processes gives the same bits, also one process.

    Attributes
    ----------
    rank, size : int
        Number of this process, and how many there are.
    threads : int
        The cores of this machine for each of its processes: ``EventPropModel(...,
        threads=communicator.threads)``.

    Raises
    ------
    ImportError
        If mpi4py is not installed.
    ValueError
        If there are fewer chunks than processes.

    Notes
    -----
    Gradients of the chunks are summed as the leaves of a binary tree (`tree_sum`), up to rank 0,
    which sends the sum to all: every process sends and receives the trained values about twice per
    step, whatever the number of processes.  The parameters of rank 0 are given to all when a
    training begins.  An error on one rank is printed there and ends all of them at once
    (``MPI_Abort``); a file is never half written.  Where a machine has several GPUs, each of its
    processes takes one of its own.

    Examples
    --------
    >>> communicator = MPI(chunks=8)  # doctest: +SKIP
    >>> trainer = Trainer(model, Adam(1e-3), communicator=communicator)  # doctest: +SKIP
    """

    def __init__(self, communicator=None, chunks: int | None = None):
        try:
            from mpi4py import MPI as mpi
        except (ImportError, RuntimeError) as error:  # mpi4py, or the library that it loads
            raise ImportError(
                "bep.MPI needs mpi4py and an MPI library: pip install 'brian-eventprop[mpi]'"
            ) from error
        self.world = mpi.COMM_WORLD if communicator is None else communicator
        self.rank, self.size = self.world.Get_rank(), self.world.Get_size()
        self.chunks = whole_number(self.size if chunks is None else chunks, "chunks", least=1)
        if self.chunks < self.size:
            raise ValueError(f"{self.size} processes need at least as many chunks, not {chunks}")
        here = self.world.Split_type(mpi.COMM_TYPE_SHARED)
        self.threads = max(len(os.sched_getaffinity(0)) // here.Get_size(), 1)
        _take_own_gpu(here.Get_rank(), here.Get_size())
        self._shares = shares(self.chunks, self.size)
        self._owners = [rank for rank, share in enumerate(self._shares) for _ in share]

    def __repr__(self) -> str:
        return f"MPI(rank {self.rank} of {self.size}, {self.chunks} chunks)"

    def __deepcopy__(self, memo):
        return self  # a communicator is one of its kind

    @property
    def writes(self) -> bool:
        """Whether this process writes files and progress bars."""
        return self.rank == 0

    def begin(self, model, optimizer) -> None:
        """Give all processes the parameters of rank 0, after comparing the models.

        Raises
        ------
        ValueError
            If the processes have different models; the message says in what.
        """
        own = describe(model, optimizer)
        first = self.world.bcast(own, 0)
        if own != first:
            raise ValueError(
                f"rank {self.rank} has another model than rank 0: "
                f"{difference(own, first).replace('in the file', 'on rank 0')}. Scripts that draw "
                "connections or values need the same seed on every rank"
            )
        for key in model.parameters.keys:
            values = np.ascontiguousarray(model.parameters.raw(key), dtype=float)
            values = values if self.rank == 0 else np.empty_like(values)
            self.world.Bcast(values, 0)
            model.parameters.set_raw(key, values)

    def abort(self) -> None:
        """End all processes after an error, which is printed; does nothing if there is only one."""
        if self.size > 1:
            traceback.print_exc()
            print(f"rank {self.rank} of {self.size} failed; all end", file=sys.stderr, flush=True)
            sys.stdout.flush()
            self.world.Abort(1)

    # ---- a batch ----
    def run(self, model, spikes, targets) -> GatheredResult:
        """Run a batch: each process its chunks; all have the result."""
        result, _ = self._batch(model, spikes, targets, False)
        return result

    def step(self, model, spikes, targets):
        """Run a batch and differentiate it; return the result and the gradients by key."""
        return self._batch(model, spikes, targets, True)

    def _batch(self, model, spikes, targets, differentiate: bool):
        n = size_of(spikes)
        bounds = [n * chunk // self.chunks for chunk in range(self.chunks + 1)]
        parts, gradients = {}, {}
        for chunk in self._shares[self.rank]:
            first, last = bounds[chunk], bounds[chunk + 1]
            gradients[chunk] = None
            if first == last:
                continue
            index = np.arange(first, last)
            result = model.run(
                take(spikes, index), None if targets is None else targets[first:last]
            )
            parts[chunk] = _part(model, result)
            if differentiate:
                gradients[chunk] = _as_row(model.gradient_arrays()) * ((last - first) / n)
        found = self.world.allgather((_fingerprint(spikes, targets), parts))
        if len({digest for digest, _ in found}) > 1:
            raise ValueError(
                "the ranks were given different batches: data that is drawn at random needs the "
                "same seed on every rank"
            )
        every = {chunk: part for _, own in found for chunk, part in own.items()}
        result = gathered([every[chunk] for chunk in sorted(every)])
        return result, self._total(model, gradients) if differentiate else None

    def _total(self, model, gradients: dict) -> dict:
        """Return the sums of the gradients over the chunks, on all processes."""
        total = tree_sum(
            gradients, self._owners, self.rank,
            lambda row, rank: self.world.send(row, rank), lambda rank: self.world.recv(source=rank),
        )  # fmt: skip
        shapes = {key: np.shape(model.parameters.raw(key)) for key in model.parameters.keys}
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        total = np.empty(sum(sizes)) if total is None else np.ascontiguousarray(total)
        self.world.Bcast(total, 0)
        rows = np.split(total, np.cumsum(sizes)[:-1])
        return {key: row.reshape(s) for (key, s), row in zip(shapes.items(), rows, strict=True)}


def _part(model, result) -> Part:
    counts = {
        g.name: np.asarray(result.spikes.counts(g.name, g.size), dtype=np.int64)
        for g in model.spec.groups
        if g.threshold
    }
    return Part(np.asarray(result.losses), tuple(map(np.asarray, result.readout)), counts)


def _as_row(gradients: Mapping) -> np.ndarray:
    return np.concatenate([np.ravel(np.asarray(array, float)) for array in gradients.values()])


def _fingerprint(spikes, targets) -> int:
    """Return a number that other spikes or targets do not have."""
    found = 0
    for data in spikes.values() if isinstance(spikes, Mapping) else [spikes]:
        for array in (data.times, data.channels, data.trial_ptr):
            found = zlib.crc32(np.ascontiguousarray(array).data, found)
    if isinstance(targets, np.ndarray) and targets.dtype != object:
        found = zlib.crc32(np.ascontiguousarray(targets).data, found)
    return found


def _take_own_gpu(rank: int, size: int) -> None:
    """Use the GPU with the number of the process on its machine, where there are several."""
    if size == 1:
        return
    from numba import cuda

    if cuda.is_available() and len(cuda.gpus) > 1:
        cuda.select_device(rank % len(cuda.gpus))
