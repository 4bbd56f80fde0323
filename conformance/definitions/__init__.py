"""The networks of the suite: functions of a random generator that return a file's content."""

from . import integrate_and_fire, nonlinear, readouts, resets, synapses  # noqa: F401
from .building import NETWORKS

__all__ = ["NETWORKS"]
