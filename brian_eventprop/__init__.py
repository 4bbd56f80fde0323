"""Exact gradients for spiking networks written in Brian2."""

from importlib.metadata import PackageNotFoundError, version

from brian_eventprop._lazy import public_names
from brian_eventprop.model.brian_messages import report_own_errors

# Numba alone takes longer to import than half of Brian2: names of `__init__.pyi`, the public ones,
# are imported when they are asked for.
__getattr__, __all__ = public_names(__name__, __file__)

try:
    __version__ = version("brian-eventprop")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "unknown"


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "__doc__"])


report_own_errors()
