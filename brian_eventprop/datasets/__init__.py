"""Tasks as `brian_eventprop.SpikeData`, ready for a trainer."""

from brian_eventprop.datasets.sequences import sequence_detection
from brian_eventprop.datasets.yin_yang import yin_yang

__all__ = ["sequence_detection", "yin_yang"]
