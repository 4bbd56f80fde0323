"""Training: a loop over epochs and batches, its record, and what can hook into it."""

from brian_eventprop.training import schedules
from brian_eventprop.training.callbacks import (
    Callback,
    CSVLog,
    EarlyStopping,
    ProgressBar,
    ReduceOnPlateau,
)
from brian_eventprop.training.checkpoint import Checkpoint
from brian_eventprop.training.history import History
from brian_eventprop.training.parallel import MPI
from brian_eventprop.training.reports import GradientNorms, LineLog, Report, TensorBoardLog
from brian_eventprop.training.rewiring import DeepR
from brian_eventprop.training.silence import LiftSilent, RateWarning, SilenceWarning
from brian_eventprop.training.stability import ClipTrials, ParameterAverage, SlopeFloor
from brian_eventprop.training.trainer import Trainer

__all__ = [
    "MPI",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "ClipTrials",
    "DeepR",
    "EarlyStopping",
    "GradientNorms",
    "History",
    "LiftSilent",
    "LineLog",
    "ParameterAverage",
    "ProgressBar",
    "RateWarning",
    "ReduceOnPlateau",
    "Report",
    "SilenceWarning",
    "SlopeFloor",
    "TensorBoardLog",
    "Trainer",
    "schedules",
]
