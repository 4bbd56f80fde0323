"""A `NetworkSpec` to its adjoint system: SymPy only, no arrays."""

from brian_eventprop.adjoint.system import AdjointSystem, derive

__all__ = ["AdjointSystem", "derive"]
