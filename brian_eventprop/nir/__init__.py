"""Networks as graphs of NIR, the Neuromorphic Intermediate Representation, and back.

NIR (https://neuroir.org) is how simulators and neuromorphic chips hand networks to one another.
The package `nir` is imported when it is needed, not before.
"""

from brian_eventprop.nir.exporting import export
from brian_eventprop.nir.importing import Imported, read

__all__ = ["Imported", "export", "read"]
