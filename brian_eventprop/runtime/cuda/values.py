"""Arrays that live on the host and on the device: whoever changed them last has the true ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

import numpy as np


class _Twin:
    """One array; `sent` is what the device last got from the host."""

    def __init__(self, host: np.ndarray):
        self.host, self.sent, self.there, self.newer = host, None, None, False


class DeviceValues(MutableMapping):
    """Arrays by key, NumPy arrays to whoever looks one up, that may stay on a device.

    An array is copied to the host when it is looked up after a kernel changed it, and to the device
    when a kernel asks for it after the host's has changed, in place or not.

    Parameters
    ----------
    device
        See `brian_eventprop.runtime.cuda.device`.
    arrays
        The arrays on the host.
    """

    def __init__(self, device, arrays: Mapping):
        self.device = device
        self._twins = {key: _Twin(array) for key, array in arrays.items()}

    def __getitem__(self, key) -> np.ndarray:
        twin = self._twins[key]
        if twin.newer:
            twin.host = self.device.get(twin.there).reshape(twin.host.shape)
            twin.sent, twin.newer = twin.host.copy(), False
        return twin.host

    def __setitem__(self, key, array) -> None:
        if key not in self._twins:
            self._twins[key] = _Twin(array)
        self._twins[key].host, self._twins[key].newer = array, False

    def __delitem__(self, key) -> None:
        del self._twins[key]

    def __iter__(self) -> Iterator:
        return iter(self._twins)

    def __len__(self) -> int:
        return len(self._twins)

    def there(self, key):
        """Return the array on the device, for kernels to read."""
        twin = self._twins[key]
        if not twin.newer and (twin.sent is None or not np.array_equal(twin.sent, twin.host)):
            twin.there, twin.sent = self.device.put(twin.host, twin.there), twin.host.copy()
        return twin.there

    def change(self, key):
        """Return the array on the device, for a kernel to write to."""
        array, twin = self.there(key), self._twins[key]
        twin.newer, twin.sent = True, None  # even what the host had before must be copied then
        return array

    def as_they_are(self) -> dict:
        """Return the arrays of the host, which the device may have changed since."""
        return {key: twin.host for key, twin in self._twins.items()}

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return sum(t.host.nbytes for t in self._twins.values() if t.there is not None)
