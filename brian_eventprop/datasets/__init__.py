"""Tasks as `brian_eventprop.SpikeData`, ready for a trainer."""

from brian_eventprop.datasets.braille import braille
from brian_eventprop.datasets.sequences import sequence_detection
from brian_eventprop.datasets.speech import speech
from brian_eventprop.datasets.splits import hold_out, leave_one_out, stratified_split
from brian_eventprop.datasets.yin_yang import yin_yang

__all__ = [
    "braille",
    "hold_out",
    "leave_one_out",
    "sequence_detection",
    "speech",
    "stratified_split",
    "yin_yang",
]
