"""The inputs of a batch on the device, copied while the batch before is still at work.

There are two buffers, one in use and one being filled, each as one piece of pinned memory on the
host and one on the device.  Copies have a stream of their own, so two orders must be kept: the
kernels of a batch come after its copy, and a copy comes after the kernels that read the buffer
before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass
class _Buffer:
    host: np.ndarray | None = None
    there: object = None
    copied: object = None
    nbytes: int = 0
    layout: dict = field(default_factory=dict)


class InputBuffers:
    """Two buffers of inputs.

    Parameters
    ----------
    device
        See `brian_eventprop.runtime.cuda.device`.
    """

    def __init__(self, device):
        self.device = device
        self._used, self._other = _Buffer(), _Buffer()
        self._free = None
        self._of: object = None

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return self._used.nbytes + self._other.nbytes

    def fill(self, batch: object, arrays: Mapping[object, np.ndarray]) -> None:
        """Begin to copy the arrays of a batch; `batch` is what `take` will ask for."""
        buffer, at = self._other, 0
        buffer.layout = {}
        for key, array in arrays.items():
            # kernels get arrays of at least one entry
            array = array if array.size else np.zeros([max(n, 1) for n in array.shape], array.dtype)
            buffer.layout[key] = at, array
            at += -(-array.nbytes // 256) * 256
        if buffer.copied is not None:
            self.device.finish(buffer.copied)
        if at > buffer.nbytes:
            buffer.there = None  # the old one goes first
            buffer.nbytes = int(1.2 * at)
            buffer.host = self.device.pinned(buffer.nbytes)
            buffer.there = self.device.empty((buffer.nbytes,), np.uint8)
        for start, array in buffer.layout.values():
            into = buffer.host[start : start + array.nbytes].view(array.dtype)
            into.reshape(array.shape)[...] = array
        if self._free is not None:
            self.device.after(self._free, on_copy_stream=True)
        if at:
            self.device.copy_async(buffer.host, buffer.there, at)
        buffer.copied = self.device.event(on_copy_stream=True)
        buffer.layout = {
            key: (start, array.shape, array.dtype) for key, (start, array) in buffer.layout.items()
        }
        self._of = batch

    def holds(self, batch: object) -> bool:
        """Return whether a batch is the one that was copied last and not yet taken."""
        return self._of is batch

    def forget(self) -> None:
        """Hold no batch."""
        self._of = None

    def take(self) -> dict:
        """Return the arrays that were copied last; what is launched from now on may read them."""
        self._free = self.device.event()
        self._used, self._other, self._of = self._other, self._used, None
        self.device.after(self._used.copied)
        return {
            key: self._used.there[start : start + int(np.prod(shape)) * dtype.itemsize]
            .view(dtype)
            .reshape(shape)
            for key, (start, shape, dtype) in self._used.layout.items()
        }
