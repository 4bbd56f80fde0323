"""What CUDA kernels are rendered for, how it spells things, and what arrays a kernel has."""

from __future__ import annotations

from dataclasses import dataclass

#: Bytes of fast memory that a block of threads has on every GPU; rings may ask for more.
ON_CHIP = 48 * 1024
#: Most threads of a block.
THREADS = 512
#: Most threads of each of several blocks that run a trial together.
CLUSTER_THREADS = 256
#: Registers of a multiprocessor.
REGISTERS = 65536


@dataclass(frozen=True)
class Target:
    """What the kernels are rendered for.

    Attributes
    ----------
    emulated
        Whether as generators for the emulator.
    warps
        Whether the threads of a warp may exchange numbers (Numba's simulator cannot).
    threads
        Most threads of a block.
    """

    emulated: bool = False
    warps: bool = True
    threads: int = THREADS

    @property
    def rounds(self) -> bool:
        """Whether a product is rounded before it is added, as in Python."""
        return self.emulated or not self.warps


@dataclass(frozen=True)
class LocalArray:
    """An array of a block of threads; dimensions that are names are known at run time only.

    A `large` one grows with the number of steps or synapses and is never on the chip.
    """

    owner: str
    role: str
    name: str
    shape: tuple
    dtype: str = "FLOAT"
    large: bool = False

    @property
    def size(self) -> int:
        """Number of entries, if it is known."""
        size = 1
        for n in self.shape:
            size *= 1 if isinstance(n, str) else n
        return size


@dataclass(frozen=True)
class Kernel:
    """One kernel: its arguments (owner, role) and the arrays of each block."""

    arguments: tuple[tuple[str, str], ...]
    on_chip: tuple[LocalArray, ...]
    in_memory: tuple[LocalArray, ...]


def bounds_of(threads: int, single: bool):
    """Return the threads of a block, and how many blocks a multiprocessor shall have room for.

    With 112 registers a thread, two blocks of 256 neurons and some readouts fit; in double
    precision, and for more threads, that would take too many registers away.

    Examples
    --------
    >>> bounds_of(288, True), bounds_of(288, False), bounds_of(512, True)
    ((288, 2), 288, 512)
    """
    return (threads, 2) if single and 2 * threads * 112 <= REGISTERS else threads


def spelling(
    target: Target, threads: int, single: bool = False, cluster: int = 1
) -> dict[str, object]:
    """How a target spells what the templates use; a `cluster` of blocks runs a trial."""
    # blocks that wait for each other have a multiprocessor to themselves
    bounds = (
        f"(launch_bounds={bounds_of(threads, single and cluster == 1)})" if target.warps else ""
    )
    return {
        "emulated": target.emulated,
        "cluster": cluster,
        "decorator": "" if target.emulated else f"@cuda.jit{bounds}\n",
        "popc": "popc" if target.emulated else "cuda.popc",
        "ffs": "ffs" if target.emulated else "cuda.ffs",
    }
