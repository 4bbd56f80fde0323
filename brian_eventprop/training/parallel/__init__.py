"""Data-parallel training: trials of a batch split over processes that talk by MPI."""

from brian_eventprop.training.parallel.communicator import MPI

__all__ = ["MPI"]
